"""docs/migrate.md is true: each request gets its reply, and what takes the place of Python makes the same graphs."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.gcs import TOKEN, key_file, scripted, serve_gcs, serving
from support.graphs import fresh_number
from support.media import picture
from support.pages import blocks_of, changed_texts, differences, tables_of
from support.runpod_queue import serve_runpod_queue
from support.s3 import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, serve_s3
from support.web import serve_web
from support.worker import running_worker, worker_environment
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.envelope import answer
from engine.jobs import Runner
from engine.settings import load_settings, variables
from engine.storage import Storages

PAGE = (ROOT / "docs" / "migrate.md").read_text()
EXPORT = (ROOT / "tests" / "data" / "migrate" / "workflow_api.json").read_text()
BLOCKS = blocks_of(PAGE)
TABLES = tables_of(PAGE)
SITE = "https://example.com"
# Arguments of the image's build, and a variable that the start reads.
_NO_SETTINGS = {"COMFYUI_VERSION", "APT_PACKAGES", "TORCH_INDEX", "SERVE_API_LOCALLY"}


def block(kind, name):
    (found,) = [each for each in BLOCKS if (each.kind, each.name) == (kind, name)]
    return found


def environment(name):
    """The variables of a block, comments left out."""
    return dict(re.findall(r"^(\w+)=(\S+)", block("environment", name).text, re.MULTILINE))


FIRST_DAY = environment("first day")
GRAPH = block("request", "worker-comfyui").document["input"]["workflow"]
PORTRAIT = block("map", "portrait").text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a user: the files that the page's commands name, and a place for workflows."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "request.json").write_text(block("request", "worker-comfyui").text)
    (folder / "workflow_api.json").write_text(EXPORT)
    for part in ("templates", "schemas"):
        (folder / part).mkdir()
    return folder


def commanded(command, cwd, expected):
    """Run one of the page's commands in a folder; it is to print what the page says."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=cwd,
        env={"PATH": path, "WORKFLOWS_PATH": "."},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    for line in expected:
        pattern = re.escape(line).replace("…", ".*")
        assert re.search(f"^{pattern}$", printed, re.MULTILINE), f"{command}\n{line}\n--- printed:\n{printed}"


@pytest.fixture(scope="module")
def added(folder):
    """The folder after every command of the page; each is run, and prints what the page says."""
    for each in BLOCKS:
        if each.language == "console":
            for part in each.text.removeprefix("$ ").split("\n$ "):
                command, *expected = part.strip().splitlines()
                if "jq " in command and not shutil.which("jq"):
                    command = command.replace("jq .input.workflow request.json", _EXTRACT)
                commanded(command, folder, expected)
    (folder / "schemas" / "portrait.json").write_text(PORTRAIT)  # as its author goes on
    return folder


_EXTRACT = (
    f"""{sys.executable} -c 'import json; print(json.dumps(json.load(open("request.json"))["input"]["workflow"]))'"""
)


@pytest.fixture
def site():
    """The pictures and graphs that requests name by URL."""
    with serve_web() as web:
        web.serve("/photo.png", picture((64, 48)))
        web.serve("/graph.json", json.dumps(GRAPH).encode())
        yield web.url


@pytest.fixture
def worker(added, sharing_comfy, monkeypatch):
    """Answer requests as a worker with these variables does, its ComfyUI on this machine as in the image."""
    with contextlib.ExitStack() as stack:

        def started(**more):
            own = {"WORKFLOWS_PATH": str(added), "ALLOW_PRIVATE_URLS": "true", "NO_PROXY": "127.0.0.1"}
            for name, value in {**FIRST_DAY, **own, **more}.items():
                monkeypatch.setenv(name, value)
            chosen = load_settings()
            storages = Storages(chosen, default="inline")
            runner = Runner(Catalog(chosen.workflows_path), lambda: sharing_comfy, storages, chosen)
            stack.callback(runner.close)
            return lambda request: answer(request["input"], runner, job_id="job-1")

        yield started


@pytest.fixture
def bucket(tmp_path):
    """A bucket in worker-comfyui's variables."""
    with serve_s3(tmp_path / "s3") as server:
        yield {
            "BUCKET_ENDPOINT_URL": f"{server.endpoint_url}/{BUCKET}",
            "BUCKET_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "BUCKET_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        }


@pytest.fixture
def googles(tmp_path):
    """A bucket of Google's on this machine, in its variables."""
    with serve_gcs() as url, serving(scripted(TOKEN)) as tokens:
        yield {
            "GCS_BUCKET": "results",
            "STORAGE_EMULATOR_HOST": url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key_file(tmp_path, f"{tokens}/token")),
        }


