"""Pictures as ComfyUI's nodes save them, and the finishing of them."""

from __future__ import annotations

import io
import json

from PIL import Image
from PIL.PngImagePlugin import PngInfo

GRAPH = {"3": {"class_type": "KSampler", "inputs": {"seed": 7}}}
WORKFLOW = {"nodes": [{"id": 3, "title": "灯台"}]}
STAMP = {
    "workflow": "txt2img",
    "version": "1.0",
    "values": {"prompt": "a lighthouse, 灯台", "seed": 7, "negative_prompt": None},
    "engine": "0.1.0",
}
COMFY_WORDS = (b"KSampler", b"nodes", b"workflow:", b"prompt:{")


def speckled(size=(24, 18), mode="RGB"):
    """A picture of which no two pixels need be alike, with fixed content."""
    width, height = size
    picture = Image.new("RGBA", size)
    picture.putdata(
        [(x * 9 % 256, y * 13 % 256, (x * y) % 256, 255 - x * 7 % 256) for y in range(height) for x in range(width)]
    )
    return picture if mode == "RGBA" else picture.convert(mode)


def saved(picture, form, **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def comfy_png(picture=None, graph=None, **more):
    """As SaveImage writes it: the graph in text chunks."""
    info = PngInfo()
    info.add_text("prompt", json.dumps(graph or GRAPH))
    info.add_text("workflow", json.dumps(WORKFLOW))
    return saved(picture or speckled(), "PNG", pnginfo=info, **more)


def comfy_animated_png(frames=3):
    """As SaveAnimatedPNG writes it: the graph in chunks of its own, after the picture."""
    info = PngInfo()
    info.add(b"comf", b"prompt\0" + json.dumps(GRAPH).encode(), after_idat=True)
    info.add(b"comf", b"workflow\0" + json.dumps(WORKFLOW).encode(), after_idat=True)
    return saved(speckled(), "PNG", pnginfo=info, save_all=True, append_images=_more(frames), duration=[100] * frames)


def comfy_exif():
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{json.dumps(GRAPH)}"
    exif[0x010F] = f"workflow:{json.dumps(WORKFLOW)}"
    return exif


def comfy_webp(frames=1, **more):
    """As SaveAnimatedWEBP writes it: the graph in EXIF."""
    moving = {"save_all": True, "append_images": _more(frames), "duration": 40} if frames > 1 else {}
    return saved(speckled(), "WEBP", lossless=True, exif=comfy_exif(), **moving, **more)


def comfy_jpeg(**more):
    return saved(speckled(), "JPEG", exif=comfy_exif(), comment=b"made with KSampler", **more)


def frames_of(content):
    """The pixels of all frames."""
    with Image.open(io.BytesIO(content)) as picture:
        pixels = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            pixels.append(picture.convert("RGBA").tobytes())
        return pixels


def with_profile(space=b"RGB "):
    """The head of a colour profile of that colour space, which no one here looks into further."""
    return bytes(16) + space + bytes(112)


def _more(frames):
    return [speckled().rotate(180 * number + 90 * (number % 2)) for number in range(1, frames)]
