"""Values that come as texts, from a command line or a form, as their parameters' types. Pure."""

from __future__ import annotations

from typing import Any

from engine.documents import parse_json
from engine.errors import InvalidMap
from engine.schema import MediaParameter, Parameter, StringParameter

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
"""How true and false may be written."""

DELIVERY_VALUES = frozenset({"quality", "lossless", "expires_in", "thumbnail"})
"""The wishes of a delivery that are no texts."""


def value_of_text(text: str, parameter: Parameter | None) -> Any:
    """A text as the parameter's type; as it is where it does not look like one, so that validation says so.

    Args:
        text: what was written.
        parameter: whose value it is; None of one that there is none of.
    """
    if parameter is None or isinstance(parameter, MediaParameter | StringParameter):
        return text
    if parameter.type == "boolean":
        return BOOLEANS.get(text.lower(), text)
    try:
        return parse_json(text, label="")
    except InvalidMap:
        return text
