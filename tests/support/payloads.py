"""Hypothesis strategies for parameters, and for payloads that are nearly right."""

import json
from fractions import Fraction

from hypothesis import strategies as st

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
small_numbers = st.integers(-20, 20) | st.decimals(-20, 20, places=2).map(float)


@st.composite
def parameters(draw):
    """A parameter as a map has it, without a place."""
    return draw(_scalar() | _array() | _object())


@st.composite
def _scalar(draw):
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "seed", "image", "video"]))
    parameter = {"type": kind}
    if kind == "image":
        parameter |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "maxPixels": st.integers(1, 9),
                    "minSide": st.integers(1, 9),
                    "aspectRatio": st.just(["1:2", "2:1"]),
                },
            )
        )
    if kind == "string":
        parameter |= draw(
            st.fixed_dictionaries({}, optional={"minLength": st.integers(0, 4), "maxLength": st.integers(4, 9)})
        )
        if draw(st.booleans()):
            parameter["pattern"] = draw(st.sampled_from(["^a", "b$", "[0-9]+", "^[a-z]*$", "(?=.*x)"]))
        elif draw(st.booleans()):
            parameter["enum"] = draw(st.lists(st.text("abc", max_size=3), min_size=1, max_size=3, unique=True))
    elif kind in {"integer", "number"}:
        bound = st.integers(-9, 9) if kind == "integer" else small_numbers
        if draw(st.booleans()):
            parameter["minimum"] = draw(bound.filter(lambda each: each < 5))
            parameter["maximum"] = parameter["minimum"] + draw(st.integers(0, 12))
        if draw(st.booleans()):
            parameter["exclusiveMaximum"] = draw(bound)
        if draw(st.booleans()):
            parameter["multipleOf"] = draw(st.integers(1, 5) if kind == "integer" else st.sampled_from([0.01, 0.5, 2]))
        if draw(st.integers(0, 4)) == 0:
            parameter["enum"] = draw(st.lists(bound, min_size=1, max_size=3, unique=True))
    return parameter


@st.composite
def _object(draw):
    names = draw(st.lists(st.sampled_from(["name", "strength", "mode"]), min_size=1, max_size=3, unique=True))
    inner = _scalar().filter(lambda each: each["type"] != "seed")
    properties = {}
    for name in names:
        properties[name] = draw(inner)
        if draw(st.booleans()):
            properties[name]["required"] = True
        elif draw(st.booleans()):
            properties[name]["default"] = None
    return {"type": "object", "properties": properties}


@st.composite
def _array(draw):
    items = draw(_object() | _scalar().filter(lambda each: each["type"] != "seed"))
    if draw(st.booleans()):
        items["default"] = None
    return {"type": "array", "items": items, "minItems": draw(st.integers(0, 1)), "maxItems": draw(st.integers(1, 3))}


@st.composite
def files(draw):
    """A file in its object form, or nearly."""
    text = st.text(max_size=4)
    headers = st.dictionaries(text, text | json_values, max_size=2) | json_values
    keys = {"url": text | json_values, "filename": text | json_values, "headers": headers, "urll": text}
    return {key: draw(keys[key]) for key in draw(st.lists(st.sampled_from(sorted(keys)), unique=True))}


@st.composite
def values_for(draw, parameter):
    """A value that often fits the parameter, and often just not."""
    if draw(st.integers(0, 5)) == 0:
        return draw(json_values)
    match parameter["type"]:
        case "string":
            return draw(st.sampled_from(parameter.get("enum", ["a", "ab", "b\n"])) | st.text("ab1x\n", max_size=10))
        case "integer":
            return draw(st.integers(-20, 20) | st.integers(-9, 9).map(float) | st.booleans())
        case "number":
            return draw(small_numbers | st.sampled_from([0.07, 0.1, 0.3, 1e300, 5e-324]))
        case "boolean":
            return draw(st.booleans() | st.sampled_from([0, 1, "true"]))
        case "seed":
            return draw(st.sampled_from([-2, -1, 0, 7, 2**64 - 1, 2**64, 1.0, True]))
        case "array":
            return draw(st.lists(values_for(parameter["items"]), max_size=4))
        case "object":
            names = [*parameter["properties"], "other"]
            chosen = draw(st.lists(st.sampled_from(names), unique=True))
            return {name: draw(values_for(parameter["properties"].get(name, {"type": "string"}))) for name in chosen}
        case _:
            return draw(st.none() | st.text(max_size=8) | files())


def exact(document):
    """The document with its numbers as they are written, so that the validator's arithmetic is exact."""

    def number(text):
        written = Fraction(text)
        return int(written) if written.denominator == 1 else written

    return json.loads(json.dumps(document), parse_float=number)
