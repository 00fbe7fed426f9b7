"""The people in a drawn picture whose prompt speaks of any: head and shoulders, of every skin tone."""

from __future__ import annotations

import re
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Dice = Callable[[float, float], float]
"""Gives a number between two."""

_WORDS = re.compile(
    r"\b(portraits?|headshots?|selfies?|persons?|people|humans?|faces?|m[ae]n|wom[ae]n|girls?|boys?|child|children"
    r"|lady|ladies|gentlem[ae]n|guys?|actors?|actress(es)?|fathers?|mothers?|brides?|grooms?)\b",
    re.IGNORECASE,
)
_TONES: tuple[Colour, ...] = (
    (250, 228, 212),
    (240, 206, 178),
    (222, 178, 142),
    (190, 142, 104),
    (146, 102, 72),
    (100, 68, 50),
    (62, 46, 37),
    (44, 37, 31),
)
_HAIR: tuple[Colour, ...] = ((24, 22, 23), (40, 30, 26), (78, 54, 40), (150, 112, 66), (136, 62, 34), (176, 174, 172))
_WHITE: Colour = (238, 238, 240)


def spoken_of(prompt: object) -> bool:
    """Whether a prompt speaks of a person, in English."""
    return bool(_WORDS.search(str(prompt or "")[:4000]))


def draw_people(canvas: Image.Image, dice: Dice) -> None:
    """Draw one person onto a picture, or in a wide one several side by side.

    Args:
        canvas: RGB; it is changed.
        dice: decides on the tone of the skin, over the whole range, and on hair and clothes.
    """
    width, height = canvas.size
    count = max(1, min(6, round(width / height)))
    for index in range(count):
        _person(canvas, (index + 0.5) * width / count, min(width / count * 0.24, height * 0.19), dice)


def _person(canvas: Image.Image, x: float, unit: float, dice: Dice) -> None:
    """One person; `unit` is half the width of the face, `x` the middle of it, in pixels."""
    height = canvas.size[1]
    y = max(height * 0.4, unit * 1.7)
    tone, hair = _tone(dice(0, 1)), _HAIR[int(dice(0, len(_HAIR) - 0.01))]
    clothes = (round(dice(40, 90)), round(dice(60, 130)), round(dice(90, 170)))
    long_hair = dice(0, 1) > 0.5

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return x + left * unit, y + top * unit, x + right * unit, y + bottom * unit

    def paint(colour: Colour | Image.Image, *shapes: tuple[str, tuple[float, float, float, float]]) -> None:
        mask = Image.new("L", canvas.size, 0)
        brush = ImageDraw.Draw(mask)
        for kind, place in shapes:
            getattr(brush, kind)(place, fill=255)
        canvas.paste(colour, None if isinstance(colour, Image.Image) else (0, 0), mask.filter(_SOFT))

    skin = _lit(tone, canvas.size, x, unit)
    paint(hair, ("ellipse", box(-1.2, -1.5, 1.2, 2.4 if long_hair else 0.7)))
    paint(skin, ("rectangle", box(-0.42, 0.8, 0.42, 2.2)))
    paint(clothes, ("ellipse", box(-1.9, 1.75, 1.9, 6.0)))
    paint(skin, ("ellipse", box(-0.4, 1.5, 0.4, 2.1)))
    paint(
        skin, ("ellipse", box(-1, -1.25, 1, 1.3)), *(("ellipse", box(s - 0.13, -0.2, s + 0.13, 0.35)) for s in (-1, 1))
    )
    paint(hair, ("ellipse", box(-1.05, -1.45, 1.05, -0.62)))
    for side in (-0.42, 0.42):
        paint(hair, ("rectangle", box(side - 0.22, -0.38, side + 0.22, -0.31)))
        paint(_WHITE, ("ellipse", box(side - 0.19, -0.2, side + 0.19, 0.0)))
        paint((44, 36, 32), ("ellipse", box(side - 0.09, -0.2, side + 0.09, 0.0)))
    paint(
        ImageChops.multiply(skin, Image.new("RGB", canvas.size, (200, 190, 186))),
        ("ellipse", box(-0.12, 0.2, 0.12, 0.38)),
    )
    paint(
        ImageChops.multiply(skin, Image.new("RGB", canvas.size, (222, 168, 168))),
        ("ellipse", box(-0.3, 0.66, 0.3, 0.84)),
    )


_SOFT = ImageFilter.GaussianBlur(0.7)


def _tone(part: float) -> Colour:
    """The tone that lies so far between the lightest (0) and the darkest (1)."""
    at = part * (len(_TONES) - 1)
    index = min(int(at), len(_TONES) - 2)
    pairs = zip(_TONES[index], _TONES[index + 1], strict=True)
    red, green, blue = (round(first + (second - first) * (at - index)) for first, second in pairs)
    return red, green, blue


def _lit(tone: Colour, size: tuple[int, int], x: float, unit: float) -> Image.Image:
    """That skin all over, a little darker from the left to the right of the face."""
    face = Image.linear_gradient("L").rotate(270).point([255 - round(at * 0.3) for at in range(256)])
    shade = Image.new("L", size, 255)
    shade.paste(face.resize((max(1, round(2.4 * unit)), size[1])), (round(x - 1.2 * unit), 0))
    return ImageChops.multiply(Image.new("RGB", size, tone), Image.merge("RGB", (shade,) * 3))
