"""`engine add`: from an export to a workflow under a name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import bundled_workflows
from engine.authoring.checking import Checked
from engine.authoring.discovery import draft_map
from engine.authoring.draft import Export
from engine.authoring.exports import read_export
from engine.authoring.questions import Interview
from engine.authoring.saving import save_all
from engine.catalog import NAME, Catalog, Source
from engine.commands.add_plans import Given, Plan, Wishes, plan
from engine.commands.add_report import as_document, check_command, next_command, print_report
from engine.commands.check_command import checked, print_checked
from engine.commands.folders import own_folders
from engine.commands.output import print_json, print_line, print_note
from engine.errors import Cancelled, InvalidRequest, UsageError
from engine.known_nodes import known_nodes
from engine.names import plain_name
from engine.nodes import NodeCatalogue
from engine.ui_format import Converter


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What the command line says.

    Attributes:
        file: the export; `-` is stdin.
        name: for the workflow; by default the file's.
        folder: the one to write to; by default the last of WORKFLOWS_PATH.
        catalogue: another node catalogue.
        check: only tell what would happen.
        interactive: ask.
        wishes: what may be done.
        as_json: print one document.
    """

    file: str
    name: str | None
    folder: Path | None
    catalogue: Path | None
    check: bool
    interactive: bool
    wishes: Wishes
    as_json: bool


def add(options: AddOptions) -> None:
    """Add a workflow, or carry the map of one over to a changed export.

    Raises:
        UsageError: the options don't go together, or there is no name.
        InvalidRequest: the file can't be read.
        InvalidMap: it is no export, or something of the author's map would be lost; with what, and what to do.
        StorageError: the folder can't be written to. Nothing was, then.
        SystemExit: 1 where `--check` finds something to do, or the workflow does not pass the check.
    """
    if options.interactive and options.file == "-":
        raise UsageError("--interactive asks on stdin, which is the export here; save it to a file first")
    if options.interactive and options.check:
        raise UsageError("--check only tells what would happen, so that there is nothing for --interactive to ask")
    nodes = NodeCatalogue.load(options.catalogue) if options.catalogue else known_nodes()
    export = read_export(_content(options.file), name=options.file, convert=Converter(nodes))
    source = Source(_name(options, export), _folder(options.folder))
    made = plan(source, _given(options, export, source, nodes))
    if not options.check:
        save_all(made.files)
    _tell(made, options, nodes)


def _given(options: AddOptions, export: Export, source: Source, nodes: NodeCatalogue) -> Given:
    title = " ".join(source.name.replace("_", " ").replace("-", " ").split()).capitalize()
    return Given(
        export,
        None if options.file == "-" else Path(options.file),
        draft_map(export.graph, nodes, title=title, app_mode=export.app_mode),
        nodes,
        options.wishes,
        Interview(export.graph, nodes, ask=_ask, say=print_note) if options.interactive else None,
        check=options.check,
    )


def _content(file: str) -> bytes:
    if file == "-":
        if sys.stdin.isatty():
            print_note("the export is read from the keyboard: paste it, then Ctrl-D; Ctrl-C stops")
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except IsADirectoryError:
        raise InvalidRequest(f"{file}: this is a folder; name the file that ComfyUI exported") from None
    except OSError as error:
        raise InvalidRequest(f"{file}: can't be read: {error.strerror}") from error
    except ValueError as error:  # a null character in it
        raise InvalidRequest(f"{file!r}: is no name of a file: {error}") from error


def _name(options: AddOptions, export: Export) -> str:
    if options.name is not None:
        if NAME.fullmatch(options.name):
            return options.name
        guess = _legal(options.name)
        raise UsageError(
            f"--name {options.name}: a name has letters, digits, _ and -, at most 64, no sign first",
            hint=f"--name {guess}" if guess else None,
        )
    if name := _legal(export.stem):
        return name
    raise UsageError(
        "an export on stdin has no name; say --name NAME"
        if options.file == "-"
        else f"no name can be made of {Path(options.file).name}; say --name NAME"
    )


def _legal(text: str) -> str:
    return plain_name(text, otherwise="").lstrip("-_")


def _folder(chosen: Path | None) -> Path:
    folders = own_folders()
    if not (chosen or folders):
        raise UsageError("WORKFLOWS_PATH names repositories alone, which nothing is written to: say --folder DIR")
    folder = chosen or folders[-1]
    if not chosen and folder == bundled_workflows() and not (folder / "templates").is_dir():
        # The engine was installed as a package: beside it, an upgrade would take the author's work along.
        raise UsageError("say where the workflow is to go: --folder DIR, or a folder of yours in WORKFLOWS_PATH")
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"{folder}: this is a file; workflows are in a folder that holds templates/ and schemas/")
    return folder


def _ask(text: str) -> str:
    sys.stderr.write(text)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.write("\n")
        raise Cancelled("there are no more answers; nothing was written")
    return answer.strip()


def _tell(made: Plan, options: AddOptions, nodes: NodeCatalogue) -> None:
    """Print what was done, run the check, and end with what to do next."""
    folders = own_folders()
    written = not options.check
    earlier = _earlier(made.source, folders)
    report = None if options.check else _checked(made.source, nodes)
    command = next_command(made, folders)
    if options.as_json:
        document = as_document(made, nodes, written=written, replaces=earlier)
        print_json({**document, "check": report.as_dict(strict=False), "next": command} if report else document)
    else:
        print_report(made, nodes, written=written, replaces=earlier)
        if report:
            print_line()
            print_checked(report)
            failed = report.fails(strict=False)
            print_line(f"\nnext: {f'mend it, then {check_command(made, folders)}' if failed else command}")
    if report.fails(strict=False) if report else made.files:
        raise SystemExit(1)


def _checked(source: Source, nodes: NodeCatalogue) -> Checked:
    entry = next(iter(Catalog([source.folder], nodes).entries({source.name})))
    return checked(entry, nodes)


def _earlier(source: Source, folders: Sequence[Path]) -> list[Path]:
    """The folders that have a workflow of that name, which this one hides."""
    resolved = [folder.resolve() for folder in folders]
    here = source.folder.resolve()
    before = folders[: resolved.index(here)] if here in resolved else ()
    others = [Source(source.name, folder) for folder in before]
    return [each.folder for each in others if each.template.is_file() or each.map.is_file()]
