"""`engine check` and `engine render --diff` in a process of their own, with the hook and the action that run them."""

import json

import pytest
from support.checked_maps import MAP, WARNED
from support.command import run_engine
from support.workflows import ROOT, sampler_graph, write_workflow


@pytest.fixture
def engine(tmp_path):
    """Run `engine …` on the workflows of an empty folder."""

    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{"WORKFLOWS_PATH": str(tmp_path), **more})

    return run


def test_a_warning_fails_where_the_check_is_strict(engine, tmp_path):
    write_workflow(tmp_path, "poster", sampler_graph(), WARNED)
    done = engine("check")
    assert done.stdout.splitlines()[0] == "ok      poster  (1 example)"
    assert "warning unlisted_model: templates/poster.json: 4.inputs.ckpt_name: " in done.stdout
    assert "1 of 1 workflows are fine (ComfyUI 0.8.0): 1 warning" in done.stderr
    assert engine("check", "--strict", status=1).stdout.startswith("FAILED  poster")


def test_json_is_one_document_with_every_finding_and_the_counts(engine, tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), MAP)
    write_workflow(tmp_path, "poster", sampler_graph(), WARNED)
    write_workflow(tmp_path, "broken", sampler_graph(), "{")
    document = json.loads(engine("check", "--json", "--strict", status=1).stdout)
    assert {each["name"]: each["status"] for each in document["workflows"]} == {
        "broken": "failed",
        "good": "ok",
        "poster": "failed",
    }
    assert document["counts"] == {"workflows": 3, "failed": 2, "error": 1, "warning": 1, "note": 0}
    (finding,) = document["workflows"][2]["findings"]
    assert finding["remedy"].startswith('add to requires.models: {"path": "checkpoints/')
    assert set(finding) == {"code", "severity", "file", "where", "message", "remedy"}
    assert [each["name"] for each in json.loads(engine("check", "--json", "poster").stdout)["workflows"]] == ["poster"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("psoter",), 'did you mean "poster"?'),
        (("--folder", "nowhere"), "there is no such folder"),
        (("--folder", "empty"), "nothing to check: no workflow is in empty"),
        (("--live",), "set COMFY_URL or COMFY_HOME"),
        (("--live", "http://127.0.0.1:9", "--catalogue", "x.json"), "--live and --catalogue"),
    ],
)
def test_wrong_usage_has_a_status_of_its_own(engine, tmp_path, arguments, says):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    (tmp_path / "empty").mkdir()
    assert says in engine("check", *arguments, status=2).stderr


def test_a_path_without_workflows_is_no_success(engine, tmp_path):
    assert "nothing to check" in engine("check", status=2).stderr


def test_no_comfyui_to_check_against(engine, tmp_path, unused_port):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    assert "comfy_unavailable" in engine("check", "--live", f"http://127.0.0.1:{unused_port}", status=1).stderr


def test_a_hundred_workflows_stay_readable(engine, tmp_path):
    for index in range(100):
        write_workflow(tmp_path, f"w{index}", sampler_graph(), {**MAP, "expects": {}})
    done = engine("check")
    assert len(done.stdout.splitlines()) == 100
    assert "100 notes" in done.stderr
    assert "engine check NAME shows them" in done.stderr
    assert "note not_expected" in engine("check", "w7").stdout


def test_many_findings_of_a_kind_are_counted(engine, tmp_path):
    graph = sampler_graph() | {str(i): {"class_type": f"Unknown{i}", "inputs": {}} for i in range(20, 30)}
    graph["9"]["inputs"] |= {f"more{i}": [str(i), 0] for i in range(20, 30)}
    write_workflow(tmp_path, "poster", graph, MAP)
    printed = engine("check").stdout
    assert printed.count("unknown_class: templates") == 4
    assert "and 6 more of unknown_class" in printed
    assert len(json.loads(engine("check", "--json").stdout)["workflows"][0]["findings"]) == 20


def test_no_error_is_left_out(engine, tmp_path):
    wrong = {f"wrong_{index}": {"type": "integer", "bind": f"$['{index}'].inputs.steps"} for index in range(20, 30)}
    write_workflow(tmp_path, "poster", sampler_graph(), MAP | {"parameters": MAP["parameters"] | wrong})
    assert engine("check", status=1).stdout.count("error broken_path: schemas/poster.json: parameters.wrong_") == 10


