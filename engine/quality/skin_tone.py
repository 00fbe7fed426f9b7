"""How much of a picture has a colour of human skin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check
from engine.quality.measuring import averaged

if TYPE_CHECKING:
    from PIL.Image import Image

# Each is a plane through the colours, as factors of red, green and blue and a constant in levels of 256: a colour of
# skin is on the side where the sum is not negative. Those without a constant go through black: they hold of a colour
# however light or dark it is.
_PLANES = (
    (0.95, 0.0, -1.0, 0.0),  # saturation at least 0.05: less is grey
    (-0.18, 0.0, 1.0, 0.0),  # saturation at most 0.82: more is paint or fire
    (0.83, -1.0, 0.17, 0.0),  # hue at most 50 degrees: more is yellow and green
    (0.25, 1.0, -1.25, 0.0),  # hue at least -15 degrees: less is magenta
    (0.59, -1.0, 0.5, 0.0),  # green at most 0.09 of red above the light of lamps and days: more is a green cast
    (-0.36, 1.0, -0.5, 5.0),  # and at most 0.14 below it, in dark colours a little more: less is red, or magenta
    (-0.66, 1.0, 0.0, 18.0),  # green at least 0.59 of red where red is full, in dark colours less: less is a red sky
    (-1.0, 0.0, 1.0, 140.0),  # a light colour is less saturated: 0.55 where red is full; more is an orange sky
    (1.0, 0.0, 0.0, -8.0),  # darker than this a hue is chance
)
_SIDE = 256
_FINE = 4  # a plane's sum is kept in quarters of a level: in dark pictures, colours differ by little


def share_of_skin(picture: Image, against: Image | None) -> float:  # noqa: ARG001 - every check is called alike
    """Which share of the pixels has a colour of human skin, light to dark, from 0 to 1.

    **What is skin's.** Skin of every tone is an orange of nearly the same hue; tones differ in how light and how
    saturated they are. The published rules draw on that, and each leaves people out: red above 95 (Kovac, Peer and
    Solina, "Human skin colour clustering for face detection", 2003) leaves out dark skin, saturation of 0.23 to 0.68
    (Kolkur and others, "Human skin detection using RGB, HSV and YCbCr color models", 2017) the lightest and the
    darkest, and red chroma of at least 133 of 256 (Chai and Ngan, "Face segmentation using skin-color map in
    videophone applications", 1999) the darkest, since chroma shrinks with the light. So only ratios of the channels
    count here, not levels: a hue of -15 to 50 degrees, and a saturation from 0.05, which all ten tones of the Monk
    Skin Tone Scale have (its lightest 0.07, its darkest 0.22), to 0.82: golden and reddish brown skin is more
    saturated than any of the scale. Bounds in levels are few: what is nearly black has no hue, what is light is never
    very saturated, and what is dark may be redder.

    **Casts.** Daylight and lamps are bluish to orange, never green or magenta, and skin is near that line: its green
    is near the mean of its red and blue. A colour away from it isn't skin's: a face that came out green, magenta or
    blue doesn't count, while a lawn behind a person takes nothing away from the person's share.

    **What can't be told apart**: sand, wood, brown hair, beige walls, and the pale parts of a sunset count as skin;
    its glowing orange doesn't. Very light skin in a bluish light is grey in numbers and counts less, the lightest
    hardly at all.

    Larger pictures are averaged to 256 pixels first: noise has no hue then.
    """
    from PIL import ImageChops, ImageStat

    small = averaged(picture, _SIDE)
    skin = None
    for red, green, blue, constant in _PLANES:
        matrix = (_FINE * red, _FINE * green, _FINE * blue, _FINE * constant + 128)
        side = small.convert("L", matrix).point([255 if level >= 128 else 0 for level in range(256)])
        skin = side if skin is None else ImageChops.darker(skin, side)
    return float(ImageStat.Stat(skin).mean[0]) / 255 if skin else 0.0


SKIN_TONE = Check(
    "skin_tone",
    "which share of the pixels has a colour of human skin, light to dark, 0 to 1; casts of colour do not count",
    share_of_skin,
    minimum=0.02,
    maximum=0.9,
)
