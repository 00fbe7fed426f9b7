"""Output nodes: they write files, or show something, as ComfyUI's do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Images

_SAVED_COMPRESSION, _PREVIEW_COMPRESSION = 4, 1


def _save_image(call: Call) -> Outcome:
    prefix = call.inputs.get("filename_prefix", "ComfyUI")
    return _written(call, call.images("images"), "output", prefix, _SAVED_COMPRESSION)


def _preview_image(call: Call) -> Outcome:
    return _written(call, call.images("images"), "temp", f"ComfyUI{call.temp_name}", _PREVIEW_COMPRESSION)


def _preview_mask(call: Call) -> Outcome:
    frames = tuple(frame.convert("RGB") for frame in call.masks("mask").frames)
    prefix = f"ComfyUI{call.temp_name}"
    return _written(call, Images(frames), "temp", prefix, _PREVIEW_COMPRESSION)


def _written(call: Call, images: Images, kind: str, prefix: str, compression: int) -> Outcome:
    folder = call.folders.output if kind == "output" else call.folders.temp
    place = call.folders.next_place(folder, prefix, images.size)
    results = []
    for index, frame in enumerate(images.frames):
        path = place.take(index)
        frame.save(path, "PNG", pnginfo=_metadata(call), compress_level=compression)
        results.append(_described(path, place.subfolder, kind))
    return Outcome((), {"images": results})


def _metadata(call: Call) -> PngInfo:
    """The graph, and what the client sent as `extra_pnginfo`, as ComfyUI writes them into a picture."""
    info = PngInfo()
    info.add_text("prompt", json.dumps(call.prompt))
    for key, value in (call.extra_pnginfo or {}).items():
        info.add_text(key, json.dumps(value))
    return info


def _described(path: Path, subfolder: str, kind: str) -> dict[str, str]:
    return {"filename": path.name, "subfolder": subfolder, "type": kind}


def _save_to_websocket(call: Call) -> Outcome:
    frames = call.images("images").frames
    for index, frame in enumerate(frames):
        call.report(index, len(frames), frame, "PNG")
    return Outcome()


def _save_animation(picture_format: str) -> Operation:
    def operation(call: Call) -> Outcome:
        images = call.images("images")
        place = call.folders.next_place(call.folders.output, call.inputs["filename_prefix"], images.size)
        path = place.take(0, f".{picture_format.lower()}")
        first, *others = images.frames
        options: dict[str, Any] = {"duration": round(1000 / call.inputs["fps"])}
        if picture_format == "WEBP":
            options |= {"lossless": call.inputs["lossless"], "quality": call.inputs["quality"]}
        first.save(path, picture_format, save_all=True, append_images=others, **options)
        return Outcome((), {"images": [_described(path, place.subfolder, "output")], "animated": [True]})

    return operation


def _preview_any(call: Call) -> Outcome:
    value = call.inputs.get("source")
    if isinstance(value, Images | Image.Image):
        value = f"<{type(value).__name__}>"
    return Outcome((), {"text": [value if isinstance(value, str) else str(value)]})


OPERATIONS: Mapping[str, Operation] = {
    "SaveImage": _save_image,
    "PreviewImage": _preview_image,
    "MaskPreview": _preview_mask,
    "SaveImageWebsocket": _save_to_websocket,
    "SaveAnimatedWEBP": _save_animation("WEBP"),
    "SaveAnimatedPNG": _save_animation("PNG"),
    "PreviewAny": _preview_any,
}
