"""Nodes that would need a model: they carry notes on, and draw a picture where one is due."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageFilter

from engine.simulator import drawing
from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Carried, Images, Latent, Masks, kind_of

_NOTED = {
    "seed": "seed",
    "noise_seed": "seed",
    "steps": "steps",
    "cfg": "cfg",
    "guidance": "guidance",
    "sampler_name": "sampler_name",
    "scheduler": "scheduler",
    "denoise": "denoise",
    "seconds": "seconds",
}
_MODEL_NAMES = ("ckpt_name", "unet_name", "model_path")
_BLANK = 512
_PREVIEW_EDGE = 128
_PLAIN: Mapping[str, Any] = {"STRING": "", "INT": 1, "FLOAT": 1.0, "BOOLEAN": False, "COMBO": ""}


def simulate(call: Call) -> Outcome:
    """Run any node: each of its outputs gets a value of its type.

    What comes in of an output's type goes on through it, an input of the output's name first; a latent keeps
    its size; a picture out of none is drawn.
    """
    facts = noted(call)
    latent: Latent | None = None
    outputs: list[Any] = []
    names = call.description.get("output_name") or []
    for index, kind in enumerate(call.description.get("output") or []):
        name = str(names[index] if index < len(names) else kind).lower()
        if kind == "LATENT":
            latent = latent or _latent(call, facts)
            outputs.append(latent)
        else:
            outputs.append(_value(call, kind, name, index, facts))
    return Outcome(tuple(outputs))


def noted(call: Call) -> dict[str, Any]:
    """What is known of the request at this node: carried here by its inputs, or said by itself."""
    facts: dict[str, Any] = {}
    carried = [(name, value) for name, value in call.inputs.items() if isinstance(value, Carried | Latent)]
    for _, value in carried:
        facts |= {key: fact for key, fact in value.facts.items() if key != "text"}
    for name, value in carried:
        if kind_of(value) == "CONDITIONING" and "text" in value.facts:
            facts["negative" if "negative" in name else "prompt"] = value.facts["text"]
    for name, value in call.inputs.items():
        if name in _NOTED and isinstance(value, int | float | str):
            facts[_NOTED[name]] = value
    if "MODEL" in (call.description.get("output") or []):
        named = [call.inputs[name] for name in _MODEL_NAMES if name in call.inputs]
        if named:
            facts["model"] = named[0]
        if "lora_name" in call.inputs:
            facts["loras"] = (*facts.get("loras", ()), call.inputs["lora_name"])
    return facts


def _value(call: Call, kind: Any, name: str, index: int, facts: dict[str, Any]) -> Any:
    if not isinstance(kind, str):  # a list of choices as a type
        return kind[0] if kind else ""
    if kind == "CONDITIONING":
        return Carried(kind, _conditioning(call, name, index, facts))
    passed = _passed(call, kind, name, index)
    if passed is not None and not isinstance(passed, Carried):
        return passed
    match kind:
        case "IMAGE":
            return _drawn(call, facts)
        case "MASK":
            images = call.first("IMAGE")
            return Masks((Image.new("L", images.size if images else (64, 64), 0),))
        case "COMFY_MATCHTYPE_V3":
            return next((value for value in call.inputs.values() if kind_of(value) in {"IMAGE", "MASK"}), None)
    return _PLAIN.get(kind, Carried(kind, facts))


def _passed(call: Call, kind: str, name: str, index: int) -> Any:
    candidates = [value for value in call.inputs.values() if kind_of(value) == kind]
    if kind_of(call.inputs.get(name)) == kind:
        return call.inputs[name]
    return candidates[min(index, len(candidates) - 1)] if candidates else None


def _conditioning(call: Call, name: str, index: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a conditioning: its text is that of the node, else that of what it was made from."""
    own = _own_text(call)
    general = {key: fact for key, fact in facts.items() if key not in {"prompt", "negative"}}
    if own:
        return {**general, "text": own}
    linked = [
        (source, value.facts)
        for source, value in call.inputs.items()
        if isinstance(value, Carried) and value.kind == "CONDITIONING"
    ]
    if name in dict(linked):
        linked = [(name, dict(linked)[name])]
    elif any("negative" in source for source, _ in linked):
        linked = linked[min(index, len(linked) - 1) :][:1]
    texts = dict.fromkeys(str(known["text"]) for _, known in linked if known.get("text"))
    return {**general, "text": ", ".join(texts)} if texts else general


def _own_text(call: Call) -> str:
    sections = call.description.get("input", {})
    declared = {**sections.get("required", {}), **sections.get("optional", {})}
    texts = [
        value.strip()
        for name, value in call.inputs.items()
        if isinstance(value, str) and name in declared and declared[name][0] == "STRING" and value.strip()
    ]
    return ", ".join(dict.fromkeys(texts))


def _latent(call: Call, facts: dict[str, Any]) -> Latent:
    given = call.first("LATENT")
    if isinstance(given, Latent):
        known = Latent(given.width, given.height, given.batch, facts, given.source)
        return _sampled(call, known) if "ampler" in call.class_type else known
    images = call.first("IMAGE")
    width, height = call.inputs.get("width"), call.inputs.get("height")
    batch = call.inputs.get("batch_size", 1)
    if isinstance(width, int) and isinstance(height, int):
        cell = 16 if "Flux2" in call.class_type else 8
        length = call.inputs.get("length", 1)
        frames = (length - 1) // 4 * 4 + 1 if isinstance(length, int) else 1
        return Latent(_cells(width, cell), _cells(height, cell), max(1, int(batch) * frames), facts)
    if isinstance(images, Images):
        width, height = images.size
        return Latent(_cells(width), _cells(height), len(images.frames), facts, images)
    return Latent(_BLANK, _BLANK, 1, facts)


