"""Nodes that work on masks and lay pictures over one another; they need no model and really do it, with Pillow."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageChops, ImageFilter

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Images, Masks

_PLUS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


def _grow_mask(call: Call) -> Outcome:
    """By a pixel at a time: in all eight directions, or in four where corners are to be tapered."""
    amount, tapered = int(call.inputs["expand"]), bool(call.inputs["tapered_corners"])
    return Outcome((Masks(tuple(_grown(frame, amount, tapered=tapered) for frame in call.masks("mask").frames)),))


def _grown(mask: Image.Image, amount: int, *, tapered: bool) -> Image.Image:
    for _ in range(abs(amount)):
        if tapered:
            mask = _merged_with_neighbours(mask, grow=amount > 0)
        else:
            mask = mask.filter(ImageFilter.MaxFilter(3) if amount > 0 else ImageFilter.MinFilter(3))
    return mask


def _merged_with_neighbours(mask: Image.Image, *, grow: bool) -> Image.Image:
    merge = ImageChops.lighter if grow else ImageChops.darker
    result = mask
    for right, down in _PLUS[1:]:
        moved = mask.copy()
        moved.paste(mask, (right, down))
        result = merge(result, moved)
    return result


def _image_blur(call: Call) -> Outcome:
    """Blurred with a box as wide as ComfyUI's kernel, so that no pixel is changed by one further away."""
    blur = ImageFilter.BoxBlur(int(call.inputs["blur_radius"]))
    return Outcome((Images(tuple(frame.filter(blur) for frame in call.images("image").frames)),))


def _image_composite(call: Call) -> Outcome:
    destination, source = call.images("destination"), call.images("source")
    place = (int(call.inputs["x"]), int(call.inputs["y"]))
    mask = call.inputs.get("mask")
    masks = mask.frames if isinstance(mask, Masks) else (Image.new("L", source.size, 255),)
    frames = []
    for index, under in enumerate(destination.frames):
        over = source.frames[index % len(source.frames)]
        if call.inputs["resize_source"]:
            over = over.resize(under.size, Image.Resampling.BILINEAR)
        through = masks[index % len(masks)].resize(over.size, Image.Resampling.BILINEAR)
        result = under.copy()
        result.paste(over, place, through)
        frames.append(result)
    return Outcome((Images(tuple(frames)),))


OPERATIONS: Mapping[str, Operation] = {
    "GrowMask": _grow_mask,
    "ImageBlur": _image_blur,
    "ImageCompositeMasked": _image_composite,
}
