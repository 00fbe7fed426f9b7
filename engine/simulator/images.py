"""Nodes that need no model: they really do what they say, with Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageSequence

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.values import Images, Masks

_METHODS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_NO_MASK = (64, 64)  # ComfyUI gives a mask of this size where a picture has no alpha


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


def _each(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    return Images(tuple(change(frame) for frame in images.frames))


def _empty_image(call: Call) -> Outcome:
    colour = int(call.inputs.get("color", 0))
    rgb = ((colour >> 16) & 255, (colour >> 8) & 255, colour & 255)
    frame = Image.new("RGB", (call.inputs["width"], call.inputs["height"]), rgb)
    return Outcome((Images((frame,) * int(call.inputs.get("batch_size", 1))),))


def _load_image(call: Call) -> Outcome:
    frames: list[Image.Image] = []
    masks: list[Image.Image] = []
    with Image.open(call.folders.input_file(call.inputs["image"])) as file:
        for raw in ImageSequence.Iterator(file):
            frame = ImageOps.exif_transpose(raw)
            picture = _eight_bit(frame).convert("RGB")
            if frames and picture.size != frames[0].size:
                continue
            frames.append(picture)
            masks.append(_alpha_mask(frame))
            if file.format == "MPO":
                break
    return Outcome((Images(tuple(frames)), Masks(tuple(masks))))


def _eight_bit(frame: Image.Image) -> Image.Image:
    if not frame.mode.startswith("I"):
        return frame
    return frame.convert("I").point(lambda value: value * (1 / 255))


def _alpha_mask(frame: Image.Image) -> Image.Image:
    if "A" in frame.getbands():
        return ImageChops.invert(frame.getchannel("A"))
    if frame.mode == "P" and "transparency" in frame.info:
        return ImageChops.invert(frame.convert("RGBA").getchannel("A"))
    return Image.new("L", _NO_MASK, 0)


def _load_mask(call: Call) -> Outcome:
    with Image.open(call.folders.input_file(call.inputs["image"])) as file:
        frame = _eight_bit(ImageOps.exif_transpose(file)).convert("RGBA")
    channel = call.inputs["channel"][0].upper()
    band = frame.getchannel(channel)
    return Outcome((Masks((ImageChops.invert(band) if channel == "A" else band,)),))


def _image_scale(call: Call) -> Outcome:
    images = call.images("image")
    width, height = call.inputs["width"], call.inputs["height"]
    if width == 0 and height == 0:
        return Outcome((images,))
    if width == 0:
        width = max(1, round(images.size[0] * height / images.size[1]))
    elif height == 0:
        height = max(1, round(images.size[1] * width / images.size[0]))
    method, crop = call.inputs["upscale_method"], call.inputs["crop"]
    return Outcome((_each(images, lambda frame: scaled(frame, (width, height), method, crop)),))


def _image_scale_by(call: Call) -> Outcome:
    images = call.images("image")
    factor = call.inputs["scale_by"]
    size = (round(images.size[0] * factor), round(images.size[1] * factor))
    return Outcome((_each(images, lambda frame: scaled(frame, size, call.inputs["upscale_method"])),))


def _image_scale_to_total_pixels(call: Call) -> Outcome:
    images = call.images("image")
    step = int(call.inputs.get("resolution_steps", 1))
    factor = math.sqrt(call.inputs["megapixels"] * 1024 * 1024 / (images.size[0] * images.size[1]))
    size = (round(images.size[0] * factor / step) * step, round(images.size[1] * factor / step) * step)
    return Outcome((_each(images, lambda frame: scaled(frame, size, call.inputs["upscale_method"])),))


def _image_invert(call: Call) -> Outcome:
    return Outcome((_each(call.images("image"), ImageChops.invert),))


def _batched(first: Images, *others: Images) -> Images:
    """All in one batch, brought to the size of the first."""
    return Images(
        first.frames
        + tuple(
            frame if frame.size == first.size else scaled(frame, first.size, "bilinear", "center")
            for other in others
            for frame in other.frames
        )
    )


def _image_batch(call: Call) -> Outcome:
    return Outcome((_batched(call.images("image1"), call.images("image2")),))


def _batch_images(call: Call) -> Outcome:
    batches = [value for value in call.inputs.values() if isinstance(value, Images)]
    return Outcome((_batched(*batches),))


def _image_from_batch(call: Call) -> Outcome:
    frames = call.images("image").frames
    start = min(len(frames) - 1, call.inputs["batch_index"])
    return Outcome((Images(frames[start : start + call.inputs["length"]]),))


def _repeat_image_batch(call: Call) -> Outcome:
    return Outcome((Images(call.images("image").frames * call.inputs["amount"]),))


def _image_crop(call: Call) -> Outcome:
    images = call.images("image")
    left, top = min(call.inputs["x"], images.size[0] - 1), min(call.inputs["y"], images.size[1] - 1)
    right = min(images.size[0], left + call.inputs["width"])
    bottom = min(images.size[1], top + call.inputs["height"])
    return Outcome((_each(images, lambda frame: frame.crop((left, top, right, bottom))),))


def _image_pad(call: Call) -> Outcome:
    images = call.images("image")
    left, top, right, bottom = (call.inputs[side] for side in ("left", "top", "right", "bottom"))
    width, height = images.size
    size = (width + left + right, height + top + bottom)

    def padded(frame: Image.Image) -> Image.Image:
        canvas = Image.new("RGB", size, (127, 127, 127))
        canvas.paste(frame, (left, top))
        return canvas

    mask = Image.new("L", size, 255)
    mask.paste(0, (left, top, left + width, top + height))
    return Outcome((_each(images, padded), Masks((mask,))))


def _get_image_size(call: Call) -> Outcome:
    images = call.images("image")
    return Outcome((*images.size, len(images.frames)))


def _mask_to_image(call: Call) -> Outcome:
    return Outcome((Images(tuple(frame.convert("RGB") for frame in call.masks("mask").frames)),))


def _image_to_mask(call: Call) -> Outcome:
    channel = call.inputs["channel"][0].upper()
    frames = call.images("image").frames
    # These pictures have no alpha; ComfyUI would fail on such, here it is opaque.
    blank = Image.new("L", frames[0].size, 255)
    return Outcome((Masks(tuple(blank if channel == "A" else frame.getchannel(channel) for frame in frames)),))


def _invert_mask(call: Call) -> Outcome:
    return Outcome((Masks(tuple(ImageChops.invert(frame) for frame in call.masks("mask").frames)),))


def _solid_mask(call: Call) -> Outcome:
    size = (call.inputs["width"], call.inputs["height"])
    return Outcome((Masks((Image.new("L", size, round(call.inputs["value"] * 255)),)),))


def _passed_on(name: str) -> Operation:
    def operation(call: Call) -> Outcome:
        return Outcome((call.inputs.get(name),))

    return operation


def _concatenated(call: Call) -> Outcome:
    texts: list[Any] = [call.inputs["string_a"], call.inputs["string_b"]]
    return Outcome((str(call.inputs.get("delimiter", "")).join(map(str, texts)),))


def _switched(call: Call) -> Outcome:
    return Outcome((call.inputs.get("on_true" if call.inputs["switch"] else "on_false"),))


OPERATIONS: Mapping[str, Operation] = {
    "EmptyImage": _empty_image,
    "LoadImage": _load_image,
    "LoadImageOutput": _load_image,
    "LoadImageMask": _load_mask,
    "ImageScale": _image_scale,
    "ImageScaleBy": _image_scale_by,
    "ImageScaleToTotalPixels": _image_scale_to_total_pixels,
    "ImageInvert": _image_invert,
    "ImageBatch": _image_batch,
    "BatchImagesNode": _batch_images,
    "ImageFromBatch": _image_from_batch,
    "RepeatImageBatch": _repeat_image_batch,
    "ImageCrop": _image_crop,
    "ImagePadForOutpaint": _image_pad,
    "GetImageSize": _get_image_size,
    "MaskToImage": _mask_to_image,
    "ImageToMask": _image_to_mask,
    "InvertMask": _invert_mask,
    "SolidMask": _solid_mask,
    "PrimitiveInt": _passed_on("value"),
    "PrimitiveFloat": _passed_on("value"),
    "PrimitiveBoolean": _passed_on("value"),
    "PrimitiveString": _passed_on("value"),
    "PrimitiveStringMultiline": _passed_on("value"),
    "StringConcatenate": _concatenated,
    "ComfySwitchNode": _switched,
}
