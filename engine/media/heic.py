"""HEIC, the camera format of iPhones, read in a process of its own.

A damaged file can end the process that reads it: one wrong byte in the name of a metadata block is a segmentation
fault in pi-heif 1.4. So the worker never opens one itself.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engine.cancellation import CancellationToken

_READER = Path(__file__).with_name("heic_reader.py")
_SECONDS = 60  # a photo of 12 megapixels takes about one on two cores
_LOOK_SECONDS = 0.1
"""Between two looks at the tokens."""

# Major brands of HEIF with pictures in HEVC, and those that leave the codec open (https://mp4ra.org/registered-types/brands).
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_OPEN_BRANDS = frozenset({b"mif1", b"msf1"})


def is_heic(path: Path) -> bool:
    """Whether the first bytes of a file say that it is one."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[4:8] != b"ftyp":
        return False
    brands = head[16 : int.from_bytes(head[:4], "big")]
    return head[8:12] in _BRANDS or (head[8:12] in _OPEN_BRANDS and b"avi" not in brands)


def read(path: Path, target: Path, *, max_pixels: int, tokens: Sequence[CancellationToken] = ()) -> tuple[int, int]:
    """Writes the primary picture of a HEIC as an uncompressed TIFF, upright, with its colour profile.

    Args:
        path: the file.
        target: where to write; nothing is decoded or written where the picture has more than `max_pixels`.
        max_pixels: see there.
        tokens: any of them ends it.

    Returns:
        Width and height in pixels.

    Raises:
        OSError: it is broken.
        Cancelled: the job was cancelled; nothing reads the file any more.
    """
    command = [sys.executable, "-P", "-W", "ignore", str(_READER), str(path), str(target), str(max_pixels)]
    with subprocess.Popen(  # noqa: S603 - no shell, and the names of the files are ours
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        try:
            output, complaint = _outcome(reader, tokens)
        except BaseException:
            reader.kill()
            raise
    if reader.returncode:
        raise OSError(f"its reader ended with {reader.returncode}: {complaint[-500:]}")
    width, height = map(int, output.split())
    return width, height


def _outcome(reader: subprocess.Popen[str], tokens: Sequence[CancellationToken]) -> tuple[str, str]:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return reader.communicate(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired as error:  # nothing is lost: the next call goes on with it
            for token in tokens:
                token.raise_if_cancelled()
            if time.monotonic() >= deadline:
                raise OSError(f"reading it took more than {_SECONDS} seconds") from error
