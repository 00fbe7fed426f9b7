"""How far a workflow was seen to work: what tests wrote down, and whether that still holds for its files. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any

LEVELS = ("ran", "accepted", "checked", "unverified")
"""The highest first."""

SEEN = ("ran", "accepted")
"""Those that a ComfyUI has to show; the others follow from what is known without one."""

MEANINGS: Mapping[str, str] = {
    "ran": "accepted, and its first example ran there, small, on models of random weights or without any: whether its "
    "graph works, not what it draws",
    "accepted": "that ComfyUI took its graph, with every switch on and off and every list empty and full; empty files "
    "stood in for the models",
    "checked": "`engine check` finds no error, by a node catalogue that a running ComfyUI with its nodes gave",
    "unverified": "no node catalogue of a running ComfyUI has all of its node classes, or there are errors",
}


_FOR_PEOPLE = frozenset({"title", "description"})
_FOR_FORMS = _FOR_PEOPLE | {"group", "multiline", "deprecated"}
_OF_RESULTS = frozenset(
    {"accept", "retries", "otherwise", "timeout_seconds", "version"}
)  # what becomes of what it draws


def fingerprint(template: Any, parameter_map: Any) -> str:
    """What changes when the graphs do that the two files give, or the payloads that are tried with them.

    What is there for people to read may be corrected, and what is required and judged changes no graph: titles,
    descriptions, messages, where a model file is from, the GPU, the checks of a result. Keys that are not known count.

    Args:
        template: the graph, as JSON.
        parameter_map: the map, as JSON, one that loads.

    Returns:
        The SHA-256 of what counts of both in canonical JSON (sorted keys, no spaces), as hex.
    """
    document = {"map": _deciding(parameter_map), "template": template}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _deciding(parameter_map: Mapping[str, Any]) -> dict[str, Any]:
    """A map without what decides no graph."""
    found = _without(parameter_map, _FOR_PEOPLE | _OF_RESULTS | {"$schema"})
    if "parameters" in found:
        found["parameters"] = {name: _parameter(each) for name, each in found["parameters"].items()}
    if "outputs" in found:
        found["outputs"] = {name: _without(each, _FOR_PEOPLE) for name, each in found["outputs"].items()}
    for key, prose in (("rules", {"message"}), ("examples", _FOR_PEOPLE)):
        if key in found:
            found[key] = [_without(each, prose) for each in found[key]]
    models = found.pop("requires", {}).get("models", ())
    return {**found, "models": sorted(model["path"] for model in models)}  # what stands in for them is in lists


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    found = _without(parameter, _FOR_FORMS)
    if "items" in found:
        found["items"] = _parameter(found["items"])
    if "properties" in found:
        found["properties"] = {name: _parameter(each) for name, each in found["properties"].items()}
    return found


def _without(document: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in names}


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
        since = "it ran" if self.before == "ran" else "it was accepted"
        return f"{self.level} (changed since {since})" if self.before else self.level


def standings(
    name: str,
    digest: str,
    recorded: Mapping[str, Mapping[str, Mapping[str, str]]],
    *,
    checked: Collection[str],
    release: str,
) -> list[Standing]:
    """How far a workflow got, the newest version first.

    Args:
        name: of the workflow.
        digest: the fingerprint of its files as they are.
        recorded: version of ComfyUI to workflow to `{"level", "fingerprint"}`, as the tests wrote it. A level that no
            ComfyUI has to show is not believed.
        checked: the versions whose node catalogue has its classes, and by which it is without an error.
        release: the version that is always there. Of the others are those where something was recorded, and, where
            nothing is known of it by the release, those by which it is checked.
    """
    versions = {release, *(version for version, workflows in recorded.items() if name in workflows)}
    if release not in checked:
        versions.update(checked)
    found = []
    for version in sorted(versions, key=_by_number, reverse=True):
        least = "checked" if version in checked else "unverified"
        entry = recorded.get(version, {}).get(name)
        if entry is None or entry["level"] not in SEEN:
            found.append(Standing(version, least))
        elif entry["fingerprint"] == digest:
            found.append(Standing(version, entry["level"]))
        else:
            found.append(Standing(version, least, entry["level"]))
    return found


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("."))
