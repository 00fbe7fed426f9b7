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


def look_at(path: Path, cancel: CancellationToken, *, as_loaded: bool = False) -> Image | None:
    """A picture as people see it: RGB, upright, of an animation the first frame.

    What is transparent is laid over white, as in a JPEG that is made of it: that is what its caller will see.

    Args:
        path: the file.
        cancel: ends the reading of a HEIC, which can take long.
        as_loaded: as graphs get it instead: ComfyUI's LoadImage (0.3.64, 0.8.0: `convert("RGB")` in nodes.py) leaves
            transparency and colour profiles out, so that what was transparent has the colour that lies below it.

    Returns:
        The picture, decoded; None where it can't be read, is none, or has more pixels than Pillow takes.

    Raises:
        Cancelled: the job was cancelled.
    """
    from PIL import ImageOps

    try:
        with pictures.opened(path, max_pixels=_MOST_PIXELS, tokens=(cancel,)) as picture:
            picture.load()
            # In place, and converted no more than need be: each copy of a large picture takes hundreds of megabytes.
            ImageOps.exif_transpose(picture, in_place=True)
            eight_bit = not picture.mode.startswith(("I", "F"))
            fitted = picture if as_loaded and eight_bit else modes.fitted(picture, "jpeg")
            return fitted if fitted is not picture and fitted.mode == "RGB" else fitted.convert("RGB")
    except (pictures.PictureProblem, Unfinished) as problem:
        event(log, logging.WARNING, "a picture can't be judged", reason=str(problem), detail=repr(problem.__cause__))
        return None
