"""What nodes hand to one another: pictures are real, everything a model would make is a note about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Images:
    """A batch of RGB pictures of one size (ComfyUI's IMAGE)."""

    frames: tuple[Image, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frames[0].size


@dataclass(frozen=True, slots=True)
class Masks:
    """A batch of 8-bit grey pictures (ComfyUI's MASK); 255 is masked."""

    frames: tuple[Image, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frames[0].size


@dataclass(frozen=True, slots=True)
class Latent:
    """What a model would decode to pictures of this size.

    Attributes:
        width: in pixels of the decoded picture.
        height: likewise.
        batch: how many pictures, or frames of a video.
        facts: what was asked for (seed, steps, prompt, …), as far as the graph told.
        source: the picture it was encoded from, for image to image.
    """

    width: int
    height: int
    batch: int = 1
    facts: Facts = field(default_factory=dict)
    source: Images | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """Anything else (MODEL, CLIP, CONDITIONING, SIGMAS, …): its type, and the facts it carries on."""

    kind: str
    facts: Facts = field(default_factory=dict)

    def __str__(self) -> str:
        return f"<simulated {self.kind}>"


def kind_of(value: Any) -> str:
    """The ComfyUI type of a value; empty for null and for what has none (a list, an object)."""
    match value:
        case Images():
            return "IMAGE"
        case Masks():
            return "MASK"
        case Latent():
            return "LATENT"
        case Carried():
            return value.kind
        case bool():
            return "BOOLEAN"
        case int():
            return "INT"
        case float():
            return "FLOAT"
        case str():
            return "STRING"
    return ""
