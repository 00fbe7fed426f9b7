"""What a picture carries beside its pixels, taken from one format and fitted into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.containers import exif, jpeg, stamp_text
from engine.media.stamps import STAMP_LEFT_OUT, VALUES_LEFT_OUT, without_values
from engine.media.unfinished import Unfinished, pillow_work

if TYPE_CHECKING:
    from PIL import Image

GRAPH_LEFT_OUT = "ComfyUI's graph is too long for a JPEG and is left out"
EXIF_LEFT_OUT = "its EXIF data is too long for a JPEG and is left out"
XMP_LEFT_OUT = "its XMP data is too long for a JPEG and is left out"
EXIF_UNREADABLE = "its EXIF data can't be read and is left out"

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
        lost: what could not be read, each a clause that follows the file's name.
    """

    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    xmp: bytes = b""
    lost: tuple[str, ...] = ()


def carried_by(picture: Image.Image) -> Carried:
    """What a picture carries.

    Args:
        picture: decoded: PNG may put text after the picture's data.

    Raises:
        ValueError: its EXIF is written as text, and the text is broken. Pillow could not turn it upright either.
    """
    texts = {name: str(text) for name, text in getattr(picture, "text", {}).items() if name not in _NOT_TEXT}
    block = _exif_of(picture)
    lost = (EXIF_UNREADABLE,) if block and not exif.readable(block) else ()
    if lost:
        block = b""
    elif exif.orientation(block) != 1:
        block = exif.changed(block, {}, turned=1)  # the pixels are turned before they are written
    for text in exif.texts(block).values():
        name, colon, rest = text.partition(":")
        if colon and name in _GRAPH_TAGS:
            texts.setdefault(name, rest)
    xmp = picture.info.get("xmp") or b""
    return Carried(texts, block, xmp.encode() if isinstance(xmp, str) else bytes(xmp), lost)


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
        return _for_png(carried, stamp), [*carried.lost]
    block, left_out = _fitting_exif(carried, stamp, jpeg.LONGEST_EXIF if form == "jpeg" else None)
    warnings = [*carried.lost, *left_out]
    options: dict[str, Any] = {"exif": exif.PREFIX + block} if block else {}
    if form == "jpeg" and len(carried.xmp) > _LONGEST_XMP_OF_JPEG:
        warnings.append(XMP_LEFT_OUT)
    elif carried.xmp:
        options["xmp"] = carried.xmp
    if others := sorted(set(carried.texts) - set(_GRAPH_TAGS)):
        warnings.append(f"its texts {', '.join(others)} have no place in {form} and are left out")
    return options, warnings


def _exif_of(picture: Image.Image) -> bytes:
    """The EXIF block; before PNG had a chunk for it, ImageMagick wrote it as hexadecimal text, after three lines."""
    content = picture.info.get("exif")
    if content or not isinstance(text := picture.info.get("Raw profile type exif"), str):
        return exif.block(content or b"")
    return exif.block(bytes.fromhex("".join(text.split("\n")[3:])))


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
    """The fullest block within the limit: the graph goes first, then the stamp's values, all other EXIF, the stamp.

    Returns:
        The block; and what was left out, each a clause that follows the file's name.
    """
    graph = {_GRAPH_TAGS[name]: f"{name}:{text}" for name, text in carried.texts.items() if name in _GRAPH_TAGS}
    fullest = exif.changed(carried.exif, graph) if graph else carried.exif
    whole = stamp_text.written(stamp) if stamp else None
    if _fits(block := _stamped(fullest, whole), limit):
        return block, []
    graph_left_out = [GRAPH_LEFT_OUT] if graph else []
    rest = _without_graph(carried.exif) if graph else carried.exif
    if rest is None:
        rest = b""
        graph_left_out.append(EXIF_UNREADABLE)
    exif_left_out = [EXIF_LEFT_OUT] if rest else []
    short = stamp_text.written(without_values(stamp)) if stamp else None
    for base, text, left_out in (
        (rest, whole, []),
        (rest, short, [VALUES_LEFT_OUT]),
        (b"", whole, exif_left_out),
        (b"", short, [*exif_left_out, VALUES_LEFT_OUT]),
        (rest, None, [STAMP_LEFT_OUT]),
    ):
        if _fits(block := _stamped(base, text), limit):
            return block, [*graph_left_out, *left_out]
    return b"", [*graph_left_out, *exif_left_out, *([STAMP_LEFT_OUT] if stamp else [])]


def _stamped(block: bytes, text: str | None) -> bytes:
    return stamp_text.into_exif(block, text) if text is not None else block


def _fits(block: bytes, limit: int | None) -> bool:
    return limit is None or len(block) <= limit


def _without_graph(block: bytes) -> bytes | None:
    """An EXIF block without ComfyUI's texts, written anew where it has them; None where it is too odd for that."""
    found = exif.texts(block)
    tags = [tag for name, tag in _GRAPH_TAGS.items() if found.get(tag, "").startswith(f"{name}:")]
    if not tags:
        return block
    from PIL import Image

    rest = Image.Exif()
    try:
        with pillow_work("can't be read"):
            rest.load(exif.PREFIX + block)
            for tag in tags:
                del rest[tag]
            return exif.block(rest.tobytes()) if len(rest) else b""
    except Unfinished:
        return None
