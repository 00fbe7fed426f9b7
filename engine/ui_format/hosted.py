"""Values that an instance of a subgraph holds in place of its inner nodes' own.

An instance shows widgets of its inner nodes as its own, and `widgets_values` are their values. In newer exports they
stand in the order of the subgraph's inputs, which comfy-cli (1.23) reads. Older ones (seen: front end 1.37) have the
order in `properties.proxyWidgets`: `[["-1", input], [inner node, widget], …]`. A value of the first kind is the
instance's; at the place of the second, whose value is the inner node's, stands null, or nothing at the list's end. Read
in the order of the inputs, every value after the first null would be another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.ui_format.reading import inputs_of

HOSTED = "hosted_values"
"""The key of a prepared instance below which they stand by their names."""

_OWN = "-1"


def hosted_by(instance: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an instance holds, by the names of its inputs that are not linked; None where no list says what is what."""
    values, properties = instance.get("widgets_values"), instance.get("properties")
    proxies = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
    if not isinstance(values, list) or not values or not isinstance(proxies, list):
        return None
    named = [(each[1] if str(each[0]) == _OWN else None) if _is_proxy(each) else None for each in proxies]
    last = max((at for at, name in enumerate(named) if name is not None), default=-1)
    if not 0 <= last < len(values) <= len(proxies):
        return None
    linked = {slot.get("name") for slot in inputs_of(instance) if slot.get("link") is not None}
    held = zip(named, values, strict=False)
    return {name: value for name, value in held if name is not None and value is not None and name not in linked}


def _is_proxy(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) >= 2 and isinstance(entry[1], str)