def test_a_running_comfyui_is_asked_for_its_files(engine, tmp_path, comfy_url, checkpoint):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    printed = engine("check", "--live", comfy_url, "poster", status=1).stdout
    assert "error not_available: schemas/poster.json: parameters.ckpt_name: the template's own value" in printed
    assert "error missing_model: schemas/poster.json: requires.models[0]" in printed
    graph = sampler_graph()
    graph["4"]["inputs"]["ckpt_name"] = checkpoint
    requires = {"models": [{"path": f"checkpoints/{checkpoint}"}]}
    examples = [{"title": "x", "payload": {"prompt": "x", "ckpt_name": checkpoint}}]
    write_workflow(tmp_path, "poster", graph, {**MAP, "requires": requires, "examples": examples})
    assert "1 of 1 workflows are fine (the running ComfyUI" in engine("check", "--live", comfy_url, "--strict").stderr
    assert engine("check", "--live", "poster", COMFY_URL=comfy_url).stdout.startswith("ok ")
    examples = [{"title": "x", "payload": {"prompt": "x", "ckpt_name": "none.safetensors"}}]
    write_workflow(tmp_path, "poster", graph, {**MAP, "requires": requires, "examples": examples})
    printed = engine("check", "--live", comfy_url, status=1).stdout
    assert "not_available: schemas/poster.json: examples[0].payload: ckpt_name" in printed


def test_what_a_running_comfyui_would_refuse_is_an_error(engine, tmp_path, comfy_url, comfy, checkpoint):
    graph = sampler_graph()
    graph["4"]["inputs"]["ckpt_name"] = checkpoint
    graph["8"]["class_type"] = "DecodeOfSomePack"
    del graph["3"]["inputs"]["denoise"]
    graph["5"]["inputs"]["width"] = 1
    graph["10"] = {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"model": ["4", 0], "lora_name": "gone.safetensors", "strength_model": 1},
    }
    graph["3"]["inputs"]["model"] = ["10", 0]
    requires = {"models": [{"path": f"checkpoints/{checkpoint}"}]}
    write_workflow(tmp_path, "poster", graph, {**MAP, "requires": requires})
    before = comfy.client.queue()
    document = json.loads(engine("check", "--live", comfy_url, "--json", status=1).stdout)
    found = {each["code"]: each for each in document["workflows"][0]["findings"] if each["severity"] == "error"}
    assert set(found) == {"unknown_class", "missing_input", "out_of_range", "no_choice"}
    assert found["unknown_class"]["remedy"] == "install the node pack that has it there"
    assert found["no_choice"]["remedy"].startswith("put the file there, or ")
    assert comfy.client.queue() == before
    assert {each["severity"] for each in json.loads(engine("check", "--json").stdout)["workflows"][0]["findings"]} == {
        "warning"
    }


def test_saved_examples_show_what_changed(engine, tmp_path):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    assert "saved: " in engine("check", "--save", "--strict").stderr
    kept = tmp_path / "tests" / "rendered" / "poster" / "a-cat.json"
    first = kept.read_bytes()
    assert json.loads(first)["3"]["inputs"]["seed"] == 0
    assert "saved" not in engine("check", "--save", "--strict").stderr
    assert kept.read_bytes() == first

    graph = sampler_graph()
    graph["3"]["inputs"]["steps"] = 12
    examples = [*MAP["examples"], {"title": "A cat", "payload": {"prompt": "another", "seed": 3}}]
    write_workflow(tmp_path, "poster", graph, {**MAP, "examples": examples})
    printed = engine("check", "--strict", status=1).stdout
    assert "render_changed: tests/rendered/poster/a-cat.json" in printed
    assert "  steps: 20 -> 12" in printed
    assert "render_unsaved: tests/rendered/poster/a-cat-2.json" in printed
    assert kept.read_bytes() == first

    assert "saved again: " in engine("check", "--save", "--strict").stderr
    write_workflow(tmp_path, "poster", graph, MAP)
    printed = engine("check").stdout
    assert "render_left_over: tests/rendered/poster/a-cat-2.json" in printed
    assert "removed, its example is gone" in engine("check", "--save", "--strict").stderr
    assert [path.name for path in kept.parent.iterdir()] == ["a-cat.json"]
    assert engine("check", "--strict").stdout == "ok      poster  (1 example)\n"


def test_a_saved_graph_that_is_none_is_named(engine, tmp_path):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    engine("check", "--save")
    (tmp_path / "tests" / "rendered" / "poster" / "a-cat.json").write_text("{")
    assert "what was saved is no graph" in engine("check").stdout


def test_an_example_that_needs_another_seed_than_the_stand_in_is_not_saved(engine, tmp_path):
    rule = {"that": "seed > 5", "message": "too small a seed"}
    examples = [*MAP["examples"], {"title": "Seven", "payload": {"prompt": "x", "seed": 7}}]
    write_workflow(tmp_path, "poster", sampler_graph(), {**MAP, "rules": [rule], "examples": examples})
    done = engine("check", "--save")
    assert done.stdout.splitlines()[0] == "ok      poster  (2 examples)"
    assert "not saved: " in done.stderr
    assert "seed: too small a seed; give the example a seed" in done.stderr
    assert [path.name for path in (tmp_path / "tests" / "rendered" / "poster").iterdir()] == ["seven.json"]
    assert "render_unsaved: tests/rendered/poster/a-cat.json: with the seed 0" in engine("check").stdout


