"""Files in payloads: how they may be written, where they may stand, and that nothing else is ever taken for one."""

import copy
import json

import jsonschema
import pytest
from support.workflows import make_workflow, sampler_graph

from engine.errors import InvalidPayload

PICTURES = {
    "images": {"type": "array", "items": {"type": "image"}, "maxItems": 3, "default": []},
    "layers": {
        "type": "array",
        "default": [],
        "items": {
            "type": "object",
            "properties": {
                "strength": {"type": "number", "default": 1},
                "picture": {
                    "type": "image",
                    "required": True,
                    "maxPixels": 9,
                    "minSide": 2,
                    "aspectRatio": "1:1",
                    "resizeTo": 64,
                },
                "mask": {"type": "mask", "animated": True, "maxBytes": 1000},
            },
        },
    },
    "sound": {"type": "audio", "maxBytes": 500},
    "link": {"type": "string", "default": "https://example.org/default.png"},
}
COMPUTED = {
    "$['10'].inputs.image": "images[0] if images else none",
    "$['11'].inputs.image": "layers[0].picture if layers else none",
    "$['9'].inputs.filename_prefix": "{{ link }} {{ sound }} {{ layers[0].mask if layers else '' }}",
}


@pytest.fixture
def pictures(tmp_path):
    graph = sampler_graph()
    for loader, preview in (("10", "12"), ("11", "13")):
        graph[loader] = {"class_type": "LoadImage", "inputs": {"image": "exported.png"}}
        graph[preview] = {"class_type": "PreviewImage", "inputs": {"images": [loader, 0]}}
    rules = [{"that": "not images or images[0] == 'images_0.png'", "message": "the rule sees no file name"}]
    return make_workflow(tmp_path, {"parameters": PICTURES, "computed": COMPUTED, "rules": rules}, graph)


def problems_of(workflow, payload):
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate(payload)
    return {problem.where: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    "value",
    [
        "data:audio/wav;base64,QUJD",
        {"url": "https://example.org/a.wav"},
        {"url": "https://example.org/a", "filename": "", "headers": {}},
        {"url": "s3://bucket/key", "filename": "a.wav", "headers": {"Authorization": "Bearer x", "": ""}},
    ],
)
def test_both_forms_of_a_file_are_taken_as_they_are(pictures, value):
    values = pictures.validate({"sound": value})
    assert values["sound"] == value
    assert [(each.where, each.value) for each in pictures.media_values(values)] == [("sound", value)]


@pytest.mark.parametrize(
    ("value", "where", "said"),
    [
        (5, "sound", "must be an audio file: a string that holds it or says where it is, or an object with its url"),
        (["x"], "sound", "(got an array)"),
        ("", "sound", "must not be empty"),
        ("\ud800", "sound", "valid Unicode"),
        ({}, "sound.url", "is required"),
        ({"url": ""}, "sound.url", "must not be empty"),
        ({"url": None}, "sound.url", "must be a string (got null)"),
        ({"url": "u", "filename": 3}, "sound.filename", "must be a string (got a number)"),
        ({"url": "u", "headers": ["Authorization"]}, "sound.headers", "must be an object of strings (got an array)"),
        ({"url": "u", "headers": {"Authorization": None}}, "sound.headers", "must hold strings alone (one is null)"),
        ({"url": "u", "header": {}}, "sound.header", 'unknown key (did you mean "headers"?)'),
        ({"url": "u", "zzzz": {}}, "sound.zzzz", "unknown key; a file as an object has: url, filename, headers"),
    ],
)
def test_a_file_that_is_written_wrongly(pictures, value, where, said):
    assert said in problems_of(pictures, {"sound": value})[where]


def test_a_wrong_file_is_named_by_its_place_and_told_with_all_the_others(pictures):
    found = problems_of(pictures, {"images": ["a", None], "layers": [{"picture": "p"}, {"mask": {"uri": "m"}}]})
    assert found["images[1]"].startswith("must be an image: ")
    assert found["layers[1].picture"] == "is required"
    assert 'did you mean "url"' in found["layers[1].mask.uri"]
    assert problems_of(pictures, {"images": ["a"] * 4}) == {"images": "must have at most 3 items (got 4)"}


@pytest.mark.parametrize("sent", ["SECRET", {"url": "SECRET", "headers": {"Authorization": "SECRET"}}])
@pytest.mark.parametrize("name", ["images", "layers"])
def test_a_file_where_a_list_of_them_belongs_is_not_echoed(pictures, name, sent):
    message = problems_of(pictures, {name: sent})[name]
    assert message.startswith("must be an array (got a")
    assert "SECRET" not in message


