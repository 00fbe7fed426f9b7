"""Drawn pictures for judging the judges: people of every skin tone in several lights, and what is no person.

All are made anew by Pillow, the same on every machine.
"""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

Colour = tuple[int, int, int]

MONK_TONES = {
    1: "#f6ede4",
    2: "#f3e7db",
    3: "#f7ead0",
    4: "#eadaba",
    5: "#d7bd96",
    6: "#a07e56",
    7: "#825c43",
    8: "#604134",
    9: "#3a312a",
    10: "#292420",
}
"""The Monk Skin Tone Scale, from light to dark, by Ellis Monk: https://skintone.google."""

FURTHER_TONES = {
    "golden": "#e0ac69",
    "tan": "#c68642",
    "golden brown": "#8d5524",
    "warm brown": "#a55d2b",
    "umber": "#4a2912",
    "ruddy": "#ad6452",
    "reddish brown": "#704139",
    "deep reddish brown": "#3c201d",
    "deep brown": "#2d1c18",
    "ebony": "#231814",
}
"""Ours: more golden and redder than those of the scale, which are little saturated."""

LIGHTS = {
    "plain": (1.0, 1.0, 1.0),
    "warm": (1.0, 0.93, 0.76),
    "dim": (0.55, 0.55, 0.55),
    "dim and warm": (0.6, 0.54, 0.44),
    "cool": (0.95, 0.98, 1.0),
}
"""How much of red, green and blue comes back, by kind of light."""

CASTS = {
    "green": (0.75, 1.15, 0.75),
    "blue": (0.55, 0.75, 1.2),
    "magenta": (1.15, 0.62, 1.15),
    "cyan": (0.6, 1.05, 1.05),
}
"""Likewise for pictures whose colours came out wrong."""

BACKGROUNDS = {"wall": (96, 122, 158), "grass": (86, 132, 58), "sky": (130, 175, 225), "white": (255, 255, 255)}

_CANVAS = (384, 512)


def portrait(
    tone: str, *, background: str = "wall", shirt: Colour = (52, 84, 120), size: tuple[int, int] = _CANVAS
) -> Image.Image:
    """Head and shoulders with shading, hair, eyes, lips and clothes.

    Args:
        tone: the colour of the skin.
        background: one of `BACKGROUNDS`.
        shirt: its colour.
        size: in pixels.
    """
    picture = _backdrop(background)
    skin = _skin(Image.new("RGB", _CANVAS, tone))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((88, 62, 296, 330), fill=(24, 23, 25))  # the hair behind
    picture.paste(skin, (0, 0), _drawn_mask())
    draw.ellipse((30, 400, 354, 700), fill=shirt)
    draw.chord((100, 66, 284, 300), 195, 345, fill=(24, 23, 25))  # the hair in front
    for x in (152, 232):
        draw.ellipse((x - 17, 196, x + 17, 214), fill=(236, 236, 236))
        draw.ellipse((x - 8, 196, x + 8, 214), fill=(48, 40, 36))
        draw.line((x - 22, 182, x + 22, 180), fill=(30, 28, 28), width=6)
    lips = ImageChops.multiply(skin, Image.new("RGB", _CANVAS, (225, 170, 170)))
    mouth = Image.new("L", _CANVAS, 0)
    ImageDraw.Draw(mouth).ellipse((164, 286, 220, 304), fill=255)
    picture.paste(lips, (0, 0), mouth)
    return picture.resize(size, Image.Resampling.LANCZOS)


def drawn_share() -> float:
    """Which share of a `portrait` is skin."""
    covered = _drawn_mask()
    draw = ImageDraw.Draw(covered)
    draw.ellipse((30, 400, 354, 700), fill=0)
    draw.chord((100, 66, 284, 300), 195, 345, fill=0)
    for x in (152, 232):
        draw.ellipse((x - 17, 196, x + 17, 214), fill=0)
        draw.line((x - 22, 182, x + 22, 180), fill=0, width=6)
    return ImageStat.Stat(covered).mean[0] / 255