def test_examples_that_can_not_be_saved(engine, tmp_path):
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    (tmp_path / "tests").write_text("a file where a folder belongs")
    assert "can't be written" in engine("check", "--save", status=1).stderr


def test_diff_tells_the_parameter_behind_each_change(engine):
    printed = engine(
        *("render", "txt2img", "-p", "prompt=boats", "-p", "seed=7", "-p", "steps=12", "--diff"),
        WORKFLOWS_PATH=str(ROOT),
    ).stdout
    page = (ROOT / "docs" / "checking.md").read_text()
    assert printed in page
    command = "engine render txt2img -p prompt=boats -p seed=7 -p steps=12 --diff"
    assert f"$ {command}\n{printed}" in page


def test_diff_as_a_document(engine):
    arguments = ("render", "resize", "-p", "width=30", "-p", "color=#102030", "--diff", "--json")
    document = json.loads(engine(*arguments, WORKFLOWS_PATH=str(ROOT)).stdout)
    changes = {each["node"]: each for each in document["changes"]}
    assert changes["2"]["change"] == "dropped"
    assert changes["2"]["by"] == {"reason": "no output needs it any more"}
    color = changes["1"]["inputs"][0]
    assert color["by"] == {"parameters": ["color"], "sent": ["color"], "expression": "color|color"}
    assert {each["input"] for each in changes["3"]["inputs"]} == {"width", "height", "image"}
    assert document["values"]["width"] == 30


def test_diff_of_a_payload_that_changes_nothing(engine, tmp_path):
    write_workflow(tmp_path, "plain", sampler_graph(), {"parameters": {}})
    done = engine("render", "plain", "--diff")
    assert not done.stdout
    assert "gives the template as it is" in done.stderr


OPERATORS = {
    "parameters": {
        "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
        "seed": {"type": "seed", "default": 5, "bind": "$['3'].inputs.seed"},
        "upscale": {"type": "boolean", "default": False},
        "loras": {
            "type": "array",
            "default": [],
            "maxItems": 5,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "required": True},
                    "strength": {"type": "number", "default": 1},
                },
            },
        },
    },
    "repeat": {
        "10": {"over": "loras", "set": {"lora_name": "item.name", "strength_model": "item.strength / 2"}},
    },
    "switches": {"large": {"when": "upscale", "bypass": ["21"]}},
    "outputs": {"image": {"node": "9"}},
}


def operated_graph():
    graph = sampler_graph()
    lora = {"lora_name": "a.safetensors", "strength_model": 1, "strength_clip": 1, "model": ["4", 0], "clip": ["4", 1]}
    graph["10"] = {"class_type": "LoraLoader", "inputs": lora, "_meta": {"title": "Style"}}
    graph["3"]["inputs"]["model"] = graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = None
    graph["3"]["inputs"]["model"] = ["10", 0]
    graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["10", 1]
    graph["20"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "x4.pth"}}
    graph["21"] = {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["20", 0], "image": ["8", 0]}}
    graph["9"]["inputs"]["images"] = ["21", 0]
    return graph


def test_diff_tells_the_switch_and_the_repeat_behind_each_change(engine, tmp_path):
    write_workflow(tmp_path, "made", operated_graph(), OPERATORS)
    off = engine("render", "made", "-p", "prompt=x", "--diff").stdout
    assert "ImageUpscaleWithModel (21)  dropped: upscale, not sent; switches.large: off" in off
    assert "UpscaleModelLoader (20)  dropped: no output needs it any more" in off
    assert "images: ImageUpscaleWithModel (21)[0] -> VAEDecode (8)[0]   (upscale, not sent; switches.large: off)" in off
    assert 'LoraLoader (10) "Style"  dropped: loras, not sent; repeat.10: the list is empty' in off
    assert "model: LoraLoader (10)[0] -> CheckpointLoaderSimple (4)[0]   (loras, not sent; repeat.10)" in off
    loras = 'loras:=[{"name": "b"}, {"name": "c", "strength": 0.5}]'
    both = engine("render", "made", "-p", "prompt=x", "-p", loras, "-p", "upscale=true", "--diff").stdout
    assert 'lora_name: "a.safetensors" -> "b"   (loras[0].name; repeat.10)' in both
    assert "strength_model: 1 -> 0.5   (loras; computed: item.strength / 2; repeat.10)" in both
    assert 'LoraLoader (10#2) "Style"  added, a copy of LoraLoader (10): loras; repeat.10' in both
    assert 'lora_name: "a.safetensors" -> "c"   (loras[1].name; repeat.10)' in both
    assert "model: LoraLoader (10)[0] -> LoraLoader (10#2)[0]   (loras; repeat.10)" in both
    assert "dropped" not in both
    engine("check", "--save", "made")
    assert "render_changed" not in engine("check", "made").stdout
