"""Drawn people: where the prompt speaks of any, of every tone, so that a workflow for portraits can be tried."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.simulator import run, text_to_image, view

from engine.quality import CHECKS
from engine.simulator import Simulator
from engine.simulator.drawing import picture
from engine.simulator.people import spoken_of

SKIN = CHECKS["skin_tone"]
SIZES = [(512, 512), (1024, 1024), (768, 1344), (1344, 768), (1920, 512), (256, 256), (128, 128), (64, 64)]
FACTS = {"steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "model": "flux1-dev.safetensors"}


def drawn(prompt, seed, size=(256, 256), **more):
    return picture(size, FACTS | {"prompt": prompt, "seed": seed}, **more)


def passes(image):
    return SKIN.minimum <= SKIN.score(image, None) <= SKIN.maximum


@pytest.mark.parametrize("prompt", ["a Portrait, soft light", "two women", "an old man's face", "people at a market"])
def test_a_prompt_can_speak_of_people(prompt):
    assert spoken_of(prompt)


@pytest.mark.parametrize("prompt", ["a manta ray", "a surface of ice", "the humanities", "", None, 7])
def test_a_part_of_a_word_is_not_a_person(prompt):
    assert not spoken_of(prompt)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**64 - 1), size=st.sampled_from(SIZES))
def test_people_pass_the_check_of_skin_for_every_seed(seed, size):
    assert passes(drawn("portrait photo of a woman", seed, size))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**53), words=st.integers(1, 300), size=st.sampled_from(SIZES))
def test_a_long_prompt_leaves_enough_of_them_to_see(seed, words, size):
    assert passes(drawn("a man in the rain, " * words, seed, size))


def test_the_seed_draws_the_tone_from_light_to_dark():
    levels = []
    for seed in range(60):
        cheek = drawn("a portrait", seed).getpixel((128, 128 - 4))
        levels.append(max(cheek))
    assert min(levels) < 70
    assert max(levels) > 200
    assert len([level for level in levels if 90 < level < 190]) > 10


def test_the_same_request_draws_the_same_person_and_a_batch_several():
    assert drawn("a girl", 7).tobytes() == drawn("a girl", 7).tobytes()
    assert drawn("a girl", 7).tobytes() != drawn("a girl", 7, index=1).tobytes()


def test_what_was_given_to_start_from_is_not_covered():
    source = Image.new("RGB", (256, 256), (60, 90, 200))
    middle = drawn("a man", 7, source=source).crop((0, 40, 256, 100))
    assert len(middle.getcolors()) == 1


@pytest.fixture
def simulator():
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}) as simulator:
        yield simulator


def made(simulator, **changes):
    """The pictures of a run."""
    entry = run(simulator.url, text_to_image(text="a portrait", width=256, height=256, **changes))
    for file in entry["outputs"]["9"]["images"]:
        with Image.open(BytesIO(view(simulator.url, file).content)) as image:
            yield image.convert("RGB")


def test_a_person_comes_through_a_whole_graph(simulator):
    (image,) = made(simulator)
    assert passes(image)


def test_a_grey_picture_comes_as_often_as_the_script_says(simulator):
    simulator.faults.add({"fault": "grey", "times": 2})
    seen = [passes(image) for seed in range(3) for image in made(simulator, seed=seed)]
    assert seen == [False, False, True]
    assert simulator.faults.coming() == []


def test_a_grey_picture_is_flat_and_one_of_a_batch(simulator):
    simulator.faults.add({"fault": "grey", "after": 1, "node": "VAEDecode"})
    flat = [image.getcolors(1) == [(256 * 256, (128, 128, 128))] for image in made(simulator, batch_size=3)]
    assert flat == [False, True, False]


def test_a_fault_of_another_node_leaves_the_pictures(simulator):
    simulator.faults.add({"fault": "grey", "node": "VAEDecodeTiled"})
    assert all(passes(image) for image in made(simulator))
    assert simulator.faults.coming() == [{"fault": "grey", "node": "VAEDecodeTiled"}]