def _cells(pixels: float, cell: int = 8) -> int:
    """Pixels in whole cells of a latent."""
    return max(1, int(pixels) // cell) * cell


def _sampled(call: Call, latent: Latent) -> Latent:
    """Go through the steps, as a sampler reports them."""
    steps = latent.facts.get("steps", 20)
    if "end_at_step" in call.inputs:
        steps = min(steps, call.inputs["end_at_step"]) - call.inputs.get("start_at_step", 0)
    steps = max(1, int(steps))
    sketch = _sketch(latent) if call.previews else None
    for step in range(1, steps + 1):
        call.wait()
        blur = ImageFilter.GaussianBlur(10 * (1 - step / steps))
        call.report(step, steps, sketch.filter(blur) if sketch else None)
    return latent


def _sketch(latent: Latent) -> Image.Image:
    scale = _PREVIEW_EDGE / max(latent.width, latent.height)
    size = (max(1, round(latent.width * scale)), max(1, round(latent.height * scale)))
    return drawing.picture(size, latent.facts, source=latent.source.frames[0] if latent.source else None)


def _drawn(call: Call, facts: dict[str, Any]) -> Images:
    latent = call.first("LATENT")
    if latent is None:
        width, height = call.inputs.get("width"), call.inputs.get("height")
        known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
        latent = Latent(width, height, 1, facts) if known else Latent(_BLANK, _BLANK, 1, facts)  # type: ignore[arg-type]
    sources = latent.source.frames if latent.source else ()
    size = (latent.width, latent.height)
    return Images(
        tuple(
            drawing.grey(size)
            if call.fails()
            else drawing.picture(
                size,
                facts,
                index=index,
                count=latent.batch,
                source=sources[index % len(sources)] if sources else None,
            )
            for index in range(latent.batch)
        )
    )


def _resized(size: Callable[[Call, Latent], tuple[int, int]]) -> Operation:
    def operation(call: Call) -> Outcome:
        latent = call.latent("samples")
        width, height = size(call, latent)
        return Outcome((Latent(width, height, latent.batch, latent.facts, latent.source),))

    return operation


def _upscaled(call: Call, latent: Latent) -> tuple[int, int]:
    width, height = call.inputs["width"], call.inputs["height"]
    if width == 0 and height == 0:
        return latent.width, latent.height
    if width == 0:
        height = max(64, height)
        width = round(latent.width * height / latent.height)
    elif height == 0:
        width = max(64, width)
        height = round(latent.height * width / latent.width)
    return _cells(max(64, width)), _cells(max(64, height))


def _upscaled_by(call: Call, latent: Latent) -> tuple[int, int]:
    factor = call.inputs["scale_by"]
    return round(latent.width // 8 * factor) * 8, round(latent.height // 8 * factor) * 8


def _batch_changed(size: Callable[[Call, Latent], int]) -> Operation:
    def operation(call: Call) -> Outcome:
        latent = call.first("LATENT")
        batch = max(1, size(call, latent))
        return Outcome((Latent(latent.width, latent.height, batch, latent.facts, latent.source),))

    return operation


def _taken(call: Call, latent: Latent) -> int:
    return min(int(call.inputs["length"]), latent.batch - min(int(call.inputs["batch_index"]), latent.batch - 1))


def _all_together(call: Call, _: Latent) -> int:
    return sum(value.batch for value in call.inputs.values() if isinstance(value, Latent))


def _upscale_with_model(call: Call) -> Outcome:
    """As large as the model's name says (`4x-UltraSharp`), four times where it says nothing."""
    images = call.images("image")
    model = call.inputs.get("upscale_model")
    name = model.facts.get("upscaler", "") if isinstance(model, Carried) else ""
    found = re.search(r"(?<!\d)([1248])x|x([1248])(?!\d)", str(name), re.IGNORECASE)
    factor = int(found[1] or found[2]) if found else 4
    size = (images.size[0] * factor, images.size[1] * factor)
    resized = tuple(frame.resize(size, Image.Resampling.BICUBIC) for frame in images.frames)
    return Outcome((Images(resized),))


def _load_upscaler(call: Call) -> Outcome:
    return Outcome((Carried("UPSCALE_MODEL", {"upscaler": call.inputs["model_name"]}),))


OPERATIONS: Mapping[str, Operation] = {
    "LatentUpscale": _resized(_upscaled),
    "LatentUpscaleBy": _resized(_upscaled_by),
    "LatentCrop": _resized(lambda call, _: (_cells(call.inputs["width"]), _cells(call.inputs["height"]))),
    "RepeatLatentBatch": _batch_changed(lambda call, latent: latent.batch * int(call.inputs["amount"])),
    "LatentFromBatch": _batch_changed(_taken),
    "LatentBatch": _batch_changed(_all_together),
    "BatchLatentsNode": _batch_changed(_all_together),
    "UpscaleModelLoader": _load_upscaler,
    "ImageUpscaleWithModel": _upscale_with_model,
}
