"""The command line, in a process of its own, as a person in a hurry uses it."""

import json
import os
import re
import signal
import subprocess

import pytest
from PIL import Image
from support.command import ENGINE, run_engine
from support.workflows import ROOT, sampler_graph, write_workflow


@pytest.fixture
def engine(tmp_path, comfy_url):
    """Run `engine …` in an empty folder, on the ComfyUI of the tests."""

    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{"COMFY_URL": comfy_url, **more})

    return run


def test_run_prints_the_path_of_a_picture_that_is_there(engine, tmp_path):
    done = engine("run", "resize", "-p", "color=#102030", "-p", "width=40", "-p", "height=30")
    path = tmp_path / done.stdout.strip()
    assert path.parent == tmp_path / "outputs"
    with Image.open(path) as picture:
        assert picture.size == (40, 30)
        assert picture.convert("RGB").getpixel((3, 3)) == (0x10, 0x20, 0x30)


def test_a_file_goes_in_and_a_folder_is_chosen(engine, tmp_path):
    Image.new("RGB", (60, 40), (1, 2, 3)).save(tmp_path / "in.png")
    done = engine("run", "resize", "-p", "image=@in.png", "-p", "width=30", "--out", "elsewhere/deep")
    with Image.open(tmp_path / done.stdout.strip()) as picture:
        assert picture.size == (30, 20)
    assert done.stdout.startswith("elsewhere/deep/")


def test_nothing_is_ever_overwritten(engine):
    first, second = (engine("run", "resize", "-p", "width=20").stdout for _ in range(2))
    assert first != second


def test_json_prints_one_document_and_nothing_else(engine):
    result = json.loads(engine("run", "resize", "-p", "width=20", "--json").stdout)
    assert result["outputs"][0]["path"].startswith("outputs/")
    failure = json.loads(engine("run", "resize", "-p", "with=20", "--json", status=1).stdout)
    assert failure["failure"]["code"] == "invalid_payload"
    assert failure["failure"]["problems"][0]["parameter"] == "with"
    unknown = json.loads(engine("run", "resise", "--json", status=1).stdout)
    assert 'did you mean "resize"?' in unknown["error"]


def test_json_prints_a_usage_error_as_well(engine):
    failure = json.loads(engine("run", "resize", "-p", "width", "--json", status=2).stdout)
    assert "not of the form key=value" in failure["error"]


def test_a_catalogue_that_is_none_is_named(engine, tmp_path):
    (tmp_path / "nodes.json.gz").write_bytes(b"\x1f\x8b\x08")
    (tmp_path / "nodes.json").write_text('{"nodes": [], "comfyui_version": "1"}')
    for name in ("nodes.json.gz", "nodes.json", "nothing.json"):
        assert "can't be read" in engine("check", "--catalogue", name, status=1).stderr


def test_a_plain_terminal_gets_every_character_in_some_form(engine):
    printed = engine("render", "txt2img", "-p", "prompt=h\u00e4user", PYTHONIOENCODING="ascii").stdout
    assert json.loads(printed)["6"]["inputs"]["text"] == "h\u00e4user"


def test_values_are_read_by_the_parameters_type(engine):
    rendered = json.loads(
        engine(
            *(
                "render",
                "txt2img",
                "--json",
                "-p",
                "prompt=123",
                "-p",
                "steps=30",
                "-p",
                "cfg_scale=6.5",
                "-p",
                "seed:=9",
            )
        ).stdout
    )
    assert rendered["values"]["prompt"] == "123"
    assert (rendered["values"]["steps"], rendered["values"]["cfg_scale"], rendered["values"]["seed"]) == (30, 6.5, 9)
    assert rendered["graph"]["3"]["inputs"]["steps"] == 30


