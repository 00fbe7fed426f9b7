"""What the arguments of a command say, read as argparse would."""

from __future__ import annotations

from collections.abc import Sequence


def last_value(arguments: Sequence[str], name: str) -> str | None:
    """The value of `--name VALUE` or `--name=VALUE`; the last one counts. None where there is none."""
    value = None
    for index, argument in enumerate(arguments):
        if argument == name and index + 1 < len(arguments):
            value = arguments[index + 1]
        elif argument.startswith(f"{name}="):
            value = argument.partition("=")[2]
    return value
