"""What `engine add` is going to do: decided before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.authoring.additions import new_in_chains, new_in_export
from engine.authoring.discovery import draft_map
from engine.authoring.draft import Draft, Export, Question
from engine.authoring.editing import edited_text
from engine.authoring.merging import Merge, graph_of_map, merge
from engine.authoring.questions import Interview, with_parameters
from engine.authoring.references import listed_places, places_of
from engine.authoring.successors import successors
from engine.authoring.trimming import combined
from engine.authoring.writing import map_text
from engine.catalog import EDITOR_SCHEMA, Source
from engine.documents import parse_json, read_json
from engine.errors import Cancelled, InvalidMap, Problem, StorageError
from engine.graph import Graph, label_of, parse_graph
from engine.map_file import json_schema, parse_map
from engine.nodes import NodeCatalogue
from engine.wording import listed

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What may be done.

    Attributes:
        all: every parameter that is found goes into a new map.
        new: what is new in an export goes into the map that there is.
        drop_lost: what leads nowhere any more may go.
        replace: the map that there is, or the template without one, may go.
    """

    all: bool = False
    new: bool = False
    drop_lost: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be done.

    Attributes:
        action: `add` a workflow, `replace` one that was there, `merge` a changed export, or `nothing`.
        source: where its files are to be.
        graph: its template.
        document: its map.
        files: what is to be written; nothing that stays as it is.
        draft: what was found in the graph.
        merge: what became of the map that there was.
        fresh: what is new in the export and not in the map, by section.
        replaced: those of the files that were there before.
        added: that goes into the map.
        asked: the author answered the questions.
        notes: what the author ought to know.
    """

    action: Literal["add", "replace", "merge", "nothing"]
    source: Source
    graph: Graph
    document: Mapping[str, Any]
    files: Mapping[Path, bytes]
    draft: Draft
    replaced: frozenset[Path] = frozenset()
    merge: Merge | None = None
    fresh: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    added: bool = False
    asked: bool = False
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> dict[str, Any]:
        """What was found for a new map and is not in it."""
        if self.merge or self.asked:
            return {}
        return {name: each for name, each in self.draft.left_out.items() if name not in self.document["parameters"]}

    @property
    def open_questions(self) -> tuple[Question, ...]:
        """What nobody was asked."""
        return () if self.merge or self.asked else self.draft.questions


@dataclass(frozen=True, slots=True)
class Given:
    """What `engine add` was given.

    Attributes:
        export: the graph.
        path: its file; None where it came on stdin.
        draft: the map that is proposed for it.
        nodes: the node catalogue.
        wishes: what may be done.
        interview: asks the author; None where nobody is to be asked.
        check: nothing is written, only told.
    """

    export: Export
    path: Path | None
    draft: Draft
    nodes: NodeCatalogue
    wishes: Wishes
    interview: Interview | None = None
    check: bool = False

    def is_template_of(self, source: Source) -> bool:
        """Whether the file is the workflow's own template."""
        return self.path is not None and source.template.exists() and self.path.samefile(source.template)


def plan(source: Source, given: Given) -> Plan:
    """What to do about a workflow.

    Args:
        source: where its files are, or are to be.
        given: the export, and what may be done.

    Raises:
        InvalidMap: the map that there is can't be read; or something of it would be lost, or all of it was made for
            another graph, or a template would be, and the wishes do not allow that.
        Cancelled: the author said no.
    """
    if source.map.exists() and not given.wishes.replace:
        return _made_again(source, given)
    return _made_anew(source, given)


