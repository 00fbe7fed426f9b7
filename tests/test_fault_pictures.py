"""Pictures that come over the websocket (SaveImageWebsocket) when the websocket errs: all are there, or it is said."""

import errno
import os

import pytest
from PIL import Image
from support.graphs import text_to_image

from engine.cancellation import CancellationToken
from engine.comfyui import ComfyUI, new_prompt_id
from engine.errors import StorageError
from engine.simulator import Simulator

CHECKPOINT = "random_sd15.safetensors"
COUNT = 4
LOST = "may be missing"


@pytest.fixture
def simulator():
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": [CHECKPOINT]}, step_seconds=0.02) as simulator:
        yield simulator


def graph():
    graph = text_to_image(CHECKPOINT, steps=8)
    (latent,) = [node for node in graph.values() if node["class_type"] == "EmptyLatentImage"]
    latent["inputs"]["batch_size"] = COUNT
    graph["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": graph["9"]["inputs"]["images"]}}
    return graph


def execute(comfy, folder):
    return comfy.execute(
        graph(),
        prompt_id=new_prompt_id(),
        cancel=CancellationToken(),
        timeout_seconds=30,
        queue_timeout_seconds=30,
        frames_folder=folder,
    )


def pixels(path):
    with Image.open(path) as picture:
        return picture.tobytes()


def come(execution):
    return len(execution.frames.get("9", ()))


def said(execution):
    return any(LOST in warning for warning in execution.warnings)


@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_a_false_end_marker_before_pictures_that_come_late_hides_no_loss(seconds, simulator, tmp_path):
    simulator.faults.add(
        {"fault": "false_end", "node": "KSampler", "step": 3},
        {"fault": "late_socket", "seconds": seconds, "node": "SaveImageWebsocket", "step": 1},
    )
    with ComfyUI(simulator.url) as comfy:
        comfy.events.start()
        execution = execute(comfy, tmp_path)

    assert come(execution) == COUNT or said(execution)


@pytest.mark.parametrize("number", range(COUNT))
def test_one_picture_that_is_lost_of_several_is_said(number, simulator, tmp_path):
    simulator.faults.add({"fault": "lose_frame", "event": "picture", "after": 8 + number})
    with ComfyUI(simulator.url) as comfy:
        comfy.events.start()
        execution = execute(comfy, tmp_path)

    assert (come(execution), said(execution)) == (COUNT - 1, True)


def test_a_picture_that_comes_twice_is_one_result(simulator, tmp_path):
    simulator.faults.add({"fault": "duplicate", "times": None})
    with ComfyUI(simulator.url) as comfy:
        comfy.events.start()
        execution = execute(comfy, tmp_path)

    assert (come(execution), said(execution)) == (COUNT, False)


def test_pictures_that_look_the_same_are_all_results(simulator, tmp_path):
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": COUNT, "color": 7}},
        "9": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
    }
    with ComfyUI(simulator.url) as comfy:
        execution = comfy.execute(
            nodes,
            prompt_id=new_prompt_id(),
            cancel=CancellationToken(),
            timeout_seconds=30,
            queue_timeout_seconds=30,
            frames_folder=tmp_path,
        )

    assert come(execution) == COUNT
    assert len({pixels(path) for path in execution.frames["9"]}) == 1


def test_a_picture_that_does_not_fit_on_the_disk_is_an_error_of_the_storage(simulator, tmp_path):
    with ComfyUI(simulator.url) as comfy, pytest.raises(StorageError) as caught:
        execute(comfy, tmp_path / "no such folder" / "frames")

    assert os.strerror(errno.ENOENT) in caught.value.message
