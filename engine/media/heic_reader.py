"""Reads one HEIC: a script that `heic.py` starts, which imports nothing of the engine.

Its arguments are the file, the TIFF to write and the most pixels. It prints width and height, and fails where the file
is broken.
"""

from __future__ import annotations

import contextlib
import sys

import pi_heif  # type: ignore[import-untyped]  # it ships no types
from PIL import Image


def main(source: str, target: str, max_pixels: int) -> None:
    """See the module."""
    with contextlib.suppress(ImportError):  # Windows has no such bounds
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, and nobody wants its memory on disk
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    with Image.open(source, formats=("HEIF",)) as picture:
        if picture.width * picture.height <= max_pixels:
            # It is upright: libheif turns it as the file says, and by the standard its EXIF does not count.
            picture.load()
            picture.save(target, "TIFF", exif=b"", icc_profile=picture.info.get("icc_profile"))
        sys.stdout.write(f"{picture.width} {picture.height}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
