"""LoRAs of random weights, and empty files that stand in for models; nothing is fetched for the tests.

A LoRA here changes one matrix of Stable Diffusion 1.5's text encoder. The format is safetensors': the length of a
header, the header (JSON), the tensors' bytes.
"""

import json
import math
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_KEY = "lora_te_text_model_encoder_layers_0_mlp_fc1"
_SHAPES = {f"{_KEY}.lora_up.weight": (3072, 1), f"{_KEY}.lora_down.weight": (1, 768), f"{_KEY}.alpha": ()}


def write_lora(path: Path, seed: int) -> None:
    """Write one, in half precision, unless it is there."""
    if path.exists():
        return
    numbers = random.Random(seed)
    write_tensors(path, _SHAPES, lambda shape: numbers.gauss(0, 0.02) if shape else 1.0)


def write_tensors(path: Path, shapes: Mapping[str, Sequence[int]], value: Callable[[Sequence[int]], float]) -> None:
    """Write tensors of these shapes by their names, in half precision; `value` gives each of a tensor's numbers."""
    header, data = {}, b""
    for name, shape in shapes.items():
        count = math.prod(shape)
        packed = struct.pack(f"<{count}e", *(value(shape) for _ in range(count)))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
