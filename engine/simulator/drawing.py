"""The picture that stands for a generated one: a quiet landscape, clearly marked, with what was asked for.

Where a person was asked for, one stands in it.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from engine.simulator import people

MARK = "SIMULATED - not a real generation"

_LARGEST_CANVAS = 640  # the landscape is soft: drawn small and enlarged, a 4096 px picture costs little more
_WHITE = (255, 255, 255, 255)
_FAINT = (255, 255, 255, 190)
_PANEL = (12, 14, 24, 150)
_BAND = (12, 14, 24, 190)

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def picture(
    size: tuple[int, int],
    facts: Mapping[str, Any],
    *,
    index: int = 0,
    count: int = 1,
    source: Image.Image | None = None,
) -> Image.Image:
    """Draw the stand-in for one generated picture; the same arguments give the same pixels.

    Args:
        size: width and height in pixels.
        facts: what was asked for: `prompt negative seed steps cfg sampler_name scheduler denoise model`.
        index: which of a batch, from 0.
        count: how large the batch is.
        source: for image to image, what it started from: it then takes the place of the landscape.
    """
    dice = _Dice(f"{facts.get('seed')}|{facts.get('prompt')}|{facts.get('negative')}|{index}")
    crowd = people.spoken_of(facts.get("prompt"))
    base = _landscape(size, dice, crowd=crowd) if source is None else _veiled(source, size, dice)
    overlay = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(overlay)
    if min(size) < 160:
        _small_caption(draw, size)
    else:
        _captions(draw, size, facts, index, count)
    return Image.alpha_composite(base.convert("RGBA"), overlay).convert("RGB")


class _Dice:
    """Numbers from a text: the same on every machine and Python, unlike `random` across versions."""

    def __init__(self, text: str) -> None:
        self._bytes = hashlib.sha512(text.encode("utf-8", "surrogatepass")).digest()
        self._at = 0

    def __call__(self, low: float, high: float) -> float:
        if self._at + 2 > len(self._bytes):
            self._bytes, self._at = hashlib.sha512(self._bytes).digest(), 0
        value = int.from_bytes(self._bytes[self._at : self._at + 2], "big") / 65535
        self._at += 2
        return low + (high - low) * value


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    sector, part = divmod((hue % 1.0) * 6, 1)
    low, falling, rising = (
        value * (1 - saturation),
        value * (1 - saturation * part),
        value * (1 - saturation * (1 - part)),
    )
    red, green, blue = (
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    )[int(sector) % 6]
    return round(red * 255), round(green * 255), round(blue * 255)


def _gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    fade = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), fade)


def _landscape(size: tuple[int, int], dice: _Dice, *, crowd: bool) -> Image.Image:
    scale = min(1.0, _LARGEST_CANVAS / max(size))
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    hue = dice(0.25, 0.6) if crowd else dice(0, 1)  # behind people no colour that skin could have
    sun = dice(0.0, 0.16)  # red to yellow: any other sun looks broken
    canvas = _gradient((width, height), _hsv(hue, dice(0.45, 0.6), dice(0.42, 0.6)), _hsv(hue + 0.12, 0.28, 0.97))
    _sun(canvas, dice, _hsv(sun, dice(0.2, 0.5), 1.0))
    ridges = 5
    for ridge in range(ridges):
        near = (ridge + 1) / ridges
        colour = _hsv(hue + 0.05 * near, 0.25 + 0.4 * near, 0.9 - 0.68 * near)
        _ridge(canvas, dice, 0.5 + 0.34 * near, 0.1 - 0.05 * near, colour)
    if crowd:
        people.draw_people(canvas, dice)
    return canvas.resize(size, Image.Resampling.BICUBIC)


def _sun(canvas: Image.Image, dice: _Dice, colour: Colour) -> None:
    width, height = canvas.size
    radius = max(2.0, min(width, height) * dice(0.06, 0.12))
    x, y = width * dice(0.2, 0.8), height * dice(0.24, 0.44)
    for grow, strength in ((3.2, 70), (1.9, 90), (1.0, 255)):
        mask = Image.new("L", canvas.size, 0)
        reach = radius * grow
        ImageDraw.Draw(mask).ellipse((x - reach, y - reach, x + reach, y + reach), fill=strength)
        blur = reach * 0.45 if grow > 1 else 1.0
        canvas.paste(colour, (0, 0), mask.filter(ImageFilter.GaussianBlur(blur)))


def _ridge(canvas: Image.Image, dice: _Dice, level: float, swing: float, colour: Colour) -> None:
    width, height = canvas.size
    waves = [(dice(0.6, 1.4) * 2**octave, dice(0, math.tau), 0.5**octave) for octave in range(4)]
    line = [
        (
            x,
            height
            * (level + swing * sum(part * math.sin(math.tau * pace * x / width + at) for pace, at, part in waves)),
        )
        for x in range(width + 1)
    ]
    mask = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(mask).polygon([*line, (width, height), (0, height)], fill=255)
    shade = _gradient(
        canvas.size,
        colour,
        tuple(round(part * 0.72) for part in colour),  # type: ignore[arg-type]
    )
    canvas.paste(shade, (0, 0), mask.filter(ImageFilter.GaussianBlur(0.7)))


def _veiled(source: Image.Image, size: tuple[int, int], dice: _Dice) -> Image.Image:
    """The picture it started from, tinted by the seed."""
    tint = Image.new("RGB", size, _hsv(dice(0, 1), 0.45, 0.85))
    resized = source.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    return Image.blend(resized, ImageChops.multiply(resized, tint), 0.65)


def _small_caption(draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """No room for a sentence: as much of the mark as fits."""
    width, height = size
    font = _fitting("SIMULATED", width - 4, 18)
    band = min(height, round(_line_height(font) * 1.3))
    draw.rectangle((0, height - band, width, height), fill=_BAND)
    draw.text((width / 2, height - band / 2), "SIMULATED", font=font, fill=_WHITE, anchor="mm")


def grey(size: tuple[int, int]) -> Image.Image:
    """The picture that stands for one that failed: flat, without a word."""
    return Image.new("RGB", size, (128, 128, 128))


def _captions(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], facts: Mapping[str, Any], index: int, count: int
) -> None:
    width, height = size
    unit = min(width, height) / 512
    margin = round(16 * unit)
    mark_font = _fitting(MARK, width - 2 * margin, max(11, round(24 * unit)))
    band = round(_line_height(mark_font) * 1.9)
    draw.rectangle((0, 0, width, band), fill=_BAND)
    draw.text((width / 2, band / 2), MARK, font=mark_font, fill=_WHITE, anchor="mm")

    text_font = ImageFont.load_default(max(10, round(20 * unit)))
    small_font = ImageFont.load_default(max(9, round(14.5 * unit)))
    room = width - 4 * margin
    details = [line for text in _details(size, facts, index, count) for line in _wrapped(text, small_font, room)]
    step, small_step = round(_line_height(text_font) * 1.25), round(_line_height(small_font) * 1.35)
    space = height - band - 5 * margin - len(details) * small_step
    prompt = _wrapped(str(facts.get("prompt") or ""), text_font, room, most=max(1, min(7, space // step)))
    gap = small_step // 2 if prompt else 0
    panel = len(prompt) * step + gap + len(details) * small_step + 2 * margin
    top = max(band, height - panel - margin)
    draw.rounded_rectangle((margin, top, width - margin, height - margin), round(12 * unit), fill=_PANEL)
    y = top + margin
    for line in prompt:
        draw.text((2 * margin, y), line, font=text_font, fill=_WHITE)
        y += step
    y += gap
    for line in details:
        draw.text((2 * margin, y), line, font=small_font, fill=_FAINT)
        y += small_step


def _details(size: tuple[int, int], facts: Mapping[str, Any], index: int, count: int) -> list[str]:
    known = [f"{size[0]} x {size[1]}"]
    if count > 1:
        known.append(f"image {index + 1} of {count}")
    known += [
        f"{label} {_number(facts[key])}"
        for key, label in (("seed", "seed"), ("steps", "steps"), ("cfg", "cfg"), ("guidance", "guidance"))
        if key in facts
    ]
    if facts.get("denoise", 1.0) != 1.0:
        known.append(f"denoise {_number(facts['denoise'])}")
    sampling = " / ".join(str(facts[key]) for key in ("sampler_name", "scheduler") if key in facts)
    models = " + ".join(str(name) for name in (facts.get("model"), *facts.get("loras", ())) if name)
    return [line for line in (",  ".join(known), sampling, models) if line]


def _number(value: Any) -> str:
    """A fraction without the digits that nobody typed: 0.27, not 0.2700000000000001."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _line_height(font: Font) -> int:
    box = font.getbbox("Ågj")
    return math.ceil(box[3] - box[1])


