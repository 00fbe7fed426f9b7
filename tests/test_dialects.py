"""Other workers' requests and replies: what their clients send is understood, what they read is there."""

import copy
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.workflows import ROOT

from engine.dialects import DIALECTS, delivery_of, dialect_of, sent_files, shaped
from engine.dialects.files import MOST_FILES
from engine.errors import InvalidRequest
from engine.nodes import load_catalogue
from engine.raw_graph import graph_document, parse_raw, with_files
from engine.raw_graph.files import BUILT_IN
from engine.raw_graph.parsing import MOST_NODES
from engine.results import JobResult, OutputFile, StoredOutput
from engine.settings import Settings

GRAPH = {"1": {"class_type": "LoadImage", "inputs": {"image": "in.png"}}}
FOREIGN = sorted(DIALECTS.keys() - {"engine"})


def output(filename="a.png", kind="image", text=None, **held):
    file = OutputFile(
        name="9",
        index=0,
        kind=kind,
        node_id="9",
        filename="" if text is not None else filename,
        path=None if text is not None else Path(filename),
        content_type="text/plain" if text is not None else "image/png",
        size_bytes=1234,
        sha256="0" * 64,
        text=text,
    )
    return StoredOutput(file, **held)


def result(*outputs, warnings=()):
    made = JobResult("custom", "1.0", outputs, values={}, timings={"total": 1.0}, warnings=tuple(warnings))
    return made.as_dict()


INLINE = output(base64="aGk=")
LINK = output("b.mp4", "video", url="https://bucket.example/b.mp4?X=1", uri="s3://bucket/b.mp4")
PLACE = output("c.png", uri="gs://bucket/c.png")
FOLDER = output("d.png", path="outputs/d.png")
TEXT = output(kind="text", text="a caption")


def refusal(call):
    with pytest.raises(InvalidRequest) as caught:
        call()
    return caught.value


# Replies.


def test_every_dialect_that_the_operator_may_set_exists():
    names = get_args(get_args(Settings.model_fields["response_dialect"].annotation)[0])
    assert set(names) == set(DIALECTS)


REPLIES = {
    "worker-comfyui": [
        ((INLINE,), {"images": [{"filename": "a.png", "type": "base64", "data": "aGk="}]}),
        (
            (LINK, INLINE),
            {
                "images": [
                    {"filename": "b.mp4", "type": "s3_url", "data": "https://bucket.example/b.mp4?X=1"},
                    {"filename": "a.png", "type": "base64", "data": "aGk="},
                ]
            },
        ),
        ((PLACE,), {"images": [{"filename": "c.png", "type": "s3_url", "data": "gs://bucket/c.png"}]}),
        ((FOLDER,), {"images": [{"filename": "d.png", "type": "path", "data": "outputs/d.png"}]}),
        ((TEXT,), {"status": "success_no_images", "images": [], "texts": ["a caption"]}),
        ((), {"status": "success_no_images", "images": []}),
    ],
    "results": [
        ((INLINE,), {"status": "completed", "results": [{"filename": "a.png", "image": "aGk="}]}),
        (
            (LINK, TEXT),
            {
                "status": "completed",
                "results": [{"filename": "b.mp4", "image": "https://bucket.example/b.mp4?X=1"}],
                "texts": ["a caption"],
            },
        ),
        ((PLACE,), {"status": "completed", "results": [{"filename": "c.png", "image": "gs://bucket/c.png"}]}),
        ((FOLDER,), {"status": "completed", "results": [{"filename": "d.png", "image": "outputs/d.png"}]}),
        ((), {"status": "completed", "results": []}),
    ],
    "gcs": [
        ((PLACE,), {"gcs_url": "gs://bucket/c.png", "size": 1234}),
        (
            (TEXT, LINK, PLACE),
            {
                "gcs_url": "https://bucket.example/b.mp4?X=1",
                "size": 1234,
                "results": [
                    {"gcs_url": "https://bucket.example/b.mp4?X=1", "size": 1234},
                    {"gcs_url": "gs://bucket/c.png", "size": 1234},
                ],
                "texts": ["a caption"],
            },
        ),
        ((INLINE,), {"base64": "aGk=", "size": 1234}),
        ((FOLDER,), {"path": "outputs/d.png", "size": 1234}),
        ((TEXT,), {"gcs_url": None, "size": 0, "texts": ["a caption"]}),
    ],
    "base64": [
        ((INLINE,), {"base64": "aGk=", "size": 1234}),
        (
            (INLINE, output("e.png", base64="eW8=")),
            {"base64": "aGk=", "size": 1234, "others": [{"base64": "eW8=", "size": 1234}]},
        ),
        ((LINK,), {"url": "https://bucket.example/b.mp4?X=1", "size": 1234}),
        ((PLACE,), {"uri": "gs://bucket/c.png", "size": 1234}),
        ((TEXT,), {"base64": None, "size": 0, "texts": ["a caption"]}),
    ],
}


