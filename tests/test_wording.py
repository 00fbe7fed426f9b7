"""How a value that is none of the choices is answered."""

import pytest

from engine.wording import did_you_mean, not_available

MODELS = ["a.safetensors", "b.safetensors", "v1-5-pruned-emaonly-fp16.safetensors", "sdxl/base_1.0.safetensors"]
MANY = [f"model_{number}.safetensors" for number in range(100)]


@pytest.mark.parametrize(
    ("value", "choices", "files", "said"),
    [
        ("eular", ["euler", "heun"], False, '"eular" is not available; did you mean "euler"?'),
        ("zzz", ["euler", "heun"], False, '"zzz" is not available; available: euler, heun'),
        ("zzz", [], False, '"zzz" is not available; there is none'),
        (7, [1, 2], False, "7 is not available; available: 1, 2"),
        ("x.safetensors", [], True, '"x.safetensors" is not on this worker; there is none'),
        (
            "x.safetensors",
            MODELS[:2],
            True,
            '"x.safetensors" is not on this worker; available: a.safetensors, b.safetensors',
        ),
        (
            "v1-5-prunde.safetensors",
            [MODELS[2]],
            True,
            '"v1-5-prunde.safetensors" is not on this worker; did you mean "v1-5-pruned-emaonly-fp16.safetensors"?',
        ),
        (
            "base_1.0.safetensors",
            MODELS[2:],
            True,
            '"base_1.0.safetensors" is not on this worker; did you mean "sdxl/base_1.0.safetensors"? '
            "Available: v1-5-pruned-emaonly-fp16.safetensors, sdxl/base_1.0.safetensors",
        ),
    ],
)
def test_a_value_that_is_not_available(value, choices, files, said):
    assert not_available(value, choices, files=files) == said


def test_a_long_list_is_cut():
    assert not_available("x", MANY, files=True).endswith("model_7.safetensors and 92 more")
    assert len(not_available("x" * 5000, ["y" * 5000] * 50, files=True)) < 1200


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("stepz", "steps"),
        ("Prompt", "prompt"),
        ("num_inference_steps", "steps"),
        ("cfg", "cfg_scale"),
        ("sampler", "sampler_name"),
        ("init_image", "image"),
        ("mask_image", "mask"),
        ("negative", "negative_prompt"),
        ("colour", None),
    ],
)
def test_a_name_that_is_called_otherwise_elsewhere_is_guessed(name, near):
    known = ["prompt", "negative_prompt", "image", "mask", "steps", "cfg_scale", "sampler_name", "seed"]
    assert did_you_mean(name, known) == (f' (did you mean "{near}"?)' if near else "")
