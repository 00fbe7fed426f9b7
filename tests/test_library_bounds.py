"""No payload that the library takes is known to fail in ComfyUI, to come out black, or to take its machine down."""

import base64

import pytest
from support.media import picture
from support.runners import refused, runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import ComfyUI
from engine.errors import InvalidPayload
from engine.nodes import load_catalogue
from engine.simulator import Simulator
from engine.simulator.classes import choices_from

CATALOG = Catalog([ROOT])
DRAWN = {"prompt": "a harbour", "seed": 7}


def inline(size):
    """A picture of that size as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(picture(size)).decode()}"


def having(*parameters):
    """The workflows that have all of these parameters."""
    return [name for name in CATALOG if set(parameters) <= CATALOG[name].parameters.keys()]


def refusal(name, **payload):
    """The parameters that a refusal names."""
    workflow = CATALOG[name]
    needed = {key: "https://example.com/a.png" for key, each in workflow.parameters.items() if each.required}
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate({**needed, **payload})
    return {each.where for each in caught.value.problems}


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    choices = choices_from([CATALOG["controlnet"].template], load_catalogue())
    with Simulator(choices=choices, step_seconds=0) as simulator, ComfyUI(simulator.url) as comfy:
        yield runner_on(comfy, tmp_path_factory.mktemp("outputs"), CATALOG)


@pytest.mark.parametrize("name", having("batch_size", "width", "height"))
def test_the_most_pictures_of_the_largest_size_at_once_are_refused(name):
    largest = {key: CATALOG[name].parameters[key].maximum for key in ("width", "height", "batch_size")}
    largest |= {"scale": 2} if "scale" in CATALOG[name].parameters else {}
    assert "batch_size" in ", ".join(refusal(name, **largest))


@pytest.mark.parametrize("name", having("denoise"))
@pytest.mark.parametrize("denoise", [1e-9, 0.001])
def test_a_denoise_for_which_comfyui_would_spread_its_steps_over_millions_is_refused(name, denoise):
    # ComfyUI lays out steps / denoise of them, and takes the last.
    assert refusal(name, denoise=denoise) == {"denoise"}


@pytest.mark.parametrize("name", having("shift"))
def test_a_shift_that_leaves_no_noise_is_refused(name):
    # ComfyUI divides by 1 + (shift - 1) * 1, so 0 gives black pictures and silence.
    assert refusal(name, shift=0) == {"shift"}


@pytest.mark.parametrize(
    ("name", "parameter", "rest"),
    [
        ("img2img", "image", DRAWN),
        ("inpaint", "image", {**DRAWN, "mask": inline((64, 64))}),
        ("outpaint", "image", {**DRAWN, "right": 64}),
        ("controlnet", "control_image", DRAWN),
    ],
)
@pytest.mark.parametrize(
    ("size", "said"), [((1, 1), "is 1 by 1 pixels"), ((4000, 40), "is 4000 by 40 pixels"), ((640, 8), "640 by 8")]
)
def test_a_picture_too_small_for_the_graph_is_refused_in_words(runner, name, parameter, rest, size, said):
    failure = refused(runner, {"workflow": name, "payload": {**rest, parameter: inline(size)}})
    assert failure["code"] == "input_rejected"
    assert said in failure["message"]
    assert "at least 32 on each side are needed" in failure["message"]


def test_a_thin_picture_is_not_scaled_to_one_as_wide_as_its_proportions_say(runner):
    payload = {"image": inline((2000, 1)), "width": 0, "height": 4096}
    failure = refused(runner, {"workflow": "resize", "payload": payload})
    assert "between 1:8 and 8:1 is allowed" in failure["message"]


def test_a_video_of_a_picture_may_have_its_default_length_at_any_size():
    workflow = CATALOG["wan22_i2v"]
    most = workflow.parameters["megapixels"].maximum
    payload = {"prompt": "waves", "image": "https://example.com/a.png", "megapixels": most}
    assert workflow.validate(payload)["megapixels"] == most
    with pytest.raises(InvalidPayload, match="or of megapixels"):
        workflow.validate({**payload, "length": 121})