@pytest.mark.parametrize(
    ("dialect", "outputs", "reply"),
    [(dialect, outputs, reply) for dialect, cases in REPLIES.items() for outputs, reply in cases],
)
def test_a_result_has_the_shape_that_clients_of_that_worker_read(dialect, outputs, reply):
    ours = result(*outputs)
    kept = copy.deepcopy(ours)
    assert shaped(ours, dialect) == reply
    assert ours == kept


@pytest.mark.parametrize("dialect", FOREIGN)
def test_warnings_are_told_in_every_dialect_and_only_where_there_are_some(dialect):
    key = "errors" if dialect == "worker-comfyui" else "warnings"
    assert shaped(result(INLINE, warnings=["careful"]), dialect)[key] == ["careful"]
    assert key not in shaped(result(INLINE), dialect)


def test_our_own_dialect_is_the_result_itself():
    ours = result(INLINE, TEXT, warnings=["careful"])
    assert shaped(ours, "engine") == ours
    assert shaped(ours, "engine", verbose=True) == ours


@pytest.mark.parametrize("dialect", FOREIGN)
def test_verbose_adds_our_own_result_without_the_files_a_second_time(dialect):
    ours = result(INLINE, LINK)
    reply = shaped(ours, dialect, verbose=True)
    details = reply.pop("details")
    assert reply == shaped(ours, dialect)
    assert [each["filename"] for each in details["outputs"]] == ["a.png", "b.mp4"]
    assert details["timings"] == {"total": 1.0}
    assert "base64" not in details["outputs"][0]
    assert json.dumps({**reply, "details": details}).count("aGk=") == json.dumps(reply).count("aGk=")


# Which dialect.


@pytest.mark.parametrize(
    ("request_", "dialect"),
    [
        ({"workflow": GRAPH}, "worker-comfyui"),
        ({"workflow": GRAPH, "images": [], "comfy_org_api_key": "key"}, "worker-comfyui"),
        ({"workflow": GRAPH, "images": None, "input_images": None, "output_mode": None}, "worker-comfyui"),
        ({"workflow": json.dumps(GRAPH), "images": []}, "worker-comfyui"),
        ({"workflow": GRAPH, "output_mode": "s3"}, "worker-comfyui"),
        ({"workflow": GRAPH, "output_mode": "inline"}, "worker-comfyui"),
        ({"workflow": json.dumps(GRAPH)}, "results"),
        ({"workflow": GRAPH, "input_images": {}}, "results"),
        ({"workflow": GRAPH, "input_images": {}, "images": []}, "results"),
        ({"workflow_url": "https://example.org/graph.json"}, "results"),
        ({"workflow": GRAPH, "output_mode": "gcs"}, "gcs"),
        ({"workflow": GRAPH, "gcs_bucket": "b"}, "gcs"),
        ({"workflow_url": "https://example.org/graph.json", "gcs_prefix": "p"}, "gcs"),
        ({"workflow": GRAPH, "output_mode": "base64", "input_images": {}}, "base64"),
        ({"workflow": GRAPH, "output_mode": ["gcs"]}, "worker-comfyui"),
        ({"workflow": "custom", "payload": GRAPH}, "engine"),
        ({"workflow": "custom", "payload": GRAPH, "output_mode": "gcs"}, "engine"),
        ({"workflow": "txt2img", "payload": {}, "output_mode": "base64"}, "engine"),
        ({"workflow": "txt2img", "payload": {}, "images": []}, "engine"),
    ],
)
def test_the_form_of_a_request_says_what_its_client_reads(request_, dialect):
    assert dialect_of(request_, None) == dialect


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_what_the_operator_set_goes_before_the_form(dialect):
    assert dialect_of({"workflow": GRAPH, "output_mode": "gcs"}, dialect) == dialect
    assert dialect_of({"workflow": "txt2img"}, dialect) == dialect


# Delivery.


