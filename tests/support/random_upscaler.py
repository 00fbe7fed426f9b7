"""An upscale model of random weights, which makes pictures four times as large; nothing is fetched for the tests.

It has the tensors of an ESRGAN of one block with few filters: spandrel, which ComfyUI loads such models with, knows
the architecture by their names and reads the numbers off their shapes.
"""

import random
from pathlib import Path

from support.random_loras import write_tensors

UPSCALER = "random_x4.safetensors"
_FILTERS, _GROWTH = 8, 32  # the latter is fixed in spandrel


def write_upscaler(path: Path) -> None:
    """Write it, unless it is there."""
    if path.exists():
        return
    layers = dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (_FILTERS, _FILTERS))
    layers |= {"conv_first": (_FILTERS, 3), "conv_last": (3, _FILTERS)}
    for block in (1, 2, 3):
        for number in range(5):
            out = _GROWTH if number < 4 else _FILTERS
            layers[f"body.0.rdb{block}.conv{number + 1}"] = (out, _FILTERS + number * _GROWTH)
    shapes = {f"{name}.weight": (*channels, 3, 3) for name, channels in layers.items()}
    shapes |= {f"{name}.bias": channels[:1] for name, channels in layers.items()}
    numbers = random.Random(0)
    write_tensors(path, shapes, lambda _: numbers.gauss(0, 0.1))
