"""Nodes on masks give the same pixels on the simulator and on ComfyUI."""

import base64
import io

import pytest
from PIL import Image
from support.runners import asked, runner_on
from support.workflows import write_workflow

from engine import Catalog

SIZE, CENTRE = 15, 7


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def a_point(*more):
    """A graph with a white pixel in the middle of a black picture, as a mask (3), and what else there is."""
    graph = {
        "1": node("EmptyImage", width=SIZE, height=SIZE, batch_size=1, color=0),
        "2": node("EmptyImage", width=1, height=1, batch_size=1, color=0xFFFFFF),
        "10": node(
            "ImageCompositeMasked", destination=["1", 0], source=["2", 0], x=CENTRE, y=CENTRE, resize_source=False
        ),
        "3": node("ImageToMask", image=["10", 0], channel="red"),
    }
    return graph | dict(more)


@pytest.fixture
def made(comfy, tmp_path):
    def made(graph):
        folder = write_workflow(tmp_path / "workflows", "masks", graph, {"parameters": {}})
        runner = runner_on(comfy, tmp_path, Catalog([folder]), default="inline")
        (output,) = asked(runner, {"workflow": "masks", "payload": {}})["outputs"]
        with Image.open(io.BytesIO(base64.b64decode(output["base64"]))) as picture:
            return picture.convert("L")

    return made


def touched(picture):
    """How far from the middle, to the right and down, the pixels are that are not black."""
    width, height = picture.size
    return {(x - CENTRE, y - CENTRE) for x in range(width) for y in range(height) if picture.getpixel((x, y))}


def around(reach, distance):
    numbers = range(-reach, reach + 1)
    return {(x, y) for x in numbers for y in numbers if distance(abs(x), abs(y)) <= reach}


@pytest.mark.parametrize(
    ("tapered", "steps", "expected"),
    [
        (False, [3], around(3, max)),
        (True, [3], around(3, lambda x, y: x + y)),
        (False, [3, -2], around(1, max)),
        (True, [3, -2], around(1, lambda x, y: x + y)),
    ],
)
def test_a_mask_grows_and_shrinks_by_pixels(made, tapered, steps, expected):
    graph, last = a_point(), "3"
    for number, expand in enumerate(steps, 20):
        graph[str(number)] = node("GrowMask", mask=[last, 0], expand=expand, tapered_corners=tapered)
        last = str(number)
    graph |= {
        "8": node("MaskToImage", mask=[last, 0]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="mask"),
    }
    assert touched(made(graph)) == expected


def test_a_blur_reaches_as_far_as_its_radius(made):
    graph = a_point(("8", node("ImageBlur", image=["10", 0], blur_radius=2, sigma=2)))
    graph["9"] = node("SaveImage", images=["8", 0], filename_prefix="blur")
    assert touched(made(graph)) == around(2, max)


def test_a_picture_goes_into_another_where_the_mask_is_white(made):
    graph = a_point(
        ("4", node("GrowMask", mask=["3", 0], expand=2, tapered_corners=False)),
        ("5", node("EmptyImage", width=3, height=3, batch_size=1, color=0x808080)),
        (
            "8",
            node(
                "ImageCompositeMasked",
                destination=["1", 0],
                source=["5", 0],
                x=0,
                y=0,
                resize_source=True,
                mask=["4", 0],
            ),
        ),
        ("9", node("SaveImage", images=["8", 0], filename_prefix="into")),
    )
    picture = made(graph)
    assert touched(picture) == around(2, max)
    assert picture.getpixel((CENTRE, CENTRE)) == 128