def _made_anew(source: Source, given: Given) -> Plan:
    draft, export = given.draft, given.export
    there = source.map.exists()
    before = _content(source.template)
    text = export.text
    if before is not None and (given.is_template_of(source) or _same_graph(before, export.graph)):
        text = before  # somebody's own layout of the same graph stays
    elif before is not None and not given.wishes.replace:
        raise InvalidMap(
            problems=[Problem("", "is another graph, and has no map yet", file=f"templates/{source.template.name}")],
            hint="choose another --name, or --replace it",
        )
    document = draft.document
    if given.interview:
        document = given.interview.answered(draft)
    elif given.wishes.all:
        document = with_parameters(document, draft.left_out, export.graph, given.nodes)
    document = {"$schema": f"{EDITOR_SCHEMA}.json", **document}
    files = _changed({source.template: text, source.map: map_text(document).encode()})
    action: Literal["add", "replace", "nothing"] = "replace" if there or before not in (None, text) else "add"
    return Plan(
        action if files else "nothing",
        source,
        export.graph,
        document,
        {**files, **(_editor_schema(source) if files else {})},
        draft,
        replaced=frozenset(path for path in files if path.exists()),
        asked=bool(given.interview),
        notes=(*export.notes, *_copies(export.graph), *draft.notes),
    )


def _made_again(source: Source, given: Given) -> Plan:
    export = given.export
    document, text = _map_of(source)
    old, notes = _old_graph(source, document, given)
    in_place = given.is_template_of(source)
    merged = merge(document, old, export.graph, given.nodes)
    heirs = _successors(document, merged, old, given)
    if heirs and _agreed_heirs(given, heirs):
        merged = merge(document, old, export.graph, given.nodes, successors=heirs)
    elif heirs:
        notes += [f"with --new, {text}" for text in _heirs_text(heirs, given)]
    if not in_place and old == export.graph:
        # The same graph: what is wrong with the map, if something is, is for the check to say.
        merged = Merge(dict(document), nodes={each: each for each in old})
    fresh: Mapping[str, Mapping[str, Any]] = {}
    if not in_place and source.template.exists():
        fresh = new_in_export(
            given.draft.document,
            merged.document,
            old,
            export.graph,
            merged.nodes,
            given.nodes,
            declares_outputs=bool(document.get("outputs")),
        )
        notes += new_in_chains(given.draft.document, merged.document, export.graph, merged.nodes)
    _refuse(source, merged, given, heirs)
    added = bool(fresh) and (given.wishes.new or _agreed(given, fresh))
    made = combined(merged.document, fresh) if added else merged.document
    changed, kept = edited_text(text.removeprefix("\ufeff"), made)
    if not kept:
        notes.append(f"schemas/{source.map.name} is written anew: its layout could not be kept")
    content = (_BOM if text.startswith("\ufeff") else b"") + changed.encode()
    files = _changed({source.map: content} if in_place else {source.template: export.text, source.map: content})
    return Plan(
        "merge" if files else "nothing",
        source,
        export.graph,
        made,
        files,
        given.draft,
        replaced=frozenset(path for path in files if path.exists()),
        merge=merged,
        fresh=fresh,
        added=added,
        notes=(*export.notes, *_copies(export.graph), *notes, *merged.notes),
    )


def _successors(document: Mapping[str, Any], merged: Merge, old: Graph, given: Given) -> dict[str, Any]:
    """What plays the part now of each node that is gone, by the parameter that was bound to it."""
    if not merged.unbound or merged.is_other or not any(node.get("inputs") for node in old.values()):
        return {}
    drafts = (draft_map(old, given.nodes).document, given.draft.document)
    return successors(document, merged.unbound, drafts, (old, given.export.graph), given.nodes)


def _agreed_heirs(given: Given, heirs: Mapping[str, Any]) -> bool:
    if given.interview is None:
        return given.wishes.new
    return all(given.interview.agrees(f"{text[0].upper()}{text[1:]}?") for text in _heirs_text(heirs, given))


def _heirs_text(heirs: Mapping[str, Any], given: Given) -> list[str]:
    graph = given.export.graph
    places = {name: places_of({"bind": bind}, graph, given.nodes) for name, bind in heirs.items()}
    return [f"{name} goes to {listed_places(each, graph)}" for name, each in places.items()]


