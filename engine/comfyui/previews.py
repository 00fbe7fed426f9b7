"""Small pictures of what a sampler is at, for progress."""

from __future__ import annotations

import io
import logging
import time
from typing import Any

log = logging.getLogger(__name__)

LONGEST_SIDE = 256
MOST_BYTES = 30_000

_MOST_SENT_BYTES, _MOST_SENT_PIXELS = 8_000_000, 16_000_000
_QUALITIES = (80, 60, 40, 20)


class Previews:
    """Takes the pictures that ComfyUI sends of a run; of those within a second one is made small, the others not read.

    Args:
        every_seconds: at most one in that time.
    """

    def __init__(self, every_seconds: float = 1.0) -> None:
        self._every = every_seconds
        self._next = 0.0

    def take(self, picture: Any) -> bytes | None:
        """The picture as a small JPEG; None where none is due or it can't be read.

        Args:
            picture: the bytes, JPEG or PNG.
        """
        now = time.monotonic()
        if now < self._next or not isinstance(picture, bytes):
            return None
        found = small_jpeg(picture)
        if found is not None:
            self._next = now + self._every
        return found


def small_jpeg(data: bytes) -> bytes | None:
    """A picture as a JPEG of at most 256 pixels a side and 30 kB; None where it can't be read.

    Args:
        data: a JPEG, PNG or WebP; 8 MB and 16 megapixels at most.
    """
    if len(data) > _MOST_SENT_BYTES:
        return None
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as picture:
            if picture.width * picture.height > _MOST_SENT_PIXELS:
                return None
            picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            small = picture.convert("RGB")
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        for quality in _QUALITIES:
            target = io.BytesIO()
            small.save(target, "JPEG", quality=quality)
            if target.tell() <= MOST_BYTES:
                return target.getvalue()
    except Exception as error:  # noqa: BLE001 - whatever Pillow makes of a broken picture, the job goes on without it
        log.debug("a preview could not be read: %s", type(error).__name__)
    return None