def sent(name, site):
    """A request of the page, with pictures and addresses that there are in the place of its own."""
    encoded = base64.b64encode(picture((64, 48))).decode()

    def change(text):
        if text.startswith("{"):
            return json.dumps(GRAPH)
        if text.startswith(("data:", "iVBOR")):
            return re.sub(r"(iVBORw0KGgo)?…", encoded, text)
        return text.replace(SITE, site)

    return changed_texts(block("request", name).document, change)


def is_said(name, reply):
    assert not differences(block("reply", name).document, reply)


def test_every_block_of_the_page_is_tried():
    assert {(each.kind, each.language) for each in BLOCKS} == {
        ("environment", "sh"),
        ("request", "json"),
        ("reply", "json"),
        ("map", "json"),
        ("build", "sh"),
        ("before", "python"),
        ("", "console"),
    }
    assert PAGE.count("\n```") == 2 * len(BLOCKS)
    assert {each.name for each in BLOCKS if each.kind == "reply"} == {*REPLIES, *ELSEWHERE}
    assert {each.name for each in BLOCKS if each.kind == "request"} == {*REPLIES.values(), *ELSEWHERE_ASKED}


REPLIES = {  # to the request that gets it, with the variables of the first day alone
    "worker-comfyui": "worker-comfyui",
    "not sent": "not sent",
    "named": "named",
    "input_images": "input_images",
    "workflow_url": "workflow_url",
    "base64": "base64",
}
ELSEWHERE = {"worker-comfyui, bucket", "named, RESPONSE_DIALECT=worker-comfyui", "gcs", "named, gcs", "before", "after"}
ELSEWHERE_ASKED = {"named, by URL", "gcs", "named, gcs", "before", "after"}


@pytest.mark.parametrize("name", REPLIES)
def test_a_request_gets_the_reply_beside_it(name, worker, site):
    is_said(name, worker()(sent(REPLIES[name], site)))


def test_the_first_day_with_a_bucket(worker, site, bucket):
    reply = worker(**bucket)(sent("worker-comfyui", site))

    url = reply["images"][0]["data"]
    with Image.open(io.BytesIO(requests.get(url, timeout=10).content)) as made:
        assert made.size == (320, 240)
        assert not made.info  # no graph
    assert "X-Amz-Expires=604800" in url
    assert f"/{BUCKET}/custom/job-1/poster_00001_.png" in url
    reply["images"][0]["data"] = url.replace("http://", "https://")
    is_said("worker-comfyui, bucket", reply)


def test_the_old_shape_for_a_name(worker, site):
    reply = worker(RESPONSE_DIALECT="worker-comfyui")(sent("named", site))

    is_said("named, RESPONSE_DIALECT=worker-comfyui", reply)


def test_a_name_with_a_url(worker, site):
    reply = worker()(sent("named, by URL", site))

    assert [(each["width"], each["height"]) for each in reply["outputs"]] == [(320, 240)]


@pytest.mark.parametrize("name", ["gcs", "named, gcs"])
def test_googles_bucket(name, worker, site, googles):
    reply = worker(**googles)(sent(name, site))

    where = googles["STORAGE_EMULATOR_HOST"]
    is_said(name, changed_texts(reply, lambda text: text.replace(where, "https://storage.googleapis.com")))


def test_the_handlers_process_answers_an_unchanged_request_in_its_queue(comfy_url, comfy_base, site, tmp_path):
    with serve_runpod_queue() as queue:
        own = worker_environment(comfy_url, **queue.environment(), **FIRST_DAY, COMFY_FOLDER=str(comfy_base))
        with running_worker(own, tmp_path / "log"):
            job_id = queue.submit(sent("worker-comfyui", site)["input"])
            done = queue.wait(job_id, 90)

    is_said("worker-comfyui", done["output"])


# What differs from worker-comfyui, row by row where it can be shown.


def plain(**inputs):
    color = {"width": 12, "height": 10, "batch_size": 1, "color": fresh_number(), **inputs}
    return {
        "1": {"class_type": "EmptyImage", "inputs": color},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "plain"}},
    }


def loading(name="photo.png"):
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "plain"}},
    }


def files(*names, **more):
    data = base64.b64encode(picture((12, 10))).decode()
    return [{"name": name, "image": data, **more} for name in names]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"workflow": plain(), "anything": 1}, "invalid_request"),
        ({"workflow": loading(), "images": files("photo.png", type="png")}, "invalid_request"),
        ({"workflow": loading(), "images": files("photo.png", "photo.png")}, "invalid_request"),
        (
            {"workflow": loading(), "images": [{"name": "photo.png", "image": base64.b64encode(b"text" * 9).decode()}]},
            "input_rejected",
        ),
    ],
    ids=["a key", "a key of a file", "a name twice", "no picture"],
)
def test_what_is_refused_here_and_not_there(request_, code, worker):
    assert worker()({"input": request_})["failure"]["code"] == code


