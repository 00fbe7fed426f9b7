from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingsError
from engine.names import clean_segment, object_keys
from engine.s3.options import region_of_endpoint
from engine.storage import S3Options

DEFAULT = "{prefix}/{workflow}/{job_id}/{filename}"
anything = st.text(max_size=300)


def keys(*filenames, template=DEFAULT, prefix="", workflow="txt2img", job_id="job"):
    return object_keys(
        [(filename, "image") for filename in filenames],
        template=template,
        prefix=prefix,
        workflow=workflow,
        job_id=job_id,
    )


@given(st.lists(anything, max_size=8), st.text(max_size=60), anything, anything)
def test_keys_are_safe_and_differ(filenames, prefix, workflow, job_id):
    made = keys(*filenames, prefix=prefix, workflow=workflow, job_id=job_id)
    assert len(set(made)) == len(made) == len(filenames)
    for key in made:
        assert len(key.encode()) <= 1024
        parts = key.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not any(character.isspace() or ord(character) < 32 for character in key)
        assert not set(key) & set('\\{}^%`[]"<>~#|?*:&=+ ')


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
def test_an_empty_prefix_gives_no_leading_slash(filename, key):
    assert keys(filename) == [key]


def test_names_that_become_the_same_are_told_apart():
    assert keys("a b.png", "a_b.png", "a_b_2.png") == [
        "txt2img/job/a_b.png",
        "txt2img/job/a_b_2.png",
        "txt2img/job/a_b_2_2.png",
    ]


def test_a_prefix_may_hold_slashes():
    assert keys("x.png", prefix="/a//b/../c/") == ["a/b/_/c/txt2img/job/x.png"]


def test_a_long_name_keeps_its_extension():
    [key] = keys("灯" * 500 + ".png")
    assert key.endswith("灯.png")


def refused(**values):
    with pytest.raises(SettingsError) as caught:
        S3Options.from_values(values)
    return {problem.where: problem.message for problem in caught.value.problems}


def test_all_missing_values_are_named_at_once():
    assert set(refused(secret_access_key="s", bucket=None)) == {"bucket", "access_key_id"}
    assert set(refused(session_token="t")) == {"bucket", "access_key_id", "secret_access_key"}
    assert set(refused(bucket="b", access_key_id="k", secret_access_key="")) == {"secret_access_key"}


def test_missing_values_are_called_what_the_operator_calls_them():
    with pytest.raises(SettingsError, match=r"S3_BUCKET: is missing.*S3_SECRET_ACCESS_KEY: is missing"):
        S3Options.from_values(
            {"access_key_id": "k"}, {"bucket": "S3_BUCKET", "secret_access_key": "S3_SECRET_ACCESS_KEY"}
        )


def test_absent_values_leave_the_defaults():
    options = S3Options.from_values({"bucket": "b", "prefix": None, "region": "", "endpoint_url": None})
    assert options == S3Options("b")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("endpoint_url", "s3.example.com", "must be a URL such as"),
        ("endpoint_url", "https://s3.example.com:port", "is not a URL"),
        ("endpoint_url", "https://s3.example.com/results", "without a path"),
        ("endpoint_url", "https://b.s3.example.com", "must not start with the bucket's name"),
        ("endpoint_url", "https://key:secret@s3.example.com", "neither credentials nor a query"),
        ("public_base_url", "ftp://cdn.example.com", "must be a URL such as"),
        ("url_expires_seconds", 0, "must be 1 to 604800 seconds (got 0)"),
        ("url_expires_seconds", 604_801, "must be 1 to 604800 seconds"),
        ("addressing_style", "host", "must be auto, path or virtual"),
        ("key_template", "{job_id}/{file}", "names {file}; it may name {filename}"),
        ("key_template", "{job_id.x}/{filename}", "names {job_id.x}"),
        ("key_template", "{filename}", "must name {job_id} and {filename}"),
        ("key_template", "{job_id}/{filename", "brace without its partner"),
        ("key_template", "{job_id!r}/{filename}", "only the names themselves"),
        ("key_template", "a b/{job_id}/{filename}", "a character that is not safe"),
        ("prefix", "x/" * 600, "is too long"),
    ],
)
def test_options_that_can_not_be_right(name, value, said):
    problems = refused(**{"bucket": "b", name: value})
    assert set(problems) == {name}
    assert said in problems[name]
    assert "secret" not in problems[name]


def test_options_made_directly_are_checked_too():
    with pytest.raises(SettingsError, match="url_expires_seconds"):
        S3Options("b", url_expires_seconds=-1)


def test_secrets_are_not_in_the_repr():
    shown = repr(S3Options("b", access_key_id="key-id", secret_access_key="the-secret", session_token="the-token"))
    assert not any(secret in shown for secret in ("key-id", "the-secret", "the-token"))


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://s3.eu-central-1.amazonaws.com/", "eu-central-1"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.ap-northeast-1.wasabisys.com", "ap-northeast-1"),
        ("https://fra1.digitaloceanspaces.com", "fra1"),
        ("https://0123abc.r2.cloudflarestorage.com", "auto"),
        ("https://0123abc.eu.r2.cloudflarestorage.com", "auto"),
        ("https://storage.googleapis.com", "us-east-1"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("http://127.0.0.1:9000", "us-east-1"),
        ("https://s3.example.com", "us-east-1"),
        ("https://s3.my-company.com", "us-east-1"),
    ],
)
def test_the_region_an_endpoint_tells(endpoint, region):
    assert region_of_endpoint(endpoint) == region
    assert S3Options("b", endpoint_url=endpoint).effective_region == region
    assert S3Options("b", endpoint_url=endpoint, region="mine").effective_region == "mine"


@pytest.mark.parametrize(
    ("values", "style"),
    [
        ({}, "virtual"),
        ({"bucket": "re.sults"}, "path"),
        ({"endpoint_url": "https://0123abc.r2.cloudflarestorage.com"}, "path"),
        ({"endpoint_url": "https://s3.example.com", "addressing_style": "virtual"}, "virtual"),
        ({"addressing_style": "path"}, "path"),
    ],
)
def test_the_addressing_style_that_is_chosen(values, style):
    assert S3Options.from_values({"bucket": "results", **values}).effective_addressing_style == style
