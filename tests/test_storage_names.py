"""What results are called."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.delivery import Naming
from engine.name_templates import DEFAULT_TEMPLATE, FIELDS, result_names, template_problem
from engine.names import clean_segment
from engine.results import OutputFile

MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
anything = st.text(max_size=300)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | anything
literals = st.text(string.ascii_letters + string.digits + "-_./", max_size=12)
fields = st.sampled_from([f"{{{name}}}" for name in (*FIELDS, "prompt", "missing")] + ["{index:04}", "{seed:020}"])
templates = st.lists(literals | fields, min_size=1, max_size=8).map("".join)


def result(filename="ComfyUI_00001_.png", *, name="image", index=0):
    return OutputFile(
        name=name,
        index=index,
        kind="image",
        node_id="9",
        filename=filename,
        path=None,
        content_type="image/png",
        size_bytes=1,
        sha256="",
    )


def names(*filenames, template=DEFAULT_TEMPLATE, prefix="", root="", workflow="txt2img", job_id="job", values=None):
    return result_names(
        [result(filename, index=index) for index, filename in enumerate(filenames)],
        template=template,
        prefix=prefix,
        root=root,
        naming=Naming(workflow, "1.0", job_id, dict(values or {})),
        moment=MOMENT,
        new_uuid=lambda: UUID("12345678-1234-5678-1234-567812345678"),
    )


@given(st.lists(anything, max_size=8), st.text(max_size=60), anything, anything)
def test_keys_are_safe_and_differ(filenames, prefix, workflow, job_id):
    made = names(*filenames, root=prefix, workflow=workflow, job_id=job_id)
    assert len(set(made)) == len(made) == len(filenames)
    for key in made:
        assert len(key.encode()) <= 1024
        parts = key.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not any(character.isspace() or ord(character) < 32 for character in key)
        assert not set(key) & set('\\{}^%`[]"<>~#|?*:&=+ ')


@given(templates, st.lists(anything, min_size=1, max_size=5), st.text(max_size=60), scalars, scalars)
def test_any_template_stays_below_the_prefix_and_keeps_the_extension(template, stems, prefix, seed, prompt):
    if template_problem(template, prefix=f"made/today/{prefix}", parameters={"prompt", "missing"}):
        return
    filenames = [f"x{stem}.png" for stem in stems]
    made = names(
        *filenames, template=template, prefix=prefix, root="made/today", values={"seed": seed, "prompt": prompt}
    )
    assert len(set(made)) == len(filenames)
    for key in made:
        assert key.startswith("made/today/")
        assert not {"", ".", ".."} & set(key.split("/"))
        assert len(key.encode()) <= 1024
        assert all(len(part.encode()) <= 255 for part in key.split("/"))
        assert key.endswith(".png")
        assert not set(key) & set('\\{}^%`[]"<>~#|?*:&=+ ')


@given(anything)
def test_any_text_is_a_template_or_is_refused_in_words(template):
    complaint = template_problem(template, parameters=())
    assert complaint or names("x.png", template=template)


@given(anything, st.integers(min_value=40, max_value=200))
def test_a_clean_segment_stays_as_it_is(text, longest):
    cleaned = clean_segment(text, longest=longest)
    assert clean_segment(cleaned, longest=longest) == cleaned
    assert 0 < len(cleaned.encode()) <= longest


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("ComfyUI_00001_.png", "txt2img/job/ComfyUI_00001_.png"),
        ("../../x.png", "txt2img/job/_.._x.png"),
        (".hidden", "txt2img/job/hidden"),
        ("a b.png", "txt2img/job/a_b.png"),
        ("", "txt2img/job/image"),
        ("灯台.png", "txt2img/job/灯台.png"),
    ],
)
def test_without_a_template_the_names_are_comfyuis_below_the_job(filename, key):
    assert names(filename) == [key]


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{workflow}_{version}", "txt2img_1.0.png"),
        ("{job_id}-{request_id}", "job-job.png"),
        ("{name}_{index}_{node_id}_{kind}", "image_0_9_image.png"),
        ("{filename}", "ComfyUI_00001_.png"),
        ("{stem}-small.{ext}", "ComfyUI_00001_-small.png"),
        ("{date}/{time}/{timestamp}", "2026-03-04/050607/1772600767.png"),
        ("{uuid}", "12345678-1234-5678-1234-567812345678.png"),
        ("{seed}_{seed:06}_{index:04}", "7_000007_0000.png"),
        ("{prompt}/{cfg}/{flag}/{nothing}/{list}", "a_light_/7.5/true/none/none.png"),
        ("{image_in}", "photo.jpg.png"),
        ("photo.PNG", "photo.PNG"),
        ("photo.jpeg", "photo.jpeg.png"),
        ("/a//b/{seed}", "a/b/7.png"),
        ("{escape}/x", "_.._etc/x.png"),
        ("{long}", "x" * 64 + ".png"),
        ("{empty}", "none.png"),
        ("{nothing:04}-{prompt:04}", "none-a_light_.png"),
    ],
)
def test_every_field(template, key):
    values = {
        "seed": 7,
        "prompt": "a light!",
        "cfg": 7.5,
        "flag": True,
        "nothing": None,
        "list": [1, 2],
        "image_in": "photo.jpg",
        "escape": "../../etc",
        "long": "x" * 500,
        "empty": "",
    }
    assert template_problem(template, parameters=values) is None
    assert names("ComfyUI_00001_.png", template=template, values=values) == [key]


def test_every_fixed_field_can_be_named():
    template = "_".join(f"{{{name}}}" for name in FIELDS)
    assert template_problem(template, parameters=()) is None
    assert "{" not in names("x.png", template=template)[0]


def test_a_workflow_without_a_seed_says_so():
    assert names("x.png", template="{seed}_{style}") == ["none_none.png"]


def test_jpg_and_jpeg_are_one_extension():
    assert names("x.jpeg", template="photo.jpg") == ["photo.jpg"]
    assert names("x.jpg", template="photo.JPEG") == ["photo.JPEG"]


def test_a_prefix_comes_first_or_where_the_template_says():
    assert names("x.png", root="r", prefix="p/q", template="{seed}") == ["r/p/q/none.png"]
    google = "{prefix}/{request_id}_{timestamp}-{uuid}.{ext}"
    uuid = "12345678-1234-5678-1234-567812345678"
    assert names("x.png", root="r", prefix="p/q", template=google) == [f"r/p/q/job_1772600767-{uuid}.png"]
    assert names("x.png", root="r", template=google) == [f"r/job_1772600767-{uuid}.png"]


def test_a_prefix_can_not_leave_the_operators():
    assert names("x.png", root="/a//b/", prefix="/../../c", template="{seed}") == ["a/b/_/_/c/none.png"]


def test_names_that_become_the_same_are_told_apart():
    assert names("a b.png", "a_b.png", "a_b_2.png") == [
        "txt2img/job/a_b.png",
        "txt2img/job/a_b_2.png",
        "txt2img/job/a_b_2_2.png",
    ]
    assert names("x.png", "y.png", "z.webp", template="photo") == ["photo.png", "photo_2.png", "photo.webp"]


def test_a_long_name_keeps_its_extension():
    [key] = names("灯" * 500 + ".png")
    assert key.endswith("灯.png")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{sed}", 'names {sed} (did you mean "seed"?); it may name prefix, workflow,'),
        ("{stile}", 'did you mean "style"?'),
        ("{seed.__class__}", "more than a name in its braces"),
        ("{values[seed]}", "more than a name in its braces"),
        ("{seed!r}", "more than a name in its braces"),
        ("{seed:>9999}", "more than a name in its braces"),
        ("{seed:099}", "more than a name in its braces"),
        ("{index:{seed}}", "more than a name in its braces"),
        ("{}", "a field without a name"),
        ("{0}", "names {0}"),
        ("{seed", "brace without its partner"),
        ("seed}", "brace without its partner"),
        ("{{seed}}", "holds '{', which is not safe"),
        ("a b/{seed}", "holds ' ', which is not safe"),
        ("a\\{seed}", "which is not safe"),
        ("../{seed}", "must not hold `.` or `..`"),
        ("results/", "must end in a name"),
        ("/", "must end in a name"),
        ("", "must end in a name"),
        ("{style}/" * 6 + "x", "can become longer than 1024 bytes"),
        ("x" * 2000, "at most 1024 characters"),
    ],
)
def test_templates_that_are_refused(template, said):
    assert said in template_problem(template, parameters=["style"])


def test_before_a_workflow_is_known_any_name_may_be_a_parameter():
    assert template_problem("{style}_{sed}") is None
    assert template_problem("{style.x}")
