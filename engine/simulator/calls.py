"""One call of a node: what it is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.simulator.folders import Folders
from engine.simulator.values import Images, Latent, Masks, kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

_T = TypeVar("_T")


class InterruptedPromptError(Exception):
    """Somebody asked the running prompt to stop."""


class Report(Protocol):
    """Tells how far a node is."""

    def __call__(self, value: int, maximum: int, preview: Image | None = None, picture_format: str = "JPEG") -> None:
        """Report a step, with a picture if there is one.

        Raises:
            InterruptedPromptError: the prompt is to stop.
        """


@dataclass(frozen=True, slots=True)
class Call:
    """What a node is given.

    Attributes:
        class_type: its class.
        inputs: values by name, links followed.
        description: what `/object_info` says of the class.
        prompt: the whole graph, for a picture's metadata.
        extra_pnginfo: what the client wants written beside it.
        folders: where files are.
        report: tells of progress.
        wait: lets a step take its time.
        rest: does nothing for so many seconds, or until the simulator is stopped.
        previews: whether samplers send pictures of what they are at.
        temp_name: a name for temporary files that belongs to the node.
        fails: whether the next picture that the node draws is to come out grey; asked once for each.
    """

    class_type: str
    inputs: Mapping[str, Any]
    description: Mapping[str, Any]
    prompt: Mapping[str, Any]
    extra_pnginfo: Mapping[str, Any] | None
    folders: Folders
    report: Report
    wait: Callable[[], None]
    rest: Callable[[float], None]
    previews: bool
    temp_name: str
    fails: Callable[[], bool]

    def images(self, name: str) -> Images:
        """The pictures at an input.

        Raises:
            TypeError: what comes there are no pictures.
        """
        return _of_type(self.inputs.get(name), Images, name)

    def masks(self, name: str) -> Masks:
        """The masks at an input.

        Raises:
            TypeError: what comes there are no masks.
        """
        return _of_type(self.inputs.get(name), Masks, name)

    def latent(self, name: str) -> Latent:
        """The latent at an input.

        Raises:
            TypeError: what comes there is no latent.
        """
        return _of_type(self.inputs.get(name), Latent, name)

    def first(self, kind: str) -> Any:
        """The first input whose value is of that ComfyUI type; None where there is none."""
        return next((value for value in self.inputs.values() if kind_of(value) == kind), None)


def _of_type(value: Any, kind: type[_T], name: str) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node gives back.

    Attributes:
        outputs: a value for every output.
        ui: what it shows, which is what history keeps (`{"images": […]}`); None for nothing.
    """

    outputs: tuple[Any, ...] = ()
    ui: dict[str, Any] | None = field(default=None)


Operation = Callable[[Call], Outcome]
