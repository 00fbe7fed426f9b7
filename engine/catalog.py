"""Finds, loads, checks and reloads workflows by name.

A folder holds `templates/NAME.json` and `schemas/NAME.json`. Loading is lazy: making a catalog costs nothing, a
listing costs a look into the folders, and a workflow is compiled when it is first asked for. A file that changes
is read again. A workflow that is broken is reported as such and never stops the others.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.documents import read_json
from engine.errors import InvalidMap, Problem, UnknownWorkflow, WorkflowError
from engine.wording import did_you_mean, nearest

if TYPE_CHECKING:
    from engine.nodes import NodeCatalogue
    from engine.workflow import Workflow

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNSETTLED_SECONDS = 2.0
"""A file that changed so shortly before it was read is read once more, so long after: FAT and network file systems have
times of one or two seconds."""
_PARTS = ("templates", "schemas")
EDITOR_SCHEMA = "parameter-map.schema"  # stands among the maps, for editors, and is none


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of workflows.

    Attributes:
        path: with `templates/` and `schemas/` in it.
        label: what people know it as; its path, where that is empty.
        trouble: why what should be in it is not, or is old, for people.
        needed: whether it is an error that it does not exist. One that is not needed may come later.
    """

    path: Path
    label: str = ""
    trouble: str = ""
    needed: bool = True

    def __str__(self) -> str:
        return self.label or str(self.path)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a workflow's two files are, or would be.

    Attributes:
        name: of the workflow.
        folder: the one of WORKFLOWS_PATH it was found in.
        shadowed: earlier folders that have a workflow of the same name.
    """

    name: str
    folder: Path
    shadowed: tuple[Path, ...] = ()

    @property
    def template(self) -> Path:
        """Its graph."""
        return self.folder / "templates" / f"{self.name}.json"

    @property
    def map(self) -> Path:
        """Its parameter map."""
        return self.folder / "schemas" / f"{self.name}.json"

    @property
    def title(self) -> str:
        """What its map says, which is read but not checked; empty where it says nothing."""
        try:
            with open(self._file("schemas"), "rb") as file:  # noqa: PTH123 - of thousands: making a Path takes longer
                document = json.loads(file.read())
        except (OSError, ValueError, RecursionError):
            return ""
        title = document.get("title") if isinstance(document, dict) else None
        return title if isinstance(title, str) else ""

    @property
    def missing_files(self) -> list[str]:
        """Which of the two there are not, as `templates/NAME.json`; nothing is read."""
        return [f"{part}/{self.name}.json" for part in _PARTS if not _is_file(self._file(part))]

    def _file(self, part: str) -> str:
        return f"{self.folder}/{part}/{self.name}.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a listing.

    Attributes:
        source: where it is.
        workflow: it, if it loads.
        error: why it does not.
    """

    source: Source
    workflow: Workflow | None = None
    error: WorkflowError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Its name and whether it works, with what it is or what is wrong with it, in JSON's types."""
        line: dict[str, Any] = {"name": self.source.name, "status": "broken" if self.error else "ready"}
        if self.workflow:
            line |= {"title": self.workflow.title, "description": self.workflow.description}
            line["version"] = self.workflow.version
        if self.error:
            line["problems"] = [str(problem) for problem in self.error.problems] or [self.error.message]
        return line


