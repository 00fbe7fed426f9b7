"""The one way in which finishing a result fails: the result stays as it was, and its caller is told why."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator

from engine.containers import BrokenContainer, NoRoom

# What Pillow lets through for broken and odd pictures, beside its own exceptions
# (https://pillow.readthedocs.io/en/stable/reference/Image.html and the plugins themselves).
_PILLOW = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
    UserWarning,  # of odd metadata; raised only where warnings are errors
    struct.error,
    zlib.error,
)


class Unfinished(Exception):
    """Something could not be done to a result.

    The message is one clause for people that follows the file's name; the cause is for the log.
    """


@contextlib.contextmanager
def pillow_work(what: str) -> Iterator[None]:
    """Around work that Pillow does on a picture, and around nothing else.

    Args:
        what: what can't be done should it fail: `can't be converted to WebP`.

    Raises:
        Unfinished: Pillow can't do it.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError as error:
        raise Unfinished(f"{what}: it is broken, or of a format that can't be read here") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unfinished(f"{what}: it has too many pixels") from error
    except _PILLOW as error:
        raise Unfinished(f"{what}: it is broken, or too large or unusual for that") from error


@contextlib.contextmanager
def container_work(what: str) -> Iterator[None]:
    """The same, around work on a file's parts.

    Raises:
        Unfinished: the file can't be understood, read or written.
    """
    try:
        yield
    except BrokenContainer as error:
        raise Unfinished(f"{what}: it {error}") from error
    except NoRoom as error:
        raise Unfinished(f"{what}: there is no room for it") from error
    except (OSError, MemoryError) as error:
        raise Unfinished(f"{what}: it can't be read or written here") from error
