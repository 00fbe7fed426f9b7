"""How far a workflow was seen to work: what tests wrote down, and whether that still holds for its files. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEVELS = ("ran", "accepted", "checked", "unverified")
"""The highest first."""

MEANINGS: Mapping[str, str] = {
    "ran": "its first example ran there, small, on models of random weights or without any: whether its graph works, "
    "not what it draws",
    "accepted": "that ComfyUI took its graph, with every switch on and off and every list empty and full; empty files "
    "stood in for the models",
    "checked": "`engine check` finds no error, by a node catalogue that a running ComfyUI with its nodes gave",
    "unverified": "no node catalogue of a running ComfyUI has all of its node classes, or there are errors",
}


def fingerprint(template: Any, parameter_map: Any) -> str:
    """What changes when one of the two files does, their layout aside.

    Args:
        template: the graph, as JSON.
        parameter_map: the map, as JSON.

    Returns:
        The SHA-256 of both in canonical JSON (sorted keys, no spaces), as hex.
    """
    document = {"map": parameter_map, "template": template}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a workflow got with one version of ComfyUI.

    Attributes:
        version: ComfyUI's.
        level: one of `LEVELS`.
        before: the level that it had reached before its files changed; empty where they did not.
    """

    version: str
    level: str
    before: str = ""

    def __str__(self) -> str:
        """`ran`, or `checked (changed since it ran)`."""
        since = {"ran": "it ran", "accepted": "it was accepted"}.get(self.before, "then")
        return f"{self.level} (changed since {since})" if self.before else self.level


def standings(
    name: str, digest: str, recorded: Mapping[str, Mapping[str, Mapping[str, str]]], *, checked: bool, release: str
) -> list[Standing]:
    """How far a workflow got, the newest version first; the release is always there.

    Args:
        name: of the workflow.
        digest: the fingerprint of its files as they are.
        recorded: version of ComfyUI to workflow to `{"level", "fingerprint"}`, as the tests wrote it.
        checked: whether it is without an error by a catalogue that has its classes.
        release: the version that the catalogue is of.
    """
    least = "checked" if checked else "unverified"
    found = []
    for version in sorted({release, *recorded}, key=_by_number, reverse=True):
        entry = recorded.get(version, {}).get(name)
        if entry and entry["fingerprint"] == digest:
            found.append(Standing(version, entry["level"]))
        elif entry or version == release:
            found.append(Standing(version, least, entry["level"] if entry else ""))
    return found


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("."))
