"""Real graphs by other people: the map that is drafted for each loads, and gives its template back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.authoring_score import scores, totals
from support.drafted import drafted, rendered_back
from support.official import official_workflows
from support.workflows import ROOT, SHARED

from engine.authoring.discovery import draft_map
from engine.nodes import load_catalogue

CORPUS = {path.stem: path for path in sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))}
NO_GRAPH = {"sd15_text2img_not_api_version"}
SAMPLES = ("KSampler", "SamplerCustom", "pipeKSampler", "SUPIR_sample", "UltimateSDUpscale")


def read(name):
    return json.loads(CORPUS[name].read_text())


corpus = pytest.mark.skipif(not CORPUS, reason="the corpus of graphs is not beside the repository")


@corpus
@pytest.mark.parametrize("name", sorted(CORPUS.keys() - NO_GRAPH))
def test_the_drafted_map_of_a_real_graph_loads_and_gives_the_template_back(name):
    graph = read(name)
    found, expected = rendered_back(drafted(graph), graph)
    assert found == expected
    assert len(drafted(graph).document["parameters"]) <= 15


@corpus
@pytest.mark.parametrize("name", sorted(CORPUS.keys() - NO_GRAPH))
def test_a_real_graph_with_a_sampler_has_at_least_prompt_seed_and_steps(name):
    graph = read(name)
    if any(word in node["class_type"] for node in graph.values() for word in SAMPLES):
        assert {"prompt", "seed", "steps"} <= drafted(graph).document["parameters"].keys()
    else:
        assert drafted(graph).document["parameters"]


@corpus
def test_a_text_that_reaches_both_roles_is_named_to_the_author():
    draft = drafted(read("sdxl_revision_zero_positive"))
    assert any("CLIPTextEncode (6) feeds positive and negative inputs alike" in note for note in draft.notes)


@pytest.mark.parametrize("name", ["txt2img", "img2img"])
def test_the_bare_template_gives_every_parameter_of_the_shipped_map(name):
    shipped = json.loads((ROOT / "schemas" / f"{name}.json").read_text())
    draft = drafted(json.loads((ROOT / "templates" / f"{name}.json").read_text()))
    assert draft.document["parameters"].keys() == shipped["parameters"].keys()
    for key, parameter in shipped["parameters"].items():
        assert draft.document["parameters"][key]["bind"] == parameter["bind"]
        assert draft.document["parameters"][key]["type"] == parameter["type"]
    assert draft.document["outputs"] == shipped["outputs"]
    assert draft.document["expects"] == shipped["expects"]
    assert [each["path"] for each in draft.document["requires"]["models"]] == [
        each["path"] for each in shipped["requires"]["models"]
    ]


@pytest.mark.skipif(not official_workflows(), reason="the official workflows are not installed")
def test_what_authors_chose_in_app_mode_is_found():
    found = [each for each, _ in scores()]
    assert len(found) >= 20
    reached = totals(found)
    assert reached["recall"] >= 0.85, reached
    assert reached["precision"] >= 0.4, reached


# Random graphs: any classes, known and not, any literals, links only to earlier nodes.
CLASSES = st.sampled_from(
    ["KSampler", "CLIPTextEncode", "LoadImage", "LoraLoader", "SaveImage", "PrimitiveInt", "StringConcatenate",
     "ComfySwitchNode", "ConditioningZeroOut", "EmptyLatentImage", "PreviewAny", "MyLoadImage", "SomeApiNode",
     "Seed (x)"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["seed", "noise_seed", "text", "prompt", "negative_prompt", "image", "width", "value", "model", "positive",
     "negative", "on_true", "on_false", "switch", "lora_name", "strength_model", "strength_clip", "clip", "steps",
     "cfg", "a.b c", "é", "fps", "length", "images", "model.resolution", "item", "samples", "conditioning",
     "ckpt_name", "sampler_name"]
)  # fmt: skip
LITERALS = st.one_of(
    st.integers(-5, 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
    st.sampled_from(["", "a cat", "cat.png", "x.safetensors", "euler", "None", "a\\b.ckpt"]),
    st.text(max_size=5), st.lists(st.integers(), max_size=3), st.just({"__value__": [1, 2]}),
)  # fmt: skip
IDS = st.sampled_from(["1", "2", "57:8", "a b", "x.y", "🙂", "9"])


@st.composite
def graphs(draw):
    ids = draw(st.lists(IDS, min_size=1, max_size=7, unique=True))
    graph = {}
    for position, node_id in enumerate(ids):
        inputs = {}
        for name in draw(st.lists(NAMES, max_size=6, unique=True)):
            if position and draw(st.booleans()):
                inputs[name] = [ids[draw(st.integers(0, position - 1))], draw(st.integers(0, 3))]
            else:
                inputs[name] = draw(LITERALS)
        graph[node_id] = {"class_type": draw(CLASSES), "inputs": inputs}
        if not inputs and draw(st.booleans()):
            del graph[node_id]["inputs"]
    last = ids[-1]
    graph["save"] = {"class_type": "SaveImage", "inputs": {"images": [last, 0], "filename_prefix": "x"}}
    return graph


@given(graph=graphs())
@settings(max_examples=150)
def test_any_graph_gets_a_map_that_loads_and_gives_it_back(graph):
    found, expected = rendered_back(drafted(graph), graph)
    assert found == expected
    assert draft_map(graph, load_catalogue()) == drafted(graph)