def test_texts_come_from_files_and_payloads_from_stdin(engine, tmp_path):
    (tmp_path / "prompt.txt").write_text("a cat = a cat")
    graph = json.loads(engine("render", "txt2img", "-p", "prompt=@prompt.txt").stdout)
    assert graph["6"]["inputs"]["text"] == "a cat = a cat"
    graph = json.loads(
        engine("render", "txt2img", "--payload", "-", "-p", "steps=3", stdin='{"prompt": "x", "steps": 9}').stdout
    )
    assert (graph["6"]["inputs"]["text"], graph["3"]["inputs"]["steps"]) == ("x", 3)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "usage: engine"),
        (("rnu",), 2, "invalid choice"),
        (("run",), 2, "NAME"),
        (("run", "resize", "-p", "width"), 2, "not of the form key=value"),
        (("run", "resize", "-p", "width:=[1"), 2, "takes JSON"),
        (("run", "txt2img", "-p", "prompt=@nothing.txt"), 2, "nothing.txt: No such file"),
        (("run", "txt2img", "--payload", "nothing.json"), 1, "nothing.json: can't be read: No such file"),
        (("run", "resize", "-p", "width:=" + "9" * 5000), 2, "too long"),
        (("run", "resize", "-p", "width:=" + "[" * 100_000), 2, "nested too deeply"),
        (("run", "resise"), 1, 'did you mean "resize"?'),
        (("run", "resize", "-p", "colr=1"), 1, 'did you mean "color"?'),
        (("run", "resize", "-p", "width=wide"), 1, 'width: must be a whole number (got "wide")'),
        (("run", "resize", "-p", "image=@nothing.png"), 1, "nothing.png"),
        (("describe", "txt2mg"), 1, 'did you mean "txt2img"?'),
        (("check", "txt2mg"), 2, 'did you mean "txt2img"?'),
        (("nodes", "refresh"), 2, "--from"),
    ],
)
def test_mistakes_get_an_answer_that_helps(engine, arguments, status, words):
    done = engine(*arguments, status=status)
    assert words in done.stderr
    assert not done.stdout


def test_no_comfyui_on_the_port(engine, unused_port):
    done = engine("run", "resize", status=1, COMFY_URL=f"http://127.0.0.1:{unused_port}")
    assert f"no ComfyUI answers at http://127.0.0.1:{unused_port}" in done.stderr
    assert "COMFY_URL" in done.stderr


def test_a_wrong_payload_is_refused_also_without_a_comfyui(engine, unused_port):
    done = engine("run", "resize", "-p", "wdth=3", status=1, COMFY_URL=f"http://127.0.0.1:{unused_port}")
    assert 'did you mean "width"?' in done.stderr


def test_a_folder_that_is_no_comfyui(engine, tmp_path):
    done = engine("run", "resize", status=1, COMFY_URL="", COMFY_HOME=str(tmp_path))
    assert "COMFY_HOME: holds no ComfyUI" in done.stderr


def test_without_a_comfyui_the_simulator_runs_and_says_so(engine, tmp_path):
    done = engine("run", "txt2img", "-p", "prompt=a cat", "-p", "seed=7", COMFY_URL="")
    assert "simulator" in done.stderr
    with Image.open(tmp_path / done.stdout.strip()) as picture:
        assert picture.size == (512, 512)


def test_the_simulator_has_the_templates_models_and_no_others(engine):
    done = engine("run", "txt2img", "-p", "prompt=x", "-p", "ckpt_name=v1-5-prunde.safetensors", status=1, COMFY_URL="")
    assert 'did you mean "v1-5-pruned-emaonly-fp16.safetensors"?' in done.stderr


