"""What a picture carries beside its pixels, taken from one format and fitted into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.media.containers import exif, jpeg, stamp_text
from engine.media.stamps import STAMP_LEFT_OUT, VALUES_LEFT_OUT, without_values

if TYPE_CHECKING:
    from PIL import Image

GRAPH_LEFT_OUT = "ComfyUI's graph is too long for a JPEG and is left out"

# ComfyUI's two texts and where it writes them in EXIF.
_GRAPH_TAGS = {"prompt": exif.MODEL, "workflow": exif.MAKE}

# Text chunks of PNG that hold what has a place of its own, or say nothing that is worth a warning.
_NOT_TEXT = ("XML:com.adobe.xmp", "Raw profile type exif", "Software", stamp_text.KEYWORD)

_LONGEST_XMP_OF_JPEG = 65_000


@dataclass(frozen=True, slots=True)
class Carried:
    """What is to go over into the new picture.

    Attributes:
        texts: by their names; ComfyUI's graph is `prompt` and `workflow`.
        exif: an EXIF block that says nothing of how the picture is turned; empty for none.
        xmp: an XMP packet; empty for none.
    """

    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    xmp: bytes = b""


def carried_by(picture: Image.Image) -> Carried:
    """What a picture carries.

    Args:
        picture: decoded: PNG may put text after the picture's data.
    """
    texts = {name: str(text) for name, text in getattr(picture, "text", {}).items() if name not in _NOT_TEXT}
    block = exif.block(picture.info.get("exif") or b"")
    if not exif.readable(block):
        block = b""
    elif exif.orientation(block) != 1:
        block = exif.changed(block, {}, turned=1)  # the pixels are turned before they are written
    for text in exif.texts(block).values():
        name, colon, rest = text.partition(":")
        if colon and name in _GRAPH_TAGS:
            texts.setdefault(name, rest)
    xmp = picture.info.get("xmp") or b""
    return Carried(texts, block, xmp.encode() if isinstance(xmp, str) else bytes(xmp))


def writer_options(carried: Carried, stamp: Mapping[str, Any], form: str) -> tuple[dict[str, Any], list[str]]:
    """What Pillow's writer of a format is to be told, so that the new picture carries it.

    Args:
        carried: what goes over.
        stamp: what made the picture; empty for none.
        form: `png`, `jpeg`, `webp` or `avif`.

    Returns:
        Arguments of `Image.save`; and warnings of what had no room, each a clause that follows the file's name.
    """
    if form == "png":
        return _for_png(carried, stamp), []
    block, warnings = _fitting_exif(carried, stamp, jpeg.LONGEST_EXIF if form == "jpeg" else None)
    options: dict[str, Any] = {"exif": exif.PREFIX + block} if block else {}
    if carried.xmp and not (form == "jpeg" and len(carried.xmp) > _LONGEST_XMP_OF_JPEG):
        options["xmp"] = carried.xmp
    if others := sorted(set(carried.texts) - set(_GRAPH_TAGS)):
        warnings.append(f"its texts {', '.join(others)} have no place in {form} and are left out")
    return options, warnings


def _for_png(carried: Carried, stamp: Mapping[str, Any]) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, text in carried.texts.items():
        info.add_text(name, text)
    if carried.xmp:
        info.add_itxt("XML:com.adobe.xmp", carried.xmp.decode("utf-8", "replace"))
    if stamp:
        info.add_itxt(stamp_text.KEYWORD, stamp_text.written(stamp))
    return {"pnginfo": info, **({"exif": exif.PREFIX + carried.exif} if carried.exif else {})}


def _fitting_exif(carried: Carried, stamp: Mapping[str, Any], limit: int | None) -> tuple[bytes, list[str]]:
    """The fullest block within the limit: the graph goes first, then the stamp's values, then the stamp."""
    graph = {_GRAPH_TAGS[name]: f"{name}:{text}" for name, text in carried.texts.items() if name in _GRAPH_TAGS}
    left_out = [GRAPH_LEFT_OUT] if graph else []
    whole = stamp_text.written(stamp) if stamp else None
    for base, texts, text, warnings in (
        (carried.exif, graph, whole, []),
        (b"", {}, whole, left_out),
        (b"", {}, stamp_text.written(without_values(stamp)), [*left_out, VALUES_LEFT_OUT]),
    ):
        block = exif.changed(base, texts) if texts else base
        block = stamp_text.into_exif(block, text) if text is not None else block
        if limit is None or len(block) <= limit:
            return block, warnings
    return b"", [*left_out, STAMP_LEFT_OUT]