def test_files_are_listed_in_order_with_what_the_map_says_of_each(pictures):
    payload = {
        "sound": {"url": "https://example.org/a.wav"},
        "layers": [{"picture": "p0", "mask": None}, {"mask": "m1", "picture": "p1"}],
        "images": ["i0", {"url": "i1"}],
    }
    found = pictures.media_values(pictures.validate(payload))
    assert [(each.where, each.parameter.type, each.value) for each in found] == [
        ("images[0]", "image", "i0"),
        ("images[1]", "image", {"url": "i1"}),
        ("layers[0].picture", "image", "p0"),
        ("layers[1].picture", "image", "p1"),
        ("layers[1].mask", "mask", "m1"),
        ("sound", "audio", {"url": "https://example.org/a.wav"}),
    ]
    picture = found[2].parameter
    assert (picture.max_pixels, picture.aspect_bounds, picture.resize_to, picture.animated) == (9, (1, 1), 64, False)
    assert (found[4].parameter.animated, found[4].parameter.max_bytes) == (True, 1000)


def test_nothing_but_a_declared_file_is_one(pictures):
    """A text that looks like a URL stays a text: what a prompt says is never fetched."""
    values = pictures.validate({"link": "https://example.org/a.png"})
    assert pictures.media_values(values) == []
    assert pictures.render(values)["9"]["inputs"]["filename_prefix"].startswith("https://example.org/a.png ")
    assert pictures.without_media(values, {})["link"] == "https://example.org/a.png"


def test_nested_files_are_rendered_by_their_names(pictures):
    values = pictures.validate({"images": ["SECRET"], "layers": [{"picture": {"url": "SECRET"}, "mask": "SECRET"}]})
    before = copy.deepcopy(values)
    files = {"images[0]": "job/i.png", "layers[0].picture": "job/p.png", "layers[0].mask": "job/m.png"}
    graph = pictures.render(values, files)
    assert graph["10"]["inputs"]["image"] == "job/i.png"
    assert graph["11"]["inputs"]["image"] == "job/p.png"
    assert graph["9"]["inputs"]["filename_prefix"].endswith(" job/m.png")
    assert values == before
    stand_ins = pictures.render(values)
    assert stand_ins["10"]["inputs"]["image"] == "images_0.png"
    assert stand_ins["11"]["inputs"]["image"] == "layers_0_picture.png"
    assert "SECRET" not in json.dumps([graph, stand_ins])
    assert pictures.render(pictures.validate({}))["10"]["inputs"]["image"] == "exported.png"


def test_results_report_files_by_their_names_alone(pictures):
    values = pictures.validate(
        {
            "images": ["SECRET"],
            "layers": [{"picture": "SECRET"}],
            "sound": {"url": "SECRET", "headers": {"A": "SECRET"}},
        }
    )
    shown = pictures.without_media(values, {"images[0]": "cat.png"})
    assert shown["images"] == ["cat.png"]
    assert shown["layers"] == [{"strength": 1, "picture": "(image)", "mask": None}]
    assert (shown["sound"], shown["link"]) == ("(audio)", "https://example.org/default.png")


def test_a_list_of_files_can_be_bound_as_it_is(tmp_path):
    graph = sampler_graph() | {"20": {"class_type": "OfSomePack", "inputs": {"files": "", "from": ["9", 0]}}}
    files = {"type": "array", "items": {"type": "image"}, "bind": "$['20'].inputs.files", "required": True}
    workflow = make_workflow(tmp_path, {"parameters": {"files": files}, "outputs": {"all": {"node": "20"}}}, graph)
    rendered = workflow.render(workflow.validate({"files": ["a", {"url": "b"}]}), {"files[0]": "0.png"})
    assert rendered["20"]["inputs"]["files"] == {"__value__": ["0.png", "files_1.png"]}


def test_the_json_schema_says_what_holds_for_files(pictures):
    schema = pictures.payload_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert properties["sound"]["type"] == ["string", "object", "null"]
    assert (properties["sound"]["x-type"], properties["sound"]["x-max-bytes"]) == ("audio", 500)
    assert properties["images"]["items"]["type"] == ["string", "object"]
    layer = properties["layers"]["items"]["properties"]
    ours = {key: value for key, value in layer["picture"].items() if key.startswith("x-")}
    assert ours == {"x-type": "image", "x-max-pixels": 9, "x-min-side": 2, "x-aspect-ratio": "1:1", "x-resize-to": 64}
    assert layer["mask"]["x-animated"] is True


def test_an_item_is_null_only_where_the_map_says_so(tmp_path):
    parameters = {"images": {"type": "array", "items": {"type": "image", "default": None}, "default": []}}
    workflow = make_workflow(
        tmp_path, {"parameters": parameters, "computed": {"$['3'].inputs.steps": "images|length + 1"}}
    )
    values = workflow.validate({"images": [None, "a"]})
    assert [each.where for each in workflow.media_values(values)] == ["images[1]"]
    assert workflow.without_media(values, {}) == {"images": [None, "(image)"]}
