"""Draws `icon.png`: nodes that are wired, with a name on them. Run it after a change: python .runpod/draw_icon.py."""

# ruff: noqa: INP001 - a script, part of no package

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIDE = 256
_SCALE = 4  # drawn larger, then made smaller: edges come out smooth

_GROUND, _WIRE, _NODE, _NAME = "#16213e", "#7f8fb5", "#e8ecf5", "#ffb454"


def draw() -> Image.Image:
    """The icon: three nodes on the left, wired to the one that has a name."""
    picture = Image.new("RGB", (SIDE * _SCALE, SIDE * _SCALE), _GROUND)
    pen = ImageDraw.Draw(picture)
    for top in (44, 104, 164):
        _wire(pen, (100, top + 24), (148, 128))
    for top in (44, 104, 164):
        _box(pen, (36, top, 100, top + 48), _NODE)
    _box(pen, (148, 92, 220, 164), _NAME)
    for top, right in ((112, 206), (130, 194), (148, 182)):
        pen.line([(162 * _SCALE, top * _SCALE), (right * _SCALE, top * _SCALE)], _GROUND, width=6 * _SCALE)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _box(pen: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], color: str) -> None:
    pen.rounded_rectangle([each * _SCALE for each in corners], radius=10 * _SCALE, fill=color)


def _wire(pen: ImageDraw.ImageDraw, start: tuple[int, int], end: tuple[int, int]) -> None:
    """A curve that leaves and arrives level, as the editor draws its links."""
    (left, top), (right, bottom), steps = start, end, 40
    points = []
    for step in range(steps + 1):
        along = step / steps
        eased = along * along * (3 - 2 * along)
        points.append(((left + (right - left) * along) * _SCALE, (top + (bottom - top) * eased) * _SCALE))
    pen.line(points, _WIRE, width=6 * _SCALE, joint="curve")


if __name__ == "__main__":
    draw().save(Path(__file__).with_name("icon.png"), optimize=True)