def test_a_file_that_the_graph_does_not_load_is_told_beside_the_images(worker):
    reply = worker()({"input": {"workflow": plain(), "images": files("unused.png")}})

    assert len(reply["images"]) == 1
    assert "unused.png" in reply["errors"][0]


def test_a_file_is_its_jobs_alone(worker):
    asked = worker()

    assert "images" in asked({"input": {"workflow": loading("mine.png"), "images": files("mine.png")}})
    assert asked({"input": {"workflow": loading("mine.png")}})["failure"]["code"] == "graph_rejected"


def test_names_begin_anew_in_each_job(worker):
    asked = worker()
    names = [asked({"input": {"workflow": plain()}})["images"][0]["filename"] for _ in range(2)]

    assert names == ["plain_00001_.png"] * 2


def test_texts_alone_are_no_images(worker):
    graph = {
        "1": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "b", "delimiter": "-"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    reply = worker()({"input": {"workflow": graph}})

    assert reply == {"status": "success_no_images", "images": [], "texts": ["a-b"]}


def test_a_job_fails_where_one_node_does(worker, sharing_comfy, tmp_path):
    text = tmp_path / "hello.txt"
    text.write_text("hello")
    value = sharing_comfy.client.upload(text, filename=f"{fresh_number()}.txt")
    graph = plain() | {
        "3": {"class_type": "LoadImage", "inputs": {"image": value}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "never"}},
    }

    assert worker()({"input": {"workflow": graph}})["failure"]["code"] == "execution_failed"


def test_a_photo_on_its_side_is_turned(worker):
    data = base64.b64encode(picture((12, 10), "JPEG", orientation=6)).decode()
    reply = worker()({"input": {"workflow": loading("a.jpg"), "images": [{"name": "a.jpg", "image": data}]}})

    with Image.open(io.BytesIO(base64.b64decode(reply["images"][0]["data"]))) as made:
        assert made.size == (10, 12)