def _fitting(text: str, width: float, largest: int) -> Font:
    for points in range(largest, 5, -1):
        font = ImageFont.load_default(points)
        if font.getlength(text) <= width:
            return font
    return ImageFont.load_default(5)


def _wrapped(text: str, font: Font, width: float, most: int = 3) -> list[str]:
    """The text in lines that fit, at most so many; what is left out ends in an ellipsis."""
    lines: list[str] = []
    for word in _drawable(text[:2000]).split():
        pieces = _pieces(word, font, width)
        for position, piece in enumerate(pieces):
            joined = f"{lines[-1]} {piece}" if lines and position == 0 else piece
            if lines and position == 0 and font.getlength(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(piece)
        if len(lines) > most:
            break
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and font.getlength(last + " ...") > width:
        last = last[:-1]
    return [*lines[: most - 1], last.rstrip(" ,") + " ..."]


def _drawable(text: str) -> str:
    """The text as far as Pillow's own font goes, which is ASCII; accents go, the rest shows as a box.

    A system's font would have more letters, and other pixels on every machine.
    """
    plain = text.translate({0x2014: "-", 0x2013: "-", 0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
    return "".join(part for part in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(part))


def _pieces(word: str, font: Font, width: float) -> list[str]:
    """A word too long for a line (a file name, a language without spaces), cut to pieces that fit."""
    pieces, rest = [], word
    while rest and font.getlength(rest) > width:
        # By halves: a word of thousands of letters would take a minute from its end.
        fitting = bisect.bisect_right(range(1, len(rest) + 1), width, key=lambda count: font.getlength(rest[:count]))
        cut = max(1, fitting)
        pieces.append(rest[:cut])
        rest = rest[cut:]
    return [*pieces, rest] if rest else pieces
