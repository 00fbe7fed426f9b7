"""What a workflow must find to run: model files and node classes, and which of them only some payloads need. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.compiled import Compiled
from engine.documents import texts_in
from engine.graph import Graph, needed_by
from engine.model_folders import kind_of
from engine.operators import State
from engine.rewiring import Wiring, users_of
from engine.schema import ParameterMap

_FOR_PEOPLE = frozenset({"title", "description", "examples", "group", "message"})
_SHORTEST_STEM = 5  # a shorter one may be a common word
_COMMON = frozenset({"config", "model"})  # what repositories of Hugging Face call their files


@dataclass(frozen=True, slots=True)
class NeededModel:
    """A model file of `requires.models`.

    Attributes:
        path: as ComfyUI sees it, kind first: `checkpoints/sd15.safetensors`.
        url: where it is downloaded from, where the map says so.
        always: every payload needs it; else those alone whose graph names it.
        default_of: parameters whose default names it.
        namesakes: how many of the workflow's models have its name, of other kinds, itself included: a graph has to
            name it as often before it is known to need all of them.
    """

    path: str
    url: str | None
    always: bool
    default_of: tuple[str, ...] = ()
    namesakes: int = 1

    def is_in(self, graph: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether a rendered graph names it."""
        return _is_named(self.path, [node.get("inputs", {}) for node in graph.values()], self.namesakes)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a workflow must find.

    Attributes:
        models: as its map requires them, each once.
        classes: of the nodes that are in the graph whatever the payload.
        other_classes: of those that a payload can leave out.
    """

    models: tuple[NeededModel, ...]
    classes: tuple[str, ...]
    other_classes: tuple[str, ...]


def needs_of(compiled: Compiled, template: Graph, parameter_map: ParameterMap) -> Needs:
    """What a workflow must find.

    A model that the template names where a parameter or an expression writes, or in a node that a switch or an empty
    list takes out, is needed by those payloads alone that leave it there. One that neither the template nor the map
    names anywhere is always needed: a node must load it by itself.

    Args:
        compiled: the workflow's.
        template: the workflow's.
        parameter_map: the workflow's.
    """
    ends = [output.node_id for output in compiled.outputs]
    always = _always(compiled, template, ends)
    relinked = any(writer.replaces_link for writer in compiled.writers)
    possible = set(template) if relinked else needed_by(template, ends)
    written = {(writer.place.node_id, writer.place.input_name) for writer in compiled.writers}
    written |= {(row.node_id, setter.input_name) for row in compiled.operators.rows for setter in row.setters}
    fixed = [
        value
        for node_id in always
        for name, value in template[node_id].get("inputs", {}).items()
        if (node_id, name) not in written
    ]
    expressions = [each.expression.source for each in compiled.writers if each.expression]
    expressions += [setter.expression.source for row in compiled.operators.rows for setter in row.setters]
    told: list[str] | None = None
    models = []
    required = {each.path: each for each in parameter_map.requires.models}
    for model in required.values():
        names = _names(model.path)
        namesakes = len({kind_of(path.partition("/")[0]) for path in required if _names(path) & names})
        is_fixed = _is_named(model.path, fixed, namesakes)
        if not is_fixed and told is None:
            told = [*texts_in(list(template.values())), *texts_in(_rules_of(parameter_map))]
        models.append(
            NeededModel(
                model.path,
                model.url,
                is_fixed or not _is_told(model.path, told or [], expressions),
                tuple(name for name, value in compiled.defaults.items() if _is_named(model.path, value)),
                namesakes,
            )
        )
    classes = {template[node_id]["class_type"] for node_id in always}
    others = {template[node_id]["class_type"] for node_id in possible} - classes
    return Needs(tuple(models), tuple(sorted(classes)), tuple(sorted(others)))


def _always(compiled: Compiled, template: Graph, ends: list[str]) -> set[str]:
    """The nodes that are in the graph whatever is switched off and whatever list is empty."""
    replaced = {(writer.place.node_id, writer.place.input_name) for writer in compiled.writers if writer.replaces_link}

    graph = {
        node_id: {
            **node,
            "inputs": {
                name: value for name, value in node.get("inputs", {}).items() if (node_id, name) not in replaced
            },
        }
        for node_id, node in template.items()
    }
    operators = compiled.operators
    found = needed_by(graph, ends)
    if not operators:
        return found
    users = users_of(graph)
    least = State(
        {row.node_id: [] if row.may_be_empty else [{}] for row in operators.rows},
        frozenset(gate.name for gate in operators.gates),
    )
    # A switch that is off makes no node needed that was not: all of them off leave what each of them would leave.
    for state in (*(state for _, state in replace(operators, gates=()).trials()), least):
        wiring = Wiring(dict(graph), users, shared=True)
        operators.rebuild(wiring, state, template)
        found &= needed_by(wiring.graph, ends)
    return found


def _names(path: str) -> frozenset[str]:
    """What graphs call a model by: below the folder of its kind, some with that folder."""
    return frozenset({path, path.partition("/")[2]})


def _is_named(path: str, value: Any, times: int = 1) -> bool:
    """Whether a value names a model: by its path, or by the file's name without its ending, as some node packs do."""
    stem = _stem(path)
    by_stem = _is_telling(stem) and _mentions(value, frozenset({stem}))
    return by_stem or _mentions(value, _names(path), times)


def _is_telling(stem: str) -> bool:
    """Whether a file's name without its ending tells which file it is."""
    return len(stem) >= _SHORTEST_STEM and stem not in _COMMON


def _stem(path: str) -> str:
    return re.sub(r"\.[^.]*$", "", path.rpartition("/")[2])


def _mentions(value: Any, names: frozenset[str], times: int = 1) -> bool:
    """Whether one of the names is in it, at least so often."""
    return sum(text.replace("\\", "/") in names for text in texts_in(value)) >= times


def _is_told(path: str, texts: Iterable[str], expressions: Iterable[str]) -> bool:
    """Whether a text names the file, or an expression may put its name together."""
    name = path.rpartition("/")[2]
    stem = _stem(path)
    wanted = stem if _is_telling(stem) else name
    ending = name[name.rfind(".") :] if "." in name else ""
    # Without an ending, by whatever word of the expression is in its name.
    return any(wanted in text for text in texts) or any(
        ending in text if ending else any(word in name for word in re.findall(rf"\w{{{_SHORTEST_STEM},}}", text))
        for text in expressions
    )


def _rules_of(parameter_map: ParameterMap) -> Any:
    """What the map says of values, without its texts for people."""
    return _without_prose(
        parameter_map.model_dump(mode="json", include={"parameters", "computed", "repeat"}, exclude_none=True)
    )


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_prose(each) for key, each in value.items() if key not in _FOR_PEOPLE}
    return [_without_prose(each) for each in value] if isinstance(value, list) else value
