"""`engine settings`."""

from __future__ import annotations

import re

from engine.commands.output import print_json, print_line
from engine.settings import load_settings, variables

_USER_OF_URL = re.compile(r"(?<=://)[^/?#\s]*@")


def show(*, as_json: bool) -> None:
    """Print every variable with what it is now; secrets only as set or not."""
    settings = load_settings()
    rows = []
    for variable in variables():
        value = getattr(settings, variable.field)
        shown = ("(set)" if value else "") if variable.secret else _text(value)
        rows.append(
            {
                "names": variable.names,
                "default": variable.default,
                "value": shown,
                "description": variable.description,
            }
        )
    if as_json:
        print_json({"settings": rows})
        return
    for row in rows:
        print_line(f"{row['names'][0]}={row['value']}")
        others = f" Also: {', '.join(row['names'][1:])}." if len(row["names"]) > 1 else ""
        print_line(f"    {row['description']}.{others}")


def _text(value: object) -> str:
    if value is None:
        return ""
    text = ":".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return _USER_OF_URL.sub("…@", text)
