"""Taking parameters out of a map, with all that can't be without them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.authoring.naming import names_in, renamed
from engine.authoring.references import bindings_of, expressions_of, with_expressions

NO_USE = "nothing uses it any more"


@dataclass(frozen=True, slots=True)
class Lost:
    """Something of a map that can't stay.

    Attributes:
        where: its key in the map: `parameters.steps.bind`.
        message: why, for people.
    """

    where: str
    message: str

    def __str__(self) -> str:
        """`where: why`."""
        return f"{self.where}: {self.message}"


def without(document: Mapping[str, Any], names: Iterable[str]) -> tuple[dict[str, Any], list[Lost]]:
    """The map without some of its parameters.

    Args:
        document: the map.
        names: the parameters that go.

    Returns:
        The map, and what went with them: expressions that use one of them, parameters that nothing uses any more,
        values in examples.
    """
    made = dict(document)
    lost: list[Lost] = []
    going = [name for name in names if name in made.get("parameters", {})]
    idle = {*unused(document), *going}
    while going:
        made["parameters"] = {name: each for name, each in made["parameters"].items() if name not in going}
        lost += _drop_users(made, set(going))
        going = [name for name in unused(made) if name not in idle]
        lost += [Lost(f"parameters.{name}", NO_USE) for name in going]
    return made, lost


def unused(document: Mapping[str, Any]) -> list[str]:
    """The parameters that have no binding and are in no expression that writes something."""
    used = {
        name
        for section, source in expressions_of(document)
        if section != "rules" and source
        for name in names_in(source)
    }
    parameters: Mapping[str, Any] = document.get("parameters", {})
    return [name for name, each in parameters.items() if not bindings_of(each) and name not in used]


def with_name(document: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    """The map, one of its parameters under another name, wherever it is named."""
    made = with_expressions(document, lambda source: renamed(source, before, after))
    made["parameters"] = {after if name == before else name: each for name, each in made["parameters"].items()}
    if "examples" in made:
        made["examples"] = [
            {**each, "payload": {after if key == before else key: value for key, value in each["payload"].items()}}
            for each in made["examples"]
        ]
    return made


def combined(document: Mapping[str, Any], adds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The map with entries added to its sections; an entry that is there already is replaced."""
    made = dict(document)
    for section, entries in adds.items():
        made[section] = {**made.get(section, {}), **entries}
    return made


def _drop_users(made: dict[str, Any], gone: set[str]) -> list[Lost]:
    lost: list[Lost] = []

    def stays(where: str, *sources: str) -> bool:
        missing = sorted({name for source in sources for name in names_in(source)} & gone)
        if missing:
            lost.append(Lost(where, f"it uses {', '.join(missing)}"))
        return not missing

    for section, texts_of in (
        ("computed", _texts_of_computed),
        ("switches", _texts_of_switch),
        ("repeat", _texts_of_repeat),
    ):
        if section in made:
            kept = {key: each for key, each in made[section].items() if stays(f"{section}.{key}", *texts_of(each))}
            made[section] = kept
    if "rules" in made:
        rules = enumerate(made["rules"])
        made["rules"] = [each for index, each in rules if stays(f"rules[{index}]", each["that"])]
    if "examples" in made:
        examples = []
        for index, example in enumerate(made["examples"]):
            payload = example["payload"]
            lost += [
                Lost(f"examples[{index}].payload.{key}", "there is no such parameter any more")
                for key in payload
                if key in gone
            ]
            examples.append({**example, "payload": {key: value for key, value in payload.items() if key not in gone}})
        made["examples"] = examples
    return lost


def _texts_of_computed(computed: Any) -> list[str]:
    return [computed["expression"] if isinstance(computed, Mapping) else computed]


def _texts_of_switch(switch: Any) -> list[str]:
    return [switch["when"]]


def _texts_of_repeat(repeat: Any) -> list[str]:
    return [repeat["over"], *repeat.get("set", {}).values()]
