"""Nodes that resize pictures, to exactly the sizes that ComfyUI 0.8.0 gives."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PIL import Image

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Images, Masks

_METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

Size = tuple[int, int]


def scaled(image: Image.Image, size: tuple[int, int], method: str, crop: str = "disabled") -> Image.Image:
    """Resize one picture; with `center`, what sticks out of the new shape is cut off first."""
    width, height = image.size
    left = top = 0
    if crop == "center":
        old, new = width / height, size[0] / size[1]
        if old > new:
            left = round((width - width * (new / old)) / 2)
        elif old < new:
            top = round((height - height * (old / new)) / 2)
    box = (left, top, width - left, height - top)
    return image.resize(size, _METHODS[method], box=box)


def _resized(given: Images | Masks, size: Size, method: str, crop: str = "disabled") -> Images | Masks:
    frames = tuple(scaled(frame, size, method, crop) for frame in given.frames)
    return Images(frames) if isinstance(given, Images) else Masks(frames)


def _with_ratio(given: Size, width: int, height: int) -> Size:
    """The size where 0 stands for: as the other says."""
    if width == 0 and height == 0:
        return given
    if width == 0:
        return max(1, round(given[0] * height / given[1])), height
    if height == 0:
        return width, max(1, round(given[1] * width / given[0]))
    return width, height


def _by(given: Size, factor: float) -> Size:
    return round(given[0] * factor), round(given[1] * factor)


def _image_scale(call: Call) -> Outcome:
    images = call.images("image")
    size = _with_ratio(images.size, call.inputs["width"], call.inputs["height"])
    return Outcome((_resized(images, size, call.inputs["upscale_method"], call.inputs["crop"]),))


def _image_scale_by(call: Call) -> Outcome:
    images = call.images("image")
    size = _by(images.size, call.inputs["scale_by"])
    return Outcome((_resized(images, size, call.inputs["upscale_method"]),))


def _image_scale_to_total_pixels(call: Call) -> Outcome:
    images = call.images("image")
    width, height = images.size
    step = int(call.inputs.get("resolution_steps", 1))
    factor = math.sqrt(call.inputs["megapixels"] * 1024 * 1024 / (width * height))
    size = (round(width * factor / step) * step, round(height * factor / step) * step)
    return Outcome((_resized(images, size, call.inputs["upscale_method"]),))


def _resize_image_or_mask(call: Call) -> Outcome:
    given = call.inputs["input"]
    if not isinstance(given, Images | Masks):
        raise TypeError(f"input: expected Images or Masks, got {type(given).__name__}")
    crop = str(call.inputs.get("resize_type.crop", "disabled"))
    return Outcome((_resized(given, _wanted(call, given.size), call.inputs["scale_method"], crop),))


def _wanted(call: Call, given: Size) -> Size:
    """The size that the chosen `resize_type` comes to."""
    width, height = given

    def value(name: str) -> int:
        return int(call.inputs[f"resize_type.{name}"])

    match call.inputs["resize_type"]:
        case "scale dimensions":
            return _with_ratio(given, value("width"), value("height"))
        case "scale by multiplier":
            return _by(given, call.inputs["resize_type.multiplier"])
        case "scale width":
            return _with_ratio(given, value("width"), 0)
        case "scale height":
            return _with_ratio(given, 0, value("height"))
        case "scale longer dimension":
            longer = value("longer_size")
            if height > width:
                return round((width / height) * longer), longer
            return longer, round((height / width) * longer)
        case "scale shorter dimension":
            shorter = value("shorter_size")
            # ComfyUI 0.8.0 makes a square of a picture that is higher than wide.
            return (round((width / height) * shorter), shorter) if height < width else (shorter, shorter)
        case "scale total pixels":
            total = int(call.inputs["resize_type.megapixels"] * 1024 * 1024)
            return _by(given, math.sqrt(total / (width * height)))
        case "match size":
            match = call.inputs["resize_type.match"]
            if isinstance(match, Images | Masks):
                return match.size
    raise ValueError(f"Unsupported resize type: {call.inputs['resize_type']}")


OPERATIONS: Mapping[str, Operation] = {
    "ImageScale": _image_scale,
    "ImageScaleBy": _image_scale_by,
    "ImageScaleToTotalPixels": _image_scale_to_total_pixels,
    "ResizeImageMaskNode": _resize_image_or_mask,
}