def test_previews_are_images_where_nothing_is_saved(worker):
    graph = plain()
    graph["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}

    assert len(worker()({"input": {"workflow": graph}})["images"]) == 1


def test_pictures_carry_no_graph_once_the_variables_are_set(worker):
    def info(reply):
        with Image.open(io.BytesIO(base64.b64decode(reply["images"][0]["data"]))) as made:
            return set(made.info)

    assert not info(worker()({"input": {"workflow": plain()}}))
    assert "prompt" in info(worker(OUTPUT_METADATA="keep")({"input": {"workflow": plain()}}))


# The variables.


def test_the_variables_that_are_read_as_they_are_are():
    from engine.starting.modes import choose

    known = {name: variable.names[0] for variable in variables() for name in variable.names}
    rows = TABLES["Its environment variables"]
    assert len(rows) >= 8
    for theirs, here in rows:
        for name in re.findall(r"`(\w+)`", theirs):
            if here.startswith("read as it is"):
                assert known[name] == re.search(r"ours: `(\w+)`", here)[1]
            elif name == "SERVE_API_LOCALLY":
                assert choose([], {name: "true"}).mode == "serve"
            elif here.startswith("the same"):
                assert known[name] == name
            else:
                assert here.startswith("goes")
                assert name not in known


def test_the_variables_that_the_page_names_exist():
    known = {name for variable in variables() for name in variable.names} | _NO_SETTINGS
    gone = {
        name
        for theirs, here in TABLES["Its environment variables"]
        if here.startswith("goes")
        for name in re.findall(r"`(\w+)`", theirs)
    }
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", PAGE))
    assert named - known - gone == set()
    assert FIRST_DAY.keys() <= known


# The image.


def test_the_arguments_and_secrets_of_the_build_exist():
    dockerfile, overlay = ((ROOT / name).read_text() for name in ("Dockerfile", "Dockerfile.overlay"))
    command = block("build", "overlay").text
    given = re.findall(r"--build-arg (\w+)=", command)
    assert given
    assert set(given) <= set(re.findall(r"^ARG (\w+)", overlay, re.MULTILINE))
    here = " ".join(row[1] for row in TABLES["Its image"])
    arguments = set(re.findall(r"`([A-Z][A-Z_]+)(?:=\w+)?`", here))
    assert arguments >= {"SNAPSHOT", "MODELS", "TORCH_INDEX"}
    assert arguments <= set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    assert set(re.findall(r"--secret id=(\w+)", here)) <= set(re.findall(r"type=secret,id=(\w+)", dockerfile))
    assert "AS final-baked" in dockerfile


def test_a_model_as_the_page_writes_it_is_one_of_a_map(tmp_path):
    (model,) = re.findall(r'`(\{"path".*?\})`', PAGE)
    parameter_map = json.loads(PORTRAIT) | {"requires": {"models": [json.loads(model)]}}
    workflow = Catalog([write_workflow(tmp_path, "portrait", EXPORT, json.dumps(parameter_map))])["portrait"]
    assert workflow.requires.models[0].path == "checkpoints/NAME.safetensors"


# From Python.


def python(folder, monkeypatch, comfy_url="http://127.0.0.1:9"):
    """The old handler, as a module."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COMFY_URL", comfy_url)
    module = {"__name__": "handler"}
    exec(compile(block("before", "handler.py").text, "handler.py", "exec"), module)  # our own page's
    return module


@pytest.fixture
def portrait(tmp_path):
    """What takes its place."""
    return Catalog([write_workflow(tmp_path / "new", "portrait", EXPORT, PORTRAIT)])["portrait"]


def unfolded(graph, node_id="9"):
    """All that a node depends on, without ids: two graphs that unfold alike make the same."""
    node = graph[node_id]

    def unfold(value):
        return (unfolded(graph, value[0]), value[1]) if isinstance(value, list) else value

    return node["class_type"], {name: unfold(value) for name, value in sorted(node["inputs"].items())}


PAYLOADS = st.fixed_dictionaries(
    {"prompt": st.text(max_size=20), "seed": st.integers(0, 2**53 - 1)},
    optional={
        "style": st.sampled_from(["photo", "ink"]),
        "negative_prompt": st.text(max_size=20),
        "quality": st.sampled_from(["normal", "high"]),
        "cfg": st.floats(-100, 100) | st.integers(-100, 100),
        "width": st.integers(8, 256).map(lambda eighths: eighths * 8),
        "image": st.just("iVBORw0KGgo" * 9),
        "denoise": st.floats(0, 1),
        "loras": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["ink.safetensors", "fog.safetensors"])},
                optional={"strength": st.floats(-2, 2)},
            ),
            max_size=5,
        ),
        "upscale": st.floats(1, 4),
    },
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=PAYLOADS)
def test_both_make_the_same_graph(payload, portrait, build):
    old = build(payload, lambda _: "in.png")
    new = portrait.render(portrait.validate(payload), {"image": "in.png"})

    assert unfolded(new) == unfolded(old)


@pytest.fixture
def build(folder, monkeypatch):
    return python(folder, monkeypatch)["build"]


def test_a_seed_that_is_not_sent_is_drawn_by_both(portrait, build):
    payload = {"prompt": "a woman by the sea"}
    old = {build(payload, None)["3"]["inputs"]["seed"] for _ in range(3)}
    new = {portrait.render(portrait.validate(payload))["3"]["inputs"]["seed"] for _ in range(3)}
    assert (len(old), len(new)) == (3, 3)


def test_every_place_that_the_python_writes_is_one_of_the_map(portrait):
    written = set(re.findall(r'workflow\["(\d+)"\]\["inputs"\]\["(\w+)"\]', block("before", "handler.py").text))
    by_operators = {("3", "model"), ("6", "clip"), ("7", "clip"), ("9", "images")}  # of LoRAs, and of the upscaler
    document = json.loads(PORTRAIT)
    paths = [each["bind"] for each in document["parameters"].values() if "bind" in each] + [*document["computed"]]
    assert written - by_operators == {re.fullmatch(r"\$\['(\d+)'\]\.inputs\.(\w+)", path).groups() for path in paths}


@pytest.mark.parametrize("payload", [{"promt": "x"}, {"prompt": "x", "style": "oil"}, {"prompt": "x", "width": "64"}])
def test_what_the_python_let_pass_is_refused(payload, portrait):
    from engine.errors import InvalidPayload

    with pytest.raises(InvalidPayload):
        portrait.validate(payload)


def test_both_draw_the_same_picture(worker, site, comfy_url, checkpoint, monkeypatch, tmp_path):
    """The whole old handler and the whole new worker, on one ComfyUI."""
    export = EXPORT.replace("v1-5-pruned-emaonly-fp16.safetensors", checkpoint)
    (tmp_path / "workflow_api.json").write_text(export)
    asked = worker(WORKFLOWS_PATH=str(write_workflow(tmp_path, "portrait", json.loads(export), PORTRAIT)))
    old = python(tmp_path, monkeypatch, comfy_url)["handler"](sent("before", site))
    new = asked(sent("after", site))

    is_said("before", old)
    is_said("after", new)
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").tobytes()
        for data in (old["image"], new["outputs"][0]["base64"])
    ]
    assert pictures[0] == pictures[1]
