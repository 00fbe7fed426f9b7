"""Every kind of result that a core node makes, from the graph to the described file."""

import pytest
from PIL import Image
from support.graphs import fresh_number

from engine.comfyui import ComfyUI
from engine.errors import NoOutputs
from engine.media import describe


def frames(batch=3):
    return {
        "class_type": "EmptyImage",
        "inputs": {"width": 32, "height": 24, "batch_size": batch, "color": fresh_number()},
    }


@pytest.fixture
def made(comfy, run, tmp_path):
    """Run a graph; gives its results, described."""

    def made(graph, **options):
        execution = run(graph, frames_folder=tmp_path)
        return [describe(raw, path) for raw, path in comfy.collect(execution, [], tmp_path, **options)]

    return made


@pytest.fixture
def needs(comfy):
    """Skip where the ComfyUI lacks a class, as one without its audio libraries does."""
    known = comfy.node_catalogue()

    def needs(*classes):
        missing = [each for each in classes if each not in known]
        if missing:
            pytest.skip(f"this ComfyUI lacks {', '.join(missing)}")

    return needs


def test_pictures_of_a_batch_come_in_order(made):
    outputs = made(
        {"1": frames(), "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "k"}}}
    )

    assert [(each.index, each.kind, each.content_type, each.width) for each in outputs] == [
        (index, "image", "image/png", 32) for index in range(3)
    ]
    assert [each.filename for each in outputs] == sorted(each.filename for each in outputs)


def test_an_animated_picture_is_one_output(made):
    inputs = {
        "images": ["1", 0],
        "filename_prefix": "k",
        "fps": 8.0,
        "lossless": True,
        "quality": 80,
        "method": "default",
    }
    [output] = made({"1": frames(), "2": {"class_type": "SaveAnimatedWEBP", "inputs": inputs}})

    assert (output.kind, output.content_type) == ("image", "image/webp")
    with Image.open(output.path) as picture:
        assert picture.size == (32, 24)


def test_a_video(made, needs):
    needs("CreateVideo", "SaveVideo")
    [output] = made(
        {
            "1": frames(8),
            "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
            "3": {
                "class_type": "SaveVideo",
                "inputs": {"video": ["2", 0], "filename_prefix": "video/k", "format": "auto", "codec": "auto"},
            },
        }
    )

    assert (output.kind, output.content_type) == ("video", "video/mp4")
    assert (output.width, output.height, output.fps, output.duration_seconds) == (32, 24, 8.0, 1.0)


def test_a_sound(made, needs):
    needs("EmptyAudio", "SaveAudio")
    [output] = made(
        {
            "1": {"class_type": "EmptyAudio", "inputs": {"duration": 1.5, "sample_rate": 44100, "channels": 2}},
            "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "audio/k"}},
        }
    )

    assert (output.kind, output.content_type, output.duration_seconds) == ("audio", "audio/flac", 1.5)


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1)])
def test_a_sound_as_mp3(made, needs, rate, channels):
    needs("EmptyAudio", "SaveAudioMP3")
    [output] = made(
        {
            "1": {"class_type": "EmptyAudio", "inputs": {"duration": 1.5, "sample_rate": rate, "channels": channels}},
            "2": {
                "class_type": "SaveAudioMP3",
                "inputs": {"audio": ["1", 0], "filename_prefix": "audio/k", "quality": "V0"},
            },
        }
    )

    assert (output.kind, output.content_type) == ("audio", "audio/mpeg")
    assert output.duration_seconds == pytest.approx(1.5, abs=0.1)


def test_a_text(made):
    [output] = made(
        {
            "1": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "灯台", "delimiter": "-"}},
            "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
        }
    )

    assert (output.kind, output.text, output.content_type) == ("text", "a-灯台", "text/plain")


def test_a_latent_is_a_file(made):
    [output] = made(
        {
            "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
            "2": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "latents/k"}},
        }
    )

    assert (output.kind, output.filename.endswith(".latent")) == ("file", True)
    assert output.size_bytes > 64


def test_pictures_sent_over_the_websocket(made):
    outputs = made({"1": frames(2), "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}})

    assert [(each.node_id, each.index, each.kind, each.content_type, each.width) for each in outputs] == [
        ("2", 0, "image", "image/png", 32),
        ("2", 1, "image", "image/png", 32),
    ]


def test_pictures_sent_over_a_websocket_that_is_not_there_are_said_to_be_lost(proxy, run, tmp_path):
    proxy.cut_websockets(for_good=True)
    with ComfyUI(proxy.url) as comfy:
        graph = {"1": frames(1), "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}}
        execution = run(graph, comfy=comfy, frames_folder=tmp_path)
        with pytest.raises(NoOutputs) as caught:
            comfy.collect(execution, [("image", "2", "image")], tmp_path)

    assert "lost if the connection breaks" in caught.value.hint


def test_pictures_that_the_websocket_lost_beside_saved_ones_are_a_warning(proxy, run, tmp_path):
    proxy.cut_websockets(for_good=True)
    graph = {
        "1": frames(1),
        "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "k"}},
    }
    with ComfyUI(proxy.url) as comfy:
        execution = run(graph, comfy=comfy, frames_folder=tmp_path)

    assert any("may be missing" in warning for warning in execution.warnings)


def test_pictures_that_all_came_over_the_websocket_are_no_warning(run, tmp_path):
    graph = {"1": frames(6), "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}}

    execution = run(graph, frames_folder=tmp_path)

    assert len(execution.frames["2"]) == 6
    assert execution.warnings == ()
