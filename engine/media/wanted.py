"""A media value, as a payload asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.media.preparing import PictureBounds


@dataclass(frozen=True, slots=True)
class Wanted:
    """One media value of a payload.

    Attributes:
        where: the parameter's place, for messages: `image`, `images[0].picture`.
        kind: `image`, `mask`, `video`, `audio` or `file`.
        value: as validated: a string, or an object with `url` and perhaps `filename` and `headers`.
        max_bytes: the parameter map's own bound; the lesser of it and the operator's counts.
        bounds: of a picture, as its parameter has them; None for no other than the operator's.
    """

    where: str
    kind: str
    value: Any
    max_bytes: int | None = None
    bounds: PictureBounds | None = None
