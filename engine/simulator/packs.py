"""Nodes of packs whose work shows in a picture: a swapped face, a background that is gone. Neither looks for anything.

What they give back has the form that the packs' own have: ComfyUI-ReActor at 6ad6b35, ComfyUI-RMBG at 58f1947.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Carried, Images, Masks


def _swap(call: Call) -> Outcome:
    """The middle of the source, laid over where a drawn person has the face; without a source the picture as it is."""
    pictures, source = call.images("input_image"), call.inputs.get("source_image")
    if not call.inputs.get("enabled", True) or not isinstance(source, Images):
        return Outcome((pictures, Carried("FACE_MODEL"), pictures))
    width, height = pictures.size
    size = (max(1, width // 4), max(1, height // 4))
    face, oval = ImageOps.fit(source.frames[0].convert("RGB"), size), Image.new("L", size, 0)
    ImageDraw.Draw(oval).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
    swapped = []
    for frame in pictures.frames:
        changed = frame.copy()
        changed.paste(face, ((width - size[0]) // 2, height * 2 // 5 - size[1] // 2), oval)
        swapped.append(changed)
    return Outcome((Images(tuple(swapped)), Carried("FACE_MODEL"), pictures))


def _remove_background(call: Call) -> Outcome:
    """What is in front is an oval in the middle."""
    pictures = call.images("image")
    width, height = pictures.size
    mask = Image.new("L", pictures.size, 0)
    ImageDraw.Draw(mask).ellipse((width * 0.15, height * 0.1, width * 0.85, height * 0.95), fill=255)
    if blur := call.inputs.get("mask_blur"):
        mask = mask.filter(ImageFilter.GaussianBlur(float(blur)))
    if call.inputs.get("invert_output"):
        mask = ImageOps.invert(mask)
    frames = []
    for frame in pictures.frames:
        if call.inputs.get("background") == "Color":
            behind = Image.new("RGB", frame.size, str(call.inputs.get("background_color")))
            frames.append(Image.composite(frame.convert("RGB"), behind, mask))
        else:
            cut = frame.convert("RGBA")
            cut.putalpha(mask)
            frames.append(cut)
    masks = (mask,) * len(frames)
    shown = Images(tuple(each.convert("RGB") for each in masks))
    return Outcome((Images(tuple(frames)), Masks(masks), shown))


OPERATIONS: Mapping[str, Operation] = {
    "ReActorFaceSwap": _swap,
    "ReActorFaceSwapOpt": _swap,
    "BiRefNetRMBG": _remove_background,
}
