"""Results and inputs as pictures to be looked at, for checks that judge them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cancellation import CancellationToken
from engine.logs import event
from engine.media import modes, pictures
from engine.media.unfinished import Unfinished

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

_MOST_PIXELS = 178_956_970
"""What Pillow refuses beyond: twice its MAX_IMAGE_PIXELS (https://pillow.readthedocs.io/en/stable/reference/limits.html).
A result may be larger than what callers may send."""


def look_at(path: Path, cancel: CancellationToken) -> Image | None:
    """A picture as people see it: RGB, upright, of an animation the first frame.

    What is transparent is laid over white, as in a JPEG that is made of it: that is what its caller will see.

    Args:
        path: the file.
        cancel: ends the reading of a HEIC, which can take long.

    Returns:
        The picture, decoded; None where it can't be read, is none, or has more pixels than Pillow takes.

    Raises:
        Cancelled: the job was cancelled.
    """
    from PIL import ImageOps

    try:
        with pictures.opened(path, max_pixels=_MOST_PIXELS, tokens=(cancel,)) as picture:
            picture.load()
            return modes.fitted(ImageOps.exif_transpose(picture), "jpeg").convert("RGB")
    except (pictures.PictureProblem, Unfinished) as problem:
        event(log, logging.WARNING, "a picture can't be judged", reason=str(problem), detail=repr(problem.__cause__))
        return None
