"""Expressions: what they can do, and the escapes and bombs that they can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expression_filters import MAX_TEXT, ExpressionFailed
from engine.expressions import ExpressionInvalid, compile_expression, context_of

VALUES = {
    "steps": 20,
    "width": 512,
    "prompt": "a {{ steps }} cat",
    "style": "photo",
    "image": None,
    "flag": True,
    "result": 3,
    "loras": [{"name": "a", "values": 3, "strength": 0.5}],
}


def evaluate(source, values=VALUES):
    return compile_expression(source, values).evaluate(context_of(values))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("steps", 20),
        ("width * 3 // 4 // 8 * 8", 384),
        ("steps / 8", 2.5),
        ("-steps", -20),
        ("steps % 3", 2),
        ("2 ** 10", 1024),
        ("'a text'", "a text"),
        ("prompt ~ '!'", "a {{ steps }} cat!"),
        ("style == 'photo' and not flag", False),
        ("'o' in style", True),
        ("image is none", True),
        ("['2', 0] if image is not none else ['1', 0]", ["1", 0]),
        ("loras[0].strength", 0.5),
        ("loras[0].values", 3),
        ("loras[0]['name']", "a"),
        ("loras|length", 1),
        ("[width, 640]|max", 640),
        ("(width / 3)|round", 171),
        ("(width / 3)|round(2)", 170.67),
        ("'10'|int + 1", 11),
        ("image|default('none')", "none"),
        ("'#336699'|color", 0x336699),
        ("'#fff'|color", 0xFFFFFF),
        ("prompt|replace('cat', 'dog')", "a {{ steps }} dog"),
        ("['a', 'b']|join(', ')", "a, b"),
        ("prompt[2:4]", "{{"),
        ("{'a': 1}.a", 1),
        ("result + steps", 23),
    ],
)
def test_bare_expressions_keep_their_type(source, expected):
    value = evaluate(source)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ prompt }}, {{ style }} style", "a {{ steps }} cat, photo style"),
        ("{{ steps }}", "20"),
        ("{{ image }}{{ flag }}", "true"),
        ("{{ style }}\n", "photo\n"),
        ("{{ 'big' if width > 500 else 'small' }}", "big"),
    ],
)
def test_text_with_braces_gives_a_text(source, expected):
    assert evaluate(source) == expected


@given(st.text(max_size=40) | st.sampled_from(["{{ steps }}", "{% for x in y %}", "{# #}", "'] + [", "${7*7}"]))
def test_what_a_caller_sends_is_never_rendered(text):
    assert evaluate("{{ prompt }}", {**VALUES, "prompt": text}) == text
    assert evaluate("prompt", {**VALUES, "prompt": text}) == text


def test_expressions_over_one_context_do_not_see_each_others_results():
    context = context_of(VALUES)
    assert compile_expression("steps", VALUES).evaluate(context) == 20
    assert compile_expression("result", VALUES).evaluate(context) == 3


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("prompt.upper()", "calls are not allowed"),
        ("range(10)", "calls are not allowed"),
        ("cycler", "unknown name cycler"),
        ("self", "unknown name self"),
        ("lipsum", "unknown name lipsum"),
        ("_result_", "unknown name"),
        ("_result", "unknown name"),
        ("stepz", 'did you mean "steps"'),
        ("photo", "quoted"),
        ("steps|attr('real')", 'no filter "attr"'),
        ("steps|map('upper')", 'no filter "map"'),
        ("prompt|format(1)", 'no filter "format"'),
        ("prompt|center(1000000000)", 'no filter "center"'),
        ("prompt is callable", 'no test "callable"'),
        ("'9'|int(base=3)", "named arguments"),
        ("prompt|replace('a')", 'the filter "replace" takes another number'),
        ("prompt|upper(1)", 'the filter "upper" takes another number'),
        ("{% for x in loras %}{% endfor %}{{ steps }}", "statements are not allowed"),
        ("{% set x = 1 %}{{ steps }}", "statements are not allowed"),
        ("{% include 'x' %}{{ steps }}", "statements are not allowed"),
        ("{% import 'os' as os %}{{ steps }}", "statements are not allowed"),
        ("{% raw %}{{ steps }}{% endraw %}{{ loop }}", "unknown name loop"),
        ("steps) + (1", "not an expression"),
        ("steps }}{{ width", "not an expression"),
        ("steps; width", "not an expression"),
        ("lambda: 1", "not an expression"),
        ("", "not an expression"),
        ("(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
        ("1" * 20_000, "longer than"),
    ],
)
def test_refused_when_compiled(source, reason):
    with pytest.raises(ExpressionInvalid, match=reason.replace("(", r"\(")):
        compile_expression(source, VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "''.__class__",
        "''.__class__.__mro__",
        "loras.__class__",
        "loras[0].__init__",
        "loras[0].items",
        "loras.append",
        "prompt.format",
        "prompt['upper']",
        "steps.real",
        "{{ prompt.__class__ }}",
        "flag.__class__",
        "loras['__class__']",
        "loras[5]",
        "loras[0].strenth",
        "loras['0']",
    ],
)
def test_dots_look_up_keys_and_nothing_else(source):
    with pytest.raises(ExpressionFailed):
        evaluate(source)


LONG = "x" * 900_000


@pytest.mark.parametrize(
    "source",
    [
        "'a' * 50000000",
        "[0] * 50000000",
        "'%999999999d' % 1",
        "9 ** (9 ** 9)",
        "(9 ** 300) ** 300",
        "10 ** 5000",
        "2 ** -5000",
        "(9 ** 320) * (9 ** 320) * (9 ** 320)",
        "prompt + prompt",
        "prompt ~ prompt",
        "{{ prompt }}{{ prompt }}",
        "[prompt, prompt]|join",
        "prompt|replace('x', 'xx')",
        "prompt|replace('', 'long')",
        "('9' ~ prompt)|int",
        "1e308 * 10",
        "(-8) ** 0.5",
        "steps / 0",
        "steps // 0",
        "steps % 0",
        "'a' + 1",
        "'a' - 'b'",
        "true + 1",
        "steps < 'a'",
        "loras < 3",
        "[]|first",
        "[]|max",
        "['a']|max",
        "'red'|color",
        "'inf'|float",
        "'abc'|int",
        "{{ loras }}",
        "[prompt, prompt]",
        "[many, many, many]",
        "[[[[[[[[[[1]]]]]]]]]]",
    ],
)
def test_what_can_not_be_computed_fails_at_once_and_small(source):
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(source, {**VALUES, "prompt": LONG, "many": [1] * 9_000})
    assert len(str(caught.value)) < 300


def test_nothing_is_computed_while_compiling():
    compile_expression("9 ** 9 ** 9", ())
    compile_expression("'a' ~ 'b'", ())


def test_a_long_text_within_the_bound_is_fine():
    assert len(evaluate("{{ prompt }}", {"prompt": "x" * MAX_TEXT})) == MAX_TEXT