def lit(picture: Image.Image, gains: tuple[float, float, float]) -> Image.Image:
    """The picture in a light of `LIGHTS`, or with a cast of `CASTS`."""
    bands = zip(picture.convert("RGB").split(), gains, strict=True)
    return Image.merge("RGB", [band.point([min(255, round(at * gain)) for at in range(256)]) for band, gain in bands])


def sunset(size: tuple[int, int] = (512, 384)) -> Image.Image:
    """A glowing sky without people: purple above, orange below, a sun, and dark hills."""
    sky = _between((255, 138, 36), (84, 44, 112), size)
    draw = ImageDraw.Draw(sky)
    width, height = size
    reach = width // 12
    draw.ellipse((width // 2 - reach, height // 2, width // 2 + reach, height // 2 + 2 * reach), fill=(255, 226, 120))
    draw.rectangle((0, round(height * 0.76), width, height), fill=(22, 18, 30))
    return sky.filter(ImageFilter.GaussianBlur(2))


def meadow(size: tuple[int, int] = (512, 384)) -> Image.Image:
    """Grass below a blue sky."""
    picture = _between((188, 214, 240), (96, 150, 214), size)
    below = round(size[1] * 0.4)
    picture.paste(_between((56, 104, 36), (120, 168, 70), (size[0], size[1] - below)), (0, below))
    return speckled(picture, 14)


def stripes(size: tuple[int, int] = (512, 384), step: int = 24) -> Image.Image:
    """Sharp edges everywhere, without any colour."""
    picture = Image.new("RGB", size, (40, 40, 40))
    draw = ImageDraw.Draw(picture)
    for x in range(0, size[0], 2 * step):
        draw.rectangle((x, 0, x + step - 1, size[1]), fill=(215, 215, 215))
    return picture


def noise(size: tuple[int, int], *, seed: int = 0, spread: int = 256, middle: int = 128) -> Image.Image:
    """Pixels at random around a grey."""
    dice = random.Random(seed)
    low = max(0, middle - spread // 2)
    levels = bytes(low + each * spread // 256 for each in dice.randbytes(size[0] * size[1] * 3))
    return Image.frombytes("RGB", size, levels)


def speckled(picture: Image.Image, spread: int) -> Image.Image:
    """The picture with noise on it."""
    return ImageChops.add(picture, noise(picture.size, spread=2 * spread), offset=-128)


def _between(below: Colour, above: Colour, size: tuple[int, int]) -> Image.Image:
    fade = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", size, below), Image.new("RGB", size, above), fade)


def _backdrop(name: str) -> Image.Image:
    colour = BACKGROUNDS[name]
    shaded = tuple(round(part * 0.8) for part in colour)
    picture = _between(shaded, colour, _CANVAS)  # type: ignore[arg-type]
    return speckled(picture, 10) if name == "grass" else picture


def _drawn_mask() -> Image.Image:
    mask = Image.new("L", _CANVAS, 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((104, 84, 280, 336), fill=255)  # the face
    draw.ellipse((94, 190, 116, 240), fill=255)
    draw.ellipse((268, 190, 290, 240), fill=255)
    draw.polygon([(152, 300), (232, 300), (244, 440), (140, 440)], fill=255)  # the neck
    return mask


def _skin(flat: Image.Image) -> Image.Image:
    """A skin lit from one side, with redder cheeks."""
    shade = Image.linear_gradient("L").rotate(90).resize(_CANVAS).point([round(150 + at * 0.41) for at in range(256)])
    shaded = ImageChops.multiply(flat, Image.merge("RGB", (shade,) * 3))
    flush = Image.new("L", _CANVAS, 0)
    for x in (138, 246):
        ImageDraw.Draw(flush).ellipse((x - 24, 236, x + 24, 276), fill=120)
    red = ImageChops.multiply(shaded, Image.new("RGB", _CANVAS, (255, 215, 205)))
    return Image.composite(red, shaded, flush.filter(ImageFilter.GaussianBlur(8)))
