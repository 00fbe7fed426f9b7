"""`engine check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.catalog import Catalog, Entry, Folder
from engine.commands.folders import chosen_snapshot, offered_workflows, workflow_folders
from engine.commands.output import print_json, print_line, print_note
from engine.errors import StorageError, UnknownWorkflow, UsageError
from engine.node_packs import KnownPacks, known_packs
from engine.snapshots.catalogues import nodes_for
from engine.snapshots.shelf import SNAPSHOTS, Shelved, shelved
from engine.wording import count_of, listed

if TYPE_CHECKING:
    from engine.authoring.checking import Checked
    from engine.authoring.finding import Finding
    from engine.nodes import NodeCatalogue
    from engine.workflow import Workflow

_MANY = 20  # workflows; above it notes are counted and not shown
_MOST_ALIKE = 4  # findings of one kind that are shown of one workflow; errors all are


def check(
    names: Sequence[str],
    *,
    catalogue: Path | None = None,
    folder: Path | None = None,
    live: str | None = None,
    snapshot: str | None = None,
    strict: bool = False,
    save: bool = False,
    as_json: bool = False,
) -> None:
    """Check workflows and tell every finding; the status is 1 where one of them fails.

    Args:
        names: of the workflows; where there are none, those that WORKFLOWS offers, else all. Whoever names one, or a
            folder, means it, offered or not.
        catalogue: a file to check against in place of the bundled node catalogue.
        folder: with `templates/` and `schemas/`, in place of those that WORKFLOWS_PATH names.
        live: the URL of a running ComfyUI to check against; empty for the one that COMFY_URL or COMFY_HOME names;
            None for none.
        snapshot: the name of the one that every class is to come from, or from ComfyUI itself; by default that of
            SNAPSHOT. Without one, all that are there count.
        strict: a warning fails as an error does.
        save: keep what the examples render to.
        as_json: print one document.

    Raises:
        UsageError: no workflow has that name, or there is nothing to check.
        ComfyUnavailable: the running ComfyUI does not answer.
    """
    offered = () if names or folder else offered_workflows()
    place = _snapshot(snapshot, catalogue, live)
    packs = known_packs(place.folder if place else SNAPSHOTS, place)
    catalog, nodes = _catalog(folder, catalogue, live, offered, place)
    if place and (locked := packs.locks[place.name].comfyui.version) != nodes.version:
        print_note(
            f"ComfyUI's own classes are those of {nodes.version}, and the lock of {place.name} says {locked}: "
            "engine snapshot freeze makes the catalogue of that one"
        )
    for name in names:
        try:
            if name not in catalog:
                catalog[name]  # says so, with the nearest name
        except UnknownWorkflow as error:
            raise _usage(error.message) from error
    entries = list(catalog.entries(names or None))
    if not entries:
        folders = listed(str(each) for each in catalog.folders)
        raise _usage(f"nothing to check: no workflow is in {folders}; one is templates/NAME.json and schemas/NAME.json")
    copies = {each.path for each in catalog.folders if each.label}
    saved = [line for entry in entries for line in _save(entry, copies)] if save else []
    report = [checked(entry, nodes, packs) for entry in entries]
    failed = sum(each.fails(strict=strict) for each in report)
    if as_json:
        _print_document(report, nodes, saved, strict=strict)
    else:
        for line in saved:
            print_note(line)
        notes = bool(names) or len(report) <= _MANY
        for each in report:
            print_checked(each, strict=strict, notes=notes)
        print_note(_summary(report, failed, nodes))
        if offered:
            print_note("only what WORKFLOWS names was checked; engine check NAME checks any other")
        hidden = sum(each.counts()["note"] for each in report)
        if hidden and not notes:
            print_note("the notes are not shown; engine check NAME shows them")
    if failed:
        raise SystemExit(1)


def checked(entry: Entry, nodes: NodeCatalogue, packs: KnownPacks | None = None) -> Checked:
    """Check one workflow, and its examples against what was saved of them."""
    from engine.authoring.checking import check_entry, saved_findings

    def more(workflow: Workflow) -> Iterator[Finding]:
        return saved_findings(entry.source, workflow)

    return check_entry(entry, nodes, packs or known_packs(), more)


def print_checked(report: Checked, *, strict: bool = False, notes: bool = True) -> None:
    """A line for the workflow and its findings below it, the worst first."""
    examples = len(report.workflow.examples) if report.workflow else 0
    print_line(
        f"{'FAILED' if report.fails(strict=strict) else 'ok':<7} {report.name}  ({count_of(examples, 'example')})"
    )
    alike = Counter((each.code, each.severity) for each in report.findings)
    told: Counter[tuple[str, str]] = Counter()
    for each in report.findings:
        kind = (each.code, each.severity)
        told[kind] += 1
        too_many = each.severity != "error" and told[kind] > _MOST_ALIKE
        if too_many or (each.severity == "note" and not notes):
            continue
        place = ": ".join(part for part in (each.file, each.where) if part)
        first, *rest = each.message.split("\n")
        print_line(f"          {each.severity} {each.code}: {place}: {first}")
        for line in rest:
            print_line(f"            {line}")
        if each.remedy:
            print_line(f"            {each.remedy}")
        if each.severity != "error" and told[kind] == _MOST_ALIKE < alike[kind]:
            print_line(f"          and {alike[kind] - _MOST_ALIKE} more of {each.code}; --json has all")


def _catalog(
    folder: Path | None, catalogue: Path | None, live: str | None, offered: Sequence[str], place: Shelved | None
) -> tuple[Catalog, NodeCatalogue]:
    """The workflows, and the node catalogue that is checked against."""
    from engine.nodes import NodeCatalogue

    if live is not None and catalogue is not None:
        raise _usage("--live and --catalogue: the node catalogue is one or the other's")
    if folder is not None and not folder.is_dir():
        raise _usage(f"--folder {folder}: there is no such folder")
    folders = [Folder(folder)] if folder else workflow_folders()
    running = None if live is None else _live(live, folders)
    nodes = NodeCatalogue.load(catalogue) if catalogue else nodes_for(place)
    if running:
        # A file that is missing there must not keep a map from loading, or nothing else of it would be told.
        nodes = NodeCatalogue(running.object_info, version=running.version, from_files=running.from_files)
    catalog = Catalog(folders, nodes, only=offered)
    return catalog, running or catalog.nodes


def _snapshot(name: str | None, catalogue: Path | None, live: str | None) -> Shelved | None:
    """The snapshot that was chosen; None where the classes are another's, or none was."""
    if live is not None or catalogue is not None:
        if name:
            raise _usage("--snapshot with --live or --catalogue: the node classes are one or the other's")
        return None
    if not (name or chosen_snapshot()):
        return None
    place = shelved(name or chosen_snapshot())
    if place.lock.is_file():
        return place
    lacks = f"the snapshot {place.name} has no lock, so it is not known which classes it has"
    remedy = f"make it of a ComfyUI with these packs: engine snapshot freeze --from URL --name {place.name}"
    if name:
        raise UsageError(lacks, hint=remedy)
    print_note(f"{lacks}; {remedy}")  # an image may be built with a snapshot as it was exported
    return None