@pytest.fixture
def _keyboard():
    """A suite in the background of a shell ignores the keyboard, and what it starts would as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_keyboard")
def test_stopping_it_from_the_keyboard_lets_go_of_comfyui(tmp_path, comfy_url, comfy, checkpoint, wait_until):
    payload = ["prompt=x", "steps=150", "width=128", "height=128", f"ckpt_name={checkpoint}"]
    process = subprocess.Popen(
        [ENGINE, "run", "txt2img", *(f"-p{each}" for each in payload)],
        cwd=tmp_path,
        env=os.environ | {"COMFY_URL": comfy_url},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: comfy.client.queue()[0])
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "cancelled: stopped from the keyboard"
    wait_until(lambda: not any(comfy.client.queue()))


def test_list_shows_broken_workflows_beside_the_others(engine, tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), {"title": "Good", "parameters": {}})
    write_workflow(tmp_path, "broken", sampler_graph(), {"parameters": {"Steps": {"type": "integer"}}})
    printed = engine("list", WORKFLOWS_PATH=str(tmp_path)).stdout
    assert "good    Good" in printed
    assert "broken  BROKEN" in printed
    assert "schemas/broken.json: parameters.Steps" in printed


def test_a_long_list_is_not_checked_and_says_so(engine, tmp_path):
    for index in range(60):
        write_workflow(tmp_path, f"w{index}", sampler_graph(), {"title": f"Title {index}", "parameters": {}})
    done = engine("list", WORKFLOWS_PATH=str(tmp_path))
    assert len(done.stdout.splitlines()) == 60
    assert "Title 59" in done.stdout
    assert "not checked" in done.stderr


def test_a_long_list_goes_on_past_a_map_that_nobody_can_read(engine, tmp_path):
    for index in range(60):
        write_workflow(tmp_path, f"w{index}", sampler_graph(), {"title": f"Title {index}", "parameters": {}})
    (tmp_path / "schemas" / "w7.json").write_text("[" * 100_000)
    printed = engine("list", WORKFLOWS_PATH=str(tmp_path)).stdout.splitlines()
    assert len(printed) == 60
    assert "w7" in printed
    assert "w8   Title 8" in printed


def test_a_later_folder_wins_and_list_says_so(engine, tmp_path):
    write_workflow(tmp_path, "resize", sampler_graph(), {"title": "Mine", "parameters": {}})
    printed = engine("list", WORKFLOWS_PATH=f"{ROOT}:{tmp_path}").stdout
    assert "Mine  (replaces the one in" in printed


def test_a_folder_that_does_not_exist_is_named(engine):
    assert "the workflow folder /nowhere does not exist" in engine("list", status=1, WORKFLOWS_PATH="/nowhere").stderr


def test_describe_tells_what_a_workflow_takes(engine):
    printed = engine("describe", "txt2img").stdout
    assert re.search(r"steps +integer +20 +1 to 150", printed)
    assert re.search(r"prompt +string +required", printed)
    described = json.loads(engine("describe", "txt2img", "--json").stdout)
    assert described["payload"]["required"] == ["prompt"]


def test_check_passes_on_what_is_shipped(engine):
    assert re.search(r"^(\d+) of \1 workflows are fine", engine("check").stderr)


def test_check_warns_of_what_another_version_would_refuse(engine, tmp_path):
    graph = sampler_graph()
    del graph["3"]["inputs"]["denoise"]
    graph["8"]["class_type"] = "DecodeOfSomePack"
    write_workflow(tmp_path, "old", graph, {"parameters": {}, "outputs": {"image": {"node": "9"}}})
    printed = engine("check", WORKFLOWS_PATH=str(tmp_path)).stdout
    assert "KSampler (3) lacks denoise" in printed
    assert "does not know DecodeOfSomePack" in printed


def test_settings_hide_secrets(engine):
    printed = engine("settings", S3_SECRET_ACCESS_KEY="hush", S3_ACCESS_KEY_ID="id", S3_BUCKET="b").stdout
    assert "S3_SECRET_ACCESS_KEY=(set)" in printed
    assert "hush" not in printed
    printed = engine("settings", COMFY_URL="http://bob:hush@127.0.0.1:8188/path").stdout
    assert "COMFY_URL=http://…@127.0.0.1:8188/path" in printed
    assert "hush" not in printed


def test_a_wrong_setting_is_named(engine):
    assert "TIMEOUT_SECONDS" in engine("run", "resize", status=1, TIMEOUT_SECONDS="soon").stderr


def test_half_set_credentials_are_refused_with_the_missing_name(engine):
    done = engine("run", "resize", status=1, S3_BUCKET="b", S3_ACCESS_KEY_ID="id")
    assert "S3_SECRET_ACCESS_KEY" in done.stderr


def test_a_folder_that_can_not_be_written(engine, tmp_path):
    (tmp_path / "file").write_text("")
    done = engine("run", "resize", "-p", "width=20", "--out", "file", status=1)
    assert "storage_error" in done.stderr


def test_the_node_catalogue_is_made_from_a_running_comfyui(engine, tmp_path, comfy_url):
    done = engine("nodes", "refresh", "--from", comfy_url, "--out", "nodes.json.gz")
    assert "node classes of ComfyUI" in done.stderr
    assert re.search(r"^(\d+) of \1 workflows are fine", engine("check", "--catalogue", "nodes.json.gz").stderr)
    first = (tmp_path / "nodes.json.gz").read_bytes()
    engine("nodes", "refresh", "--from", comfy_url, "--out", "nodes.json.gz")
    assert (tmp_path / "nodes.json.gz").read_bytes() == first


def test_output_may_be_cut_off(engine, tmp_path):
    done = subprocess.run(
        f"{ENGINE} describe txt2img | head -1", shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("txt2img: Text to image")
    assert not done.stderr


def test_results_come_as_they_are_wished(engine, tmp_path):
    wishes = ("-d", "format=webp", "-d", "quality=70", "-d", "filename={workflow}_{width}", "-d", "prefix=mine")
    done = engine("run", "resize", "-p", "width=20", *wishes)
    assert done.stdout.strip() == "outputs/mine/resize_20.webp"
    assert (tmp_path / "outputs" / "mine" / "resize_20.webp").read_bytes()[8:12] == b"WEBP"


def test_a_wish_that_can_not_be_is_refused(engine):
    assert 'did you mean "format"?' in engine("run", "resize", "-d", "formt=webp", status=1).stderr
    assert "delivery.quality" in engine("run", "resize", "-d", "quality=high", status=1).stderr
    assert "key=value" in engine("run", "resize", "-d", "webp", status=2).stderr


def test_a_picture_by_url_from_a_private_network_is_refused_with_the_way(engine):
    done = engine("run", "resize", "-p", "image=http://127.0.0.1:9/cat.png", status=1)
    assert "image: names the host 127.0.0.1" in done.stderr


def test_what_a_bucket_that_is_away_did_not_take_is_a_file_here(engine, tmp_path, unused_port):
    bucket = {"S3_BUCKET": "results", "S3_ENDPOINT_URL": f"http://127.0.0.1:{unused_port}", "SPOOL_PATH": "off"}
    keys = {"S3_ACCESS_KEY_ID": "AKIAEXAMPLE", "S3_SECRET_ACCESS_KEY": "a-secret-value", "UPLOAD_RETRY_SECONDS": "0"}
    first, second = (
        engine("run", "resize", "-p", f"width={width}", COMFY_URL="", **bucket, **keys) for width in (16, 24)
    )
    assert "will not be in the bucket" in first.stderr
    assert first.stdout.startswith("outputs/resize_00001_")
    for done, width in ((first, 16), (second, 24)):
        with Image.open(tmp_path / done.stdout.strip()) as picture:
            assert picture.width == width


def test_why_a_comfyui_does_not_start_is_shown_at_a_terminal(engine, tmp_path):
    (tmp_path / "main.py").write_text("import a_module_that_is_missing")
    done = engine_without_check(tmp_path, "run", "resize", COMFY_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "No module named 'a_module_that_is_missing'" in done.stderr
    assert "comfy_unavailable: ComfyUI was started and ended at once with status 1" in done.stderr


def engine_without_check(folder, *arguments, **environment):
    """Run `engine …` where ComfyUI's own traceback is shown."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [ENGINE, *arguments]
    return subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=90, check=False
    )
