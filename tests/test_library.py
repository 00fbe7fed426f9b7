"""The workflows of the library: every variant of every one is taken by ComfyUI, and those run that can."""

import base64
import json
from io import BytesIO

import pytest
from PIL import Image
from support.command import run_engine
from support.films import mp4, sound
from support.library import CATALOG, NAMES, has_weights, held, small
from support.media import picture
from support.runners import runner_on
from support.variants import never_turned, variants
from support.workflows import ROOT

from engine.authoring.levels import fingerprint
from engine.comfyui import ComfyUI, SharedFolders, new_prompt_id
from engine.documents import read_json
from engine.job import Job
from engine.media_values import with_media

CHECKPOINT = "random_sd15.safetensors"
FILES = {
    "image": ("image/png", picture((64, 64))),
    "mask": ("image/png", picture((64, 64))),
    "video": ("video/mp4", mp4(64, 64, 8, 8)),
    "audio": ("audio/wav", sound(1)),
}

every_workflow = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def library_comfy(library_server):
    """The engine's side of the ComfyUI that has the library's models."""
    with ComfyUI(library_server.url, folders=SharedFolders.below(library_server.base)) as comfy:
        yield comfy


@pytest.fixture
def level(record_property, library_server):
    """Say that a test takes a workflow to a level; the simulator takes it to none."""

    def say(name, reached):
        if not library_server.is_real:
            return
        source = CATALOG.sources()[name]
        digest = fingerprint(read_json(source.template, label=name), read_json(source.map, label=name))
        record_property("level", [library_server.version, name, reached, digest])

    return say


@pytest.fixture
def workflow(name, library_comfy):
    """One whose classes that ComfyUI has."""
    found = CATALOG[name]
    lacking = {node["class_type"] for node in found.template.values()} - library_comfy.node_catalogue().keys()
    if lacking:
        pytest.skip(f"that ComfyUI lacks {', '.join(sorted(lacking))}")
    return found


@every_workflow
def test_comfyui_accepts_every_variant(name, workflow, library_comfy, level):
    level(name, "accepted")
    refused, tried = {}, variants(workflow)
    assert not never_turned(workflow, tried)
    with held(library_comfy, CHECKPOINT) as queued:
        for each in tried:
            queued.append(new_prompt_id())
            try:
                errors = library_comfy.client.queue_prompt(each.rendered(workflow), queued[-1], "library")
            except Exception as error:  # noqa: BLE001 - whatever one variant meets, the others are tried
                errors = error
            if errors:
                refused[each.title] = errors
    assert not refused


@every_workflow
def test_its_first_example_runs(name, workflow, library_server, library_comfy, level, tmp_path):
    without = [each.path for each in workflow.requires.models if not has_weights(each.path)]
    if library_server.is_real and without:
        pytest.skip(f"there are no random weights for {', '.join(without)}")
    level(name, "ran")
    payload = small(workflow, workflow.examples[0].payload)
    for key in payload.keys() & workflow.parameters.keys():
        payload[key] = with_media(workflow.parameters[key], key, payload[key], _file)
    job = Job(id=f"library-{name}", workflow=name, payload=payload, prompt_id=new_prompt_id())
    result = runner_on(library_comfy, tmp_path, CATALOG).run(job)
    made = {(each.file.name, each.file.kind) for each in result.outputs}
    assert made == {(each.name, each.kind or "image") for each in workflow.outputs}
    assert all(each.file.size_bytes for each in result.outputs)


def photo():
    """A picture of another colour than `image` has."""
    file = BytesIO()
    Image.new("RGB", (64, 64), "#c08040").save(file, "PNG")
    return file.getvalue()


def _file(media):
    """A file of that type in place of the example's, which is on the network."""
    content_type, data = FILES[media.parameter.type]
    if media.where == "user_photo":  # of somebody who is not in the picture already
        data = photo()
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def test_all_of_them_pass_the_strict_check(tmp_path):
    document = json.loads(run_engine(tmp_path, "check", "--strict", "--json", "--folder", ROOT).stdout)
    assert [(each["name"], each["status"]) for each in document["workflows"]] == [(name, "ok") for name in NAMES]
