"""An author's parameter map for a graph that was exported anew. Pure.

Names, texts, bounds, defaults, order, rules and examples stay as they are; only what names a node is changed, to the
node that it is now. What leads nowhere any more is told, with everything that hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.authoring.matching import match_nodes
from engine.authoring.references import (
    bindings_of,
    ids_in,
    links_in,
    links_with,
    listed_places,
    nodes_named,
    path_of,
    path_with,
    places_at,
    places_of,
)
from engine.authoring.trimming import NO_USE, Lost, unused, without
from engine.bindings import BindingInvalid, resolve
from engine.graph import Graph, as_link, label_of
from engine.nodes import NodeCatalogue
from engine.schema import MEDIA_TYPES

_FEW = 1 / 3  # of the nodes that a map names: where fewer are found again, it is the map of another graph


@dataclass(frozen=True, slots=True)
class Merge:
    """A map that was carried over to another graph.

    Attributes:
        document: the map; what was lost is not in it any more.
        nodes: old id to new id, of every node that was found again.
        moved: nodes that the map names and that have another id now, for people.
        lost: what of the map leads nowhere any more, or hangs on that.
        notes: what else its author ought to know.
        is_other: hardly a node that the map names is in the graph: it was made for another workflow.
        unbound: the parameters all of whose bindings were lost.
    """

    document: dict[str, Any]
    nodes: Mapping[str, str] = field(default_factory=dict)
    moved: tuple[str, ...] = ()
    lost: tuple[Lost, ...] = ()
    notes: tuple[str, ...] = ()
    is_other: bool = False
    unbound: tuple[str, ...] = ()


def merge(
    document: Mapping[str, Any],
    old: Graph,
    new: Graph,
    nodes: NodeCatalogue,
    *,
    successors: Mapping[str, Any] | None = None,
) -> Merge:
    """Carry a map over to a later export of its graph.

    Args:
        document: the map, one that `engine.map_file.parse_map` takes.
        old: the graph that it was made for; where that is not known any more, `graph_of_map` gives what the map tells
            of it.
        new: the graph that it is to fit.
        nodes: the node catalogue.
        successors: what a parameter is bound to where all of its bindings would be lost.
    """
    return _Merging(document, old, new, nodes, successors or {}).run()


def graph_of_map(document: Mapping[str, Any]) -> Graph:
    """What a map tells of the graph that it was made for: the classes of some nodes, under `expects`."""
    return {node_id: {"class_type": kind, "inputs": {}} for node_id, kind in document.get("expects", {}).items()}


class _Gone(Exception):
    """A path leads nowhere any more; the text says why."""


class _Merging:
    def __init__(
        self,
        document: Mapping[str, Any],
        old: Graph,
        new: Graph,
        nodes: NodeCatalogue,
        successors: Mapping[str, Any],
    ) -> None:
        self.before = document
        self.made = dict(document)
        self.old = old
        self.new = new
        self.catalogue = nodes
        self.successors = successors
        self.succeeded: list[str] = []
        self.unbound: list[str] = []
        self.ids = match_nodes(old, new)
        self.named = nodes_named(document)
        # A node that only the map knows of may still be there: its path tells.
        taken = set(self.ids.values())
        self.ids |= {each: each for each in self.named if each not in old and each in new and each not in taken}
        self.lost: list[Lost] = []
        self.notes: list[str] = []

    def run(self) -> Merge:
        self._expects()
        self._computed()
        self._repeat()
        self._switches()
        self._outputs()
        self._parameters()
        moved = [
            f"{label_of(self.old, each)} is {label_of(self.new, self.ids[each])} now"
            for each in self.named
            if each in self.ids and self.ids[each] != each
        ]
        found = sum(each in self.ids for each in self.named)
        return Merge(
            document=self.made,
            nodes=self.ids,
            moved=(*moved, *self.succeeded),
            lost=tuple(self.lost),
            notes=tuple(self.notes),
            is_other=bool(self.named) and found < len(self.named) * _FEW,
            unbound=tuple(self.unbound),
        )

    def _expects(self) -> None:
        if "expects" in self.made:
            expects = self.made["expects"]
            gone = [each for each in expects if each not in self.ids]
            self.notes += [f"{label_of(self.old, each)} is not in the graph any more" for each in gone]
            self.made["expects"] = {self.ids[each]: kind for each, kind in expects.items() if each in self.ids}

    def _parameters(self) -> None:
        parameters = {}
        bare = []
        for name, parameter in self.before.get("parameters", {}).items():
            bindings = bindings_of(parameter)
            lost_before = len(self.lost)
            kept = self._bindings(name, bindings)
            parameters[name] = parameter
            if bindings and not kept:
                self.unbound.append(name)
                if name in self.successors:
                    del self.lost[lost_before:]
                    kept = self._succeeded(name)
            if kept != bindings:
                parameters[name] = _with_bindings(parameter, kept)
                if not kept:
                    bare.append(name)
        self.made["parameters"] = parameters
        for name in [each for each in bare if each not in unused(self.made)]:
            parameters[name] = self._with_value(name, parameters[name])
        idle = {*unused(self.before), *bare}
        self.lost += [Lost(f"parameters.{name}", NO_USE) for name in unused(self.made) if name not in idle]
        idle_before = unused(self.before)
        self.made, lost = without(self.made, [name for name in unused(self.made) if name not in idle_before])
        self.lost += lost

    def _succeeded(self, name: str) -> list[Any]:
        """The bindings of a parameter whose nodes are gone, at what plays their part now."""
        bound = {"bind": self.successors[name]}
        places = places_of(bound, self.new, self.catalogue)
        self.succeeded.append(f"{name} goes to {listed_places(places, self.new)} now")
        if "expects" in self.made:
            self.made["expects"] |= {each.node_id: self.new[each.node_id]["class_type"] for each in places}
        return bindings_of(bound)

    def _bindings(self, name: str, bindings: list[Any]) -> list[Any]:
        kept = []
        for index, binding in enumerate(bindings):
            where = f"parameters.{name}.bind" + (f"[{index}]" if len(bindings) > 1 else "")
            options = binding if isinstance(binding, Mapping) else {}
            try:
                path, is_there = self._path(where, path_of(binding), options)
            except _Gone as error:
                self.lost.append(Lost(where, str(error)))
                continue
            kept.append(_with_path(binding, path, is_there=is_there))
        return kept

    def _with_value(self, name: str, parameter: dict[str, Any]) -> dict[str, Any]:
        """A parameter that is used without a place of its own: it keeps the value that its place had."""
        if "default" in parameter or parameter.get("required") or parameter.get("type") in {*MEDIA_TYPES, "seed"}:
            return parameter
        bindings = bindings_of(self.before["parameters"][name])
        for place in places_at(path_of(bindings[0]), self.old, self.catalogue):
            value = self.old[place.node_id]["inputs"][place.input_name]
            if not as_link(value):
                return {**parameter, "default": value}
        return {**parameter, "required": True}

    def _computed(self) -> None:
        if "computed" not in self.made:
            return
        computed: dict[str, Any] = {}
        for path, each in self.made["computed"].items():
            where = f"computed.{path}"
            options = each if isinstance(each, Mapping) else {}
            try:
                moved, is_there = self._path(where, path, options)
                made = each
                if options.get("replaces_link"):
                    made = {**each, "expression": self._links(each["expression"])}
            except _Gone as error:
                self.lost.append(Lost(where, str(error)))
                continue
            if is_there:
                made = {key: value for key, value in made.items() if key != "create"}
            computed[moved] = made
        self.made["computed"] = computed

    def _links(self, expression: str) -> str:
        for node_id in links_in(expression):
            if node_id in self.old and node_id not in self.ids:
                raise _Gone(f"its expression links to {self._gone(node_id)}")
        return links_with(expression, self.ids)

    def _repeat(self) -> None:
        if "repeat" in self.made:
            self.made["repeat"] = {
                self.ids[each]: repeat
                for each, repeat in self.made["repeat"].items()
                if self._is_there(f"repeat.{each}", each)
            }

    def _switches(self) -> None:
        switches: dict[str, Any] = {}
        for name, switch in self.made.get("switches", {}).items():
            made = dict(switch)
            for key in ("bypass", "remove", "through"):
                if key in switch:
                    there = [each for each in switch[key] if self._is_there(f"switches.{name}.{key}", each)]
                    made[key] = (
                        {self.ids[each]: switch[key][each] for each in there}
                        if key == "through"
                        else [self.ids[each] for each in there]
                    )
            if (made.get("bypass") or made.get("remove")) or not (switch.get("bypass") or switch.get("remove")):
                switches[name] = made
            else:
                self.lost.append(Lost(f"switches.{name}", "no node is left that it turns off"))
        if "switches" in self.made:
            self.made["switches"] = switches

    def _outputs(self) -> None:
        if "outputs" in self.made:
            self.made["outputs"] = {
                name: {**output, "node": self.ids[output["node"]]}
                for name, output in self.made["outputs"].items()
                if self._is_there(f"outputs.{name}.node", output["node"])
            }

    def _is_there(self, where: str, node_id: str) -> bool:
        if node_id not in self.ids:
            self.lost.append(Lost(where, self._gone(node_id)))
        return node_id in self.ids

    def _gone(self, node_id: str) -> str:
        return f"{label_of(self.old, node_id)} is not in the graph any more"

    def _path(self, where: str, path: str, options: Mapping[str, Any]) -> tuple[str, bool]:
        """Where a path leads now, and whether an input that it made is in the export now.

        Raises:
            _Gone: it leads nowhere.
        """
        ids = ids_in(path)
        if not ids:
            return self._filter(where, path, options), False
        for node_id in ids:
            if node_id not in self.ids:
                raise _Gone(self._gone(node_id))
        moved = path_with(path, self.ids)
        create = bool(options.get("create"))
        if create and places_at(moved, self.new, self.catalogue):
            self.notes.append(f"{where}: the input is in the export now, so that it need not be made")
            create = False
        self._look(moved, options, create=create)
        return moved, bool(options.get("create")) and not create

    def _look(self, path: str, options: Mapping[str, Any], *, create: bool) -> None:
        try:
            resolve(
                path,
                self.new,
                match_all=options.get("match") == "all",
                replaces_link=bool(options.get("replaces_link")),
                create=create,
                nodes=self.catalogue,
            )
        except BindingInvalid as error:
            raise _Gone(self._why(path, error)) from None

    def _why(self, path: str, error: BindingInvalid) -> str:
        """Why a path can't be bound to in the new graph."""
        links = [
            link
            for place in places_at(path, self.new, self.catalogue)
            if (link := as_link(self.new[place.node_id]["inputs"][place.input_name]))
        ]
        if links:
            return f"{path} holds a link to {label_of(self.new, links[0][0])} now"
        return f"{path} {error}"

    def _filter(self, where: str, path: str, options: Mapping[str, Any]) -> str:
        """A path that finds its nodes by what they are: it stays while it finds some."""
        before = places_at(path, self.old, self.catalogue)
        expected = {(self.ids.get(each.node_id), each.input_name) for each in before}
        try:
            self._look(path, options, create=False)
        except _Gone:
            places = [each for each in before if each.node_id in self.ids]
            if len(places) != 1 or len(before) != 1:
                raise
            direct = path_with(str(places[0]), self.ids)
            self._look(direct, options, create=False)
            self.notes.append(f"{where}: {path} leads nowhere any more; the node that it found is at {direct}")
            return direct
        now = places_at(path, self.new, self.catalogue)
        if before and {(each.node_id, each.input_name) for each in now} != expected:
            self.notes.append(f"{where}: {path} leads to {', '.join(map(str, now))} now: look whether it is meant")
        return path


def _with_bindings(parameter: Mapping[str, Any], bindings: list[Any]) -> dict[str, Any]:
    """The parameter with other bindings, written as its author did: one alone needs no list."""
    made = dict(parameter)
    if not bindings:
        del made["bind"]
    elif len(bindings) == 1 and not isinstance(parameter["bind"], list):
        made["bind"] = bindings[0]
    else:
        made["bind"] = bindings
    return made


def _with_path(binding: Any, path: str, *, is_there: bool) -> Any:
    if not isinstance(binding, Mapping):
        return path
    made = {**binding, "path": path}
    if is_there:
        made.pop("create", None)
    return made