@pytest.mark.parametrize(
    ("request_", "wishes"),
    [
        ({}, {}),
        ({"output_mode": None, "gcs_bucket": None, "gcs_prefix": None}, {}),
        ({"output_mode": "s3"}, {"mode": "s3"}),
        ({"output_mode": "base64"}, {"mode": "inline"}),
        ({"output_mode": "inline"}, {"mode": "inline"}),
        ({"output_mode": "gcs", "gcs_bucket": "ours", "gcs_prefix": "a/b"}, {"mode": "gcs", "prefix": "a/b"}),
        ({"gcs_bucket": "ours"}, {"mode": "gcs"}),
        ({"gcs_prefix": ""}, {"mode": "gcs", "prefix": ""}),
    ],
)
def test_wishes_of_delivery_become_ours(request_, wishes):
    assert delivery_of(request_, gcs_bucket="ours") == wishes


@pytest.mark.parametrize(
    ("request_", "problems"),
    [
        (
            {"output_mode": "bas64"},
            ['output_mode: must be one of s3, gcs, base64, inline (got "bas64") (did you mean "base64"?)'],
        ),
        ({"output_mode": ["s3"]}, ['output_mode: must be one of s3, gcs, base64, inline (got ["s3"])']),
        (
            {"output_mode": "gcs", "gcs_bucket": "theirs", "gcs_prefix": 7},
            [
                "gcs_bucket: this worker does not write to that bucket; leave the key out for the operator's own",
                "gcs_prefix: must be a string, not a number",
            ],
        ),
        (
            {"output_mode": "base64", "gcs_prefix": "p"},
            ['gcs_prefix: goes with "output_mode": "gcs" alone (got "base64"); leave it out'],
        ),
    ],
)
def test_wishes_that_can_not_be_met_are_refused_all_at_once(request_, problems):
    error = refusal(lambda: delivery_of(request_, gcs_bucket="our-bucket"))
    assert [str(problem) for problem in error.problems] == problems
    assert "our-bucket" not in json.dumps(error.failure())


def test_without_a_bucket_of_the_operators_any_bucket_is_refused():
    assert "gcs_bucket: " in str(refusal(lambda: delivery_of({"gcs_bucket": "b"}, gcs_bucket=None)))


# Files.


@pytest.mark.parametrize(
    ("images", "input_images", "files"),
    [
        (None, None, {}),
        ([], {}, {}),
        ([{"name": "in.png", "image": "aGk="}], None, {"in.png": "aGk="}),
        ([{"name": "in.png", "image": "https://x.org/a.png"}], None, {"in.png": "https://x.org/a.png"}),
        ([{"name": "in.png", "data": "data:image/png;base64,aGk="}], None, {"in.png": "data:image/png;base64,aGk="}),
        ([{"name": "in.png", "base64": "aGk="}], None, {"in.png": "aGk="}),
        ([{"name": "in.png", "url": "https://x.org/a.png"}], None, {"in.png": {"url": "https://x.org/a.png"}}),
        ([{"name": "a", "image": {"url": "https://x.org/a"}, "data": None}], None, {"a": {"url": "https://x.org/a"}}),
        (None, {"in.png": "https://x.org/a.png"}, {"in.png": "https://x.org/a.png"}),
        (None, {"in.png": {"url": "https://x.org/a.png"}}, {"in.png": {"url": "https://x.org/a.png"}}),
        ([{"name": "a", "image": "aGk="}], {"b": "eW8="}, {"a": "aGk=", "b": "eW8="}),
        ([{"name": "ö" * 255, "image": "aGk="}], None, {"ö" * 255: "aGk="}),
    ],
)
def test_files_come_by_name_in_either_form(images, input_images, files):
    assert sent_files(images, input_images) == files