def _refuse(source: Source, merged: Merge, given: Given, heirs: Mapping[str, Any]) -> None:
    """Stop where the author's work would be lost, and nobody agreed to it."""
    label = f"schemas/{source.map.name}"
    if given.check:
        return
    if merged.is_other:
        raise InvalidMap(
            problems=[
                Problem("", "hardly a node that it names is in this export, which looks like another workflow", label)
            ],
            hint="choose another --name; or --replace the map by a new one",
        )
    if not merged.lost or given.wishes.drop_lost:
        return
    if given.interview:
        given.interview.say("These parts of the map lead nowhere in this export, and would go:")
        for each in merged.lost:
            given.interview.say(f"  {each}")
        if given.interview.agrees("Let them go?"):
            return
        raise Cancelled("nothing was written")
    raise InvalidMap(
        problems=[Problem(each.where, each.message, label) for each in merged.lost],
        hint=_way_out(heirs, given),
    )


def _way_out(heirs: Mapping[str, Any], given: Given) -> str:
    drops = "--drop-lost lets these parts of the map go, all else of it stays"
    if heirs and not given.wishes.new:
        return f"nothing was written; with --new, {'; '.join(_heirs_text(heirs, given))}; {drops}"
    return f"nothing was written; {drops}"


def _agreed(given: Given, fresh: Mapping[str, Mapping[str, Any]]) -> bool:
    if given.interview is None:
        return False
    names = [*fresh.get("parameters", {}), *fresh.get("outputs", {})]
    return given.interview.agrees(f"New in this export: {', '.join(names)}. Add them?")


def _map_of(source: Source) -> tuple[dict[str, Any], str]:
    label = f"schemas/{source.map.name}"
    try:
        document = read_json(source.map, label=label)
        parse_map(document, label=label)
    except InvalidMap as error:
        raise InvalidMap(
            problems=error.problems,
            hint="the map that is there can't be carried over until it is mended; --replace makes a new one",
        ) from None
    return document, source.map.read_bytes().decode()


def _old_graph(source: Source, document: Mapping[str, Any], given: Given) -> tuple[Graph, list[str]]:
    """The graph that a map was made for, as far as it is known, with what to say about it."""
    label = f"templates/{source.template.name}"
    if not source.template.exists():
        return graph_of_map(document), []
    if given.is_template_of(source):
        return graph_of_map(document), []
    try:
        return parse_graph(read_json(source.template, label=label), label=label), []
    except InvalidMap:
        return graph_of_map(document), [f"the {label} before could not be read; nodes were found by `expects` alone"]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None  # where its folder can't be made either, that is said when it is written
    except OSError as error:
        raise StorageError(f"{path}: can't be read: {error.strerror}", retryable=False) from error


def _changed(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    return {path: content for path, content in files.items() if _content(path) != content}


def _same_graph(text: bytes, graph: Graph) -> bool:
    try:
        document = parse_json(text.decode("utf-8-sig"), label="")
    except (InvalidMap, UnicodeDecodeError):
        return False
    return json.dumps(document) == json.dumps(graph)


def _copies(graph: Graph) -> list[str]:
    """What is to be said of a graph that has copies which `repeat` made: it is no template, but what one call made."""
    copies = [each for each in graph if (base := each.rpartition("#")[0]) in graph and each[len(base) + 1 :].isdigit()]
    if not copies:
        return []
    made = listed(label_of(graph, each) for each in copies)
    return [f"this is a rendered graph, with the values of one call; `repeat` made {made}, which its template has not"]


def _editor_schema(source: Source) -> dict[Path, bytes]:
    """What an editor completes maps by, where the folder has none yet."""
    path = source.map.with_name(f"{EDITOR_SCHEMA}.json")
    return {} if path.exists() else {path: (json.dumps(json_schema(), indent=2) + "\n").encode()}