class Catalog(Mapping[str, "Workflow"]):
    """The workflows of some folders, by name. Safe to use from several threads.

    Args:
        folders: each with `templates/` and `schemas/`; a later one wins over an earlier one.
        nodes: the node catalogue to check against; by default the bundled one, with the node packs of the snapshots
            where a workflow wants one of those, each read when first needed.
        only: the names of those that there are to be, by default all. A name that no folder has is listed as broken.

    Raises:
        InvalidMap: a folder does not exist.
    """

    def __init__(
        self, folders: Iterable[str | Path | Folder], nodes: NodeCatalogue | None = None, *, only: Iterable[str] = ()
    ) -> None:
        self._folders: tuple[Folder, ...] = ()
        self._nodes = nodes
        self._only = frozenset(only)
        self._loaded: dict[str, tuple[tuple[object, ...], Workflow | WorkflowError, float | None]] = {}
        self._lock = threading.Lock()
        self.use(folders)

    def use(self, folders: Iterable[str | Path | Folder]) -> None:
        """Have other folders from now on. A workflow that was given out stays what it is.

        Raises:
            InvalidMap: a folder does not exist that is needed.
        """
        chosen = tuple(each if isinstance(each, Folder) else Folder(Path(each)) for each in folders)
        for folder in chosen:
            if folder.needed and not folder.path.is_dir():
                raise InvalidMap(
                    f"the workflow folder {folder} does not exist",
                    hint="WORKFLOWS_PATH names folders that hold templates/ and schemas/, and repositories by https://…",
                )
        self._folders = chosen

    def __getitem__(self, name: str) -> Workflow:
        """The workflow of that name, read again if a file of it changed.

        Raises:
            UnknownWorkflow: there is none; with the nearest name.
            InvalidMap: it is broken; with every problem.
            BindingNotFound: as InvalidMap, where only paths are wrong.
        """
        source = self._find(name)
        if source is None:
            known = self.sources()
            near = nearest(name, known) if isinstance(name, str) else None
            raise UnknownWorkflow(str(name)[:64], known=known, nearest=[near] if near else [])
        found = self._load(source)
        if isinstance(found, WorkflowError):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources())

    def __len__(self) -> int:
        return len(self.sources())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    @property
    def nodes(self) -> NodeCatalogue:
        """The node catalogue that workflows are checked against: it has the classes of node packs too, where known."""
        if self._nodes is None:
            from engine.known_nodes import known_nodes

            return known_nodes()
        return self._nodes

    @property
    def folders(self) -> tuple[Folder, ...]:
        """Where it looks, in order."""
        return self._folders

    def troubles(self) -> list[str]:
        """What is to be told of folders whose workflows are missing, or old."""
        return [folder.trouble for folder in self._folders if folder.trouble]

    def sources(self) -> dict[str, Source]:
        """Every workflow's files by name, sorted; nothing is read but the folders."""
        there = self._there()
        return {name: source for name, source in there.items() if name in self._only} if self._only else there

    def missing(self) -> list[Entry]:
        """What there is to be and is not: each name with the reason, as a broken workflow; sorted."""
        if not self._only:
            return []
        there = self._there()
        return [self._missing(name, there) for name in sorted(self._only.difference(there))]

    def _missing(self, name: str, there: Iterable[str]) -> Entry:
        message = f"WORKFLOWS names it, and there is no such workflow{did_you_mean(name, there)}"
        message += "".join(f"; {trouble}" for trouble in self.troubles())
        return Entry(
            Source(name, self._folders[-1].path if self._folders else Path()),
            error=InvalidMap(problems=[Problem("", message)]),
        )

    def _there(self) -> dict[str, Source]:
        found: dict[str, Source] = {}
        for folder in (each.path for each in self._folders):
            stems = _stems(folder / "templates") | (_stems(folder / "schemas") - {EDITOR_SCHEMA})
            for stem in stems:
                before = found.get(stem)
                if before and before.folder == folder:
                    continue  # a folder that is named twice hides nothing
                shadowed = (*before.shadowed, before.folder) if before else ()
                found[stem] = Source(stem, folder, shadowed)
        return dict(sorted(found.items()))

    def entries(self, names: Container[str] | None = None) -> Iterator[Entry]:
        """The workflows, or those of the names, loaded: what works and what is broken, with the reason."""
        for missing in self.missing():
            if names is None or missing.source.name in names:
                yield missing
        for source in self.sources().values():
            if names is not None and source.name not in names:
                continue
            found = self._load(source)
            if isinstance(found, WorkflowError):
                yield Entry(source, error=found)
            else:
                yield Entry(source, workflow=found)

    def _find(self, name: object) -> Source | None:
        # Only safe names ever become a path, and only two files per folder are looked at.
        if self._only and name not in self._only:
            return None
        if not isinstance(name, str) or not NAME.fullmatch(name):
            return self.sources().get(name) if isinstance(name, str) else None
        for folder in reversed(self._folders):
            source = Source(name, folder.path)
            if _is_file(source.template) or _is_file(source.map):
                return source
        return None

    def _load(self, source: Source) -> Workflow | WorkflowError:
        state = (source.folder, _state(source.template), _state(source.map))
        with self._lock:
            known = self._loaded.get(source.name)
        if known and known[0] == state and not (known[2] and abs(time.time() - known[2]) > _UNSETTLED_SECONDS):
            return known[1]
        begun = time.time()
        try:
            found: Workflow | WorkflowError = self._read(source)
        except WorkflowError as error:
            found = error
        except Exception as error:  # whatever one workflow's files provoke, the others go on
            log.exception("workflow %s can't be read", source.name)
            found = InvalidMap(f"can't be read: {type(error).__name__}; the log has the cause")
        with self._lock:
            # A file system that tells time in seconds says nothing of a second change within the same one.
            settled = all(begun - each[0] / 1e9 > _UNSETTLED_SECONDS for each in state[1:] if each)
            self._loaded[source.name] = (state, found, None if settled else begun)
        return found

    def _read(self, source: Source) -> Workflow:
        # Imported here: a listing of a thousand names needs neither pydantic nor Jinja2.
        from engine.graph import parse_graph
        from engine.known_nodes import nodes_with
        from engine.map_file import parse_map
        from engine.workflow import Workflow

        template_label, map_label = f"templates/{source.template.name}", f"schemas/{source.map.name}"
        if not NAME.fullmatch(source.name):
            message = f"{source.name!r} is no name for a workflow: letters, digits, _ and -, at most 64, no sign first"
            raise InvalidMap(problems=[Problem("", message, file=template_label)])
        for path, label, other in ((source.map, map_label, "schemas"), (source.template, template_label, "templates")):
            if not _is_file(path):
                has = template_label if other == "schemas" else map_label
                message = f"there is no {label} beside it; a workflow is two files of the same name"
                raise InvalidMap(problems=[Problem("", message, file=has)])
        problems: list[Problem] = []
        graph = parameter_map = None
        try:
            graph = parse_graph(read_json(source.template, label=template_label), label=template_label)
        except InvalidMap as error:
            problems += error.problems
        try:
            parameter_map = parse_map(read_json(source.map, label=map_label), label=map_label)
        except InvalidMap as error:
            problems += error.problems
        if graph is None or parameter_map is None:
            raise InvalidMap(problems=problems)
        classes = (node["class_type"] for node in graph.values())
        nodes = nodes_with(classes) if self._nodes is None else self._nodes
        return Workflow(source.name, graph, parameter_map, nodes, label=map_label)


def _stems(folder: Path) -> set[str]:
    """The names of the JSON files in a folder; none where there is no such folder."""
    try:
        return {name.removesuffix(".json") for name in os.listdir(folder) if name.endswith(".json")}  # noqa: PTH208 - names alone, of thousands
    except OSError:
        return set()


def _is_file(path: str | Path) -> bool:
    """Whether a file is there; a folder that can't be asked, as of a mount that broke, has none."""
    return os.path.isfile(path)  # noqa: PTH113 - is_file() raises what a broken mount answers with


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