def _live(url: str, folders: Sequence[Folder]) -> NodeCatalogue:
    """The node catalogue of a ComfyUI that runs. Nothing is queued there."""
    from engine.comfyui import ComfyUI

    if url:
        with ComfyUI(url) as comfy:
            return comfy.node_catalogue()
    from engine.backend import Backend
    from engine.environments.choosing import settings_of_own
    from engine.settings import load_settings

    settings = settings_of_own(load_settings())
    if not (settings.comfy_url or settings.comfy_home or settings.comfy_simulate):
        raise _usage("--live: say which ComfyUI: --live URL, or set COMFY_URL or COMFY_HOME")
    with Backend(settings, Catalog(folders), simulate=False) as backend:
        comfy = backend.comfy()
        comfy.ready()
        return comfy.node_catalogue()


def _save(entry: Entry, copies: Container[Path]) -> list[str]:
    from engine.authoring.checking.saved import folder_of, save

    if entry.source.folder in copies:
        return [f"{entry.source.name} is of a repository, which nothing is written to"]
    if entry.workflow is None:
        return []  # the check says why
    try:
        return save(entry.source, entry.workflow)
    except OSError as error:
        raise StorageError(f"{folder_of(entry.source)} can't be written: {error.strerror}") from error


def _print_document(report: list[Checked], nodes: NodeCatalogue, saved: list[str], *, strict: bool) -> None:
    document: dict[str, Any] = {
        "workflows": [each.as_dict(strict=strict) for each in report],
        "counts": {
            "workflows": len(report),
            "failed": sum(each.fails(strict=strict) for each in report),
            **_totals(report),
        },
        "comfyui_version": nodes.version,
        "live": nodes.live,
    }
    print_json(document | ({"saved": saved} if saved else {}))


def _totals(report: list[Checked]) -> Counter[str]:
    totals = Counter({"error": 0, "warning": 0, "note": 0})
    for each in report:
        totals.update(each.counts())
    return totals


def _summary(report: list[Checked], failed: int, nodes: NodeCatalogue) -> str:
    counts = [f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in _totals(report).items() if count]
    found = f": {', '.join(counts)}" if counts else ""
    running = "the running ComfyUI" if nodes.live else "ComfyUI"
    return f"{len(report) - failed} of {len(report)} workflows are fine ({running} {nodes.version}){found}"


def _usage(message: str) -> Exception:
    return UsageError(message)