@pytest.mark.parametrize(
    ("images", "input_images", "problems"),
    [
        ({"in.png": "aGk="}, None, ["images: must be an array of objects with a name and an image, not an object"]),
        (None, [], ["input_images: must be an object of names and files, not an array"]),
        (["aGk="], None, ["images[0]: must be an object, not a string"]),
        ([{"image": "aGk="}], None, ["images[0].name: is missing: the name that the graph calls the file by"]),
        ([{"name": 7, "image": "aGk="}], None, ["images[0].name: must be a string, not a number"]),
        ([{"name": "", "image": "aGk="}], None, ["images[0].name: is empty"]),
        (
            [{"name": "a" * 256, "image": "aGk="}],
            None,
            ["images[0].name: is 256 characters long; a name has at most 255"],
        ),
        ([{"name": "a"}], None, ["images[0].image: is missing: the file, as base64, a data URI or a URL"]),
        ([{"name": "a", "image": ""}], None, ["images[0].image: is empty"]),
        ([{"name": "a", "image": ["aGk="]}], None, ["images[0].image: must be a string, not an array"]),
        ([{"name": "a", "url": {"url": "x"}}], None, ["images[0].url: must be a string, not an object"]),
        ([{"name": "a", "image": {"href": "x"}}], None, ['images[0].image: an object here holds the one key "url"']),
        ([{"name": "a", "image": {"url": 7}}], None, ["images[0].image.url: must be a string, not a number"]),
        (
            [{"name": "a", "image": "aGk=", "url": "https://x.org"}],
            None,
            ["images[0]: the file is given 2 times: image, url; keep one"],
        ),
        (
            [{"nam": "a", "image": "aGk="}],
            None,
            [
                'images[0].nam: unknown key (did you mean "name"?); the keys are: name, image, data, url, base64',
                "images[0].name: is missing: the name that the graph calls the file by",
            ],
        ),
        (
            [{"name": "a", "image": "aGk="}, {"name": "a", "image": "eW8="}],
            {"a": "eW8="},
            [
                'images[1].name: the name "a" is taken by another file; each has its own',
                'input_images["a"]: the name "a" is taken by another file; each has its own',
            ],
        ),
        (None, {"a": None}, ['input_images["a"]: is missing: the file, as base64, a data URI or a URL']),
        (
            None,
            {"": "aGk=", "b": 1},
            ['input_images[""]: is empty', 'input_images["b"]: must be a string, not a number'],
        ),
    ],
)
def test_files_that_are_wrong_are_refused_all_at_once(images, input_images, problems):
    error = refusal(lambda: sent_files(images, input_images))
    assert [str(problem) for problem in error.problems] == problems
    assert '"name"' in error.hint


def test_there_may_be_many_files_but_not_without_bound():
    files = {f"{number}.png": "aGk=" for number in range(MOST_FILES)}
    assert len(sent_files(None, files)) == MOST_FILES
    message = f"images: there are {MOST_FILES + 1} files, and at most {MOST_FILES} are taken"
    assert message in str(refusal(lambda: sent_files([{"name": "more", "image": "aGk="}], files)))


SECRET = "c2VjcmV0" * 4
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from([None, "", SECRET, 7, {"url": SECRET}, {"href": SECRET}, [SECRET]])
        for key in ("image", "data", "url", "base64")
    }
    | {"name": st.sampled_from([None, "", "a", "b", 7])},
)


@given(
    st.none() | st.lists(ENTRY | st.just(SECRET), max_size=4),
    st.none() | st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from([SECRET, 7, {"url": SECRET}, None])),
)
def test_what_was_sent_as_data_is_never_echoed_and_all_else_is_a_reference(images, input_images):
    try:
        files = sent_files(images, input_images)
    except InvalidRequest as error:
        files, said = {}, json.dumps(error.failure())
    else:
        said = ""
        assert len(files) == len(images or []) + len(input_images or {})
    assert SECRET not in said
    assert all(reference in (SECRET, {"url": SECRET}) for reference in files.values())


# The documentation.

PAGE = (ROOT / "docs" / "whole-graphs.md").read_text()
DOCUMENTED = re.split(r"^### `(.+)`$", PAGE, flags=re.MULTILINE)[1:]


def documented(dialect):
    section = dict(zip(DOCUMENTED[::2], DOCUMENTED[1::2], strict=True))[dialect]
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)]
    requests = [block for block in blocks if "workflow" in block or "workflow_url" in block]
    return requests, [block for block in blocks if block not in requests]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_documented_requests_are_understood_and_answered_as_documented(dialect):
    requests, replies = documented(dialect)
    assert requests
    for request in requests:
        assert dialect_of(request, None) == dialect
        delivery_of(request, gcs_bucket="renders")
        files = sent_files(request.get("images"), request.get("input_images"))
        document = graph_document(request, allowed=True)
        if document is not None:
            assert with_files(parse_raw(document), dict.fromkeys(files, "job_1.png"), load_catalogue())[1] == []
    held = {"url": "https://storage.googleapis.com/x"} if dialect in {"results", "gcs"} else {"base64": "aGk="}
    for reply in replies:
        assert form(shaped(result(output(**held)), dialect)) == form(reply)


def form(value):
    """The keys and the types of a document, without its values."""
    if isinstance(value, dict):
        return {key: form(each) for key, each in value.items()}
    return [form(each) for each in value] if isinstance(value, list) else type(value).__name__


def test_the_documented_bounds_and_loaders_are_those_of_the_code():
    assert f"than {MOST_NODES} nodes" in PAGE
    assert f"at most {MOST_FILES}." in PAGE
    assert not [class_type for class_type, _ in BUILT_IN if f"`{class_type}`" not in PAGE]
