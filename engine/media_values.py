"""Where the files of a payload are: which parameters hold some, and which values are. Pure.

Only what the map declares as media is one: a text that looks like a URL stays a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.schema import ArrayParameter, MediaParameter, ObjectParameter, Parameter


@dataclass(frozen=True, slots=True)
class MediaValue:
    """A file that a payload gives.

    Attributes:
        where: its place in the payload: `image`, `images[0].picture`. Messages and file names go by it.
        parameter: what the map says of it.
        value: as it was sent, a text or an object with a `url`; never to be shown to anyone.
    """

    where: str
    parameter: MediaParameter
    value: Any


def holds_media(parameter: Parameter) -> bool:
    """Whether a parameter is a file, or may have one inside."""
    if isinstance(parameter, ArrayParameter):
        return holds_media(parameter.items)
    if isinstance(parameter, ObjectParameter):
        return any(holds_media(each) for each in parameter.properties.values())
    return isinstance(parameter, MediaParameter)


def media_in(parameter: Parameter, where: str, value: Any) -> Iterator[MediaValue]:
    """The files of a parameter's value, in order; what is null or not of the parameter's type has none.

    Args:
        parameter: what the map says of it.
        where: its place in the payload.
        value: as it was sent.
    """
    if isinstance(parameter, MediaParameter):
        if value is not None:
            yield MediaValue(where, parameter, value)
    elif isinstance(parameter, ArrayParameter) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from media_in(parameter.items, f"{where}[{index}]", item)
    elif isinstance(parameter, ObjectParameter) and isinstance(value, dict):
        for name, each in parameter.properties.items():
            yield from media_in(each, f"{where}.{name}", value.get(name))


def with_media(parameter: Parameter, where: str, value: Any, become: Callable[[MediaValue], Any]) -> Any:
    """A valid value with each of its files replaced; the value itself stays as it is.

    Args:
        parameter: what the map says of it.
        where: its place in the payload.
        value: as `validate` gave it.
        become: what to put in a file's place.
    """
    if value is None or not holds_media(parameter):
        return value
    if isinstance(parameter, ArrayParameter):
        return [with_media(parameter.items, f"{where}[{index}]", item, become) for index, item in enumerate(value)]
    if isinstance(parameter, ObjectParameter):
        return {
            name: with_media(parameter.properties[name], f"{where}.{name}", item, become)
            for name, item in value.items()
        }
    return become(MediaValue(where, parameter, value)) if isinstance(parameter, MediaParameter) else value
