"""`engine snapshot`: which environments there are, making one of a live ComfyUI, and comparing one with another."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.commands.output import print_json, print_line, print_note
from engine.errors import ComfyUnavailable, InvalidMap, UsageError
from engine.installations import release_of
from engine.settings import load_settings
from engine.snapshots.freezing import Frozen, changes, freeze, write
from engine.snapshots.lock import Lock, differences, lock_of, notes, read_lock
from engine.snapshots.shelf import SNAPSHOTS, Shelved, named, shelved, snapshots_in
from engine.snapshots.snapshot import disagreements, parse_snapshot, read_snapshot, wanted_by
from engine.wording import listed

if TYPE_CHECKING:
    from engine.comfyui import ComfyClient
    from engine.comfyui.import_failures import ImportFailure

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def show(folder: Path | None, *, as_json: bool) -> None:
    """Print the snapshots in a folder: their packs, and whether their locks agree with them.

    The status is 1 where a file can't be read, or a lock is not of its snapshot.

    Args:
        folder: that they are in; `snapshots/` by default.
        as_json: print one document.

    Raises:
        UsageError: there is no such folder.
    """
    where = folder or SNAPSHOTS
    if folder and not folder.is_dir():
        raise UsageError(f"--folder {folder}: there is no such folder")
    lines = [_line(each) for each in snapshots_in(where).values()]
    if as_json:
        print_json({"folder": str(where), "snapshots": lines})
    else:
        for line in lines:
            print_line(f"{line['name']}  ({line['file'] or 'no snapshot, its lock alone'})")
            print_line(f"    packs: {listed(line['packs'])}")
            print_line(f"    lock: {line['lock']}")
            for problem in line["problems"]:
                print_line(f"    {problem}")
        print_note(f"{len(lines)} snapshots in {where}" if lines else f"no snapshot is in {where}")
    if any(line["problems"] for line in lines):
        raise SystemExit(1)


def make(url: str, name: str | None, *, home: Path | None, folder: Path | None, replace: bool, as_json: bool) -> None:
    """Make a snapshot, its lock and its node catalogue of a ComfyUI that runs.

    Args:
        url: where it listens.
        name: of the snapshot; by default `comfyui-VERSION`.
        home: where it is installed on this machine; by default COMFY_HOME, where the URL is of this machine.
        folder: where the files go; `snapshots/` by default.
        replace: one that is there already, and is of something else, is replaced.
        as_json: print one document.

    Raises:
        UsageError: there is another under that name, or it can't be one.
        ComfyUnavailable: it does not answer.
    """
    frozen = _frozen(url, home)
    name = named(name or f"comfyui-{frozen.lock.comfyui.version}")
    if not _NAME.fullmatch(name) or name == "node-catalogue" or name.endswith(".lock"):
        raise UsageError(
            f"--name {name}: a name is made of a-z, A-Z, 0-9 and ._+-, is not node-catalogue, and does not end in .lock"
        )
    where = folder or SNAPSHOTS
    place = shelved(name, where) if name in snapshots_in(where) else Shelved(name, where)
    kept = _stays(place, frozen)
    changed = _changed(place, frozen, kept=kept)
    if changed and not replace:
        for change in changed:
            print_note(change)
        raise UsageError(
            f"there is a snapshot {name} in {where}, and this would change it",
            hint="--replace does so; --name makes another",
        )
    files = write(frozen, place, keep_snapshot=kept)
    if as_json:
        document = {"name": name, "files": [str(each) for each in files], "changes": changed}
        print_json(document | {"warnings": frozen.warnings, "lock": frozen.lock.model_dump(mode="json")})
        return
    for warning in frozen.warnings:
        print_note(f"warning: {warning}")
    for change in changed:
        print_note(change)
    for name_, pack in frozen.lock.packs.items():
        origin = pack.commit[:12] if pack.commit else pack.version or "?"
        count = len(pack.classes)
        print_line(f"{name_}  {origin}  {count} class{'' if count == 1 else 'es'}")
    for path in files:
        print_note(f"wrote {path}")
    if kept:
        print_note(f"{place.file.name} was there and asks for all that can be restored: it stays as it is")


def verify(
    name: str | None,
    *,
    url: str | None,
    home: Path | None,
    python: Path | None,
    arguments: tuple[str, ...],
    folder: Path | None,
    as_json: bool,
) -> None:
    """Compare what a ComfyUI provides with a snapshot's lock; the status is 1 where something is missing.

    Args:
        name: of the snapshot; by default that of SNAPSHOT, or the only one.
        url: of a ComfyUI that runs.
        home: of one that is started for this, on the CPU where there is no GPU, and ended. Without both, the one
            that COMFY_URL or COMFY_HOME names.
        python: that it is run with; by default COMFY_PYTHON, or as it is found.
        arguments: more of ComfyUI's; by default COMFY_ARGS.
        folder: of the snapshots; `snapshots/` by default.
        as_json: print one document.

    Raises:
        UsageError: there is no such snapshot, or no ComfyUI is named.
        ComfyUnavailable: it does not answer, or does not start.
    """
    place = chosen(name, folder)
    settings = load_settings()
    if not (url or home):
        url, home = settings.only_comfy_url, settings.comfy_home
    if url:
        live = _of_url(url)
    elif home:
        live = _of_home(home, python or settings.comfy_python, arguments or settings.comfy_args)
    else:
        raise UsageError("say which ComfyUI: --from URL or --home DIR, or set COMFY_URL or COMFY_HOME")
    missing, known = _compared(place, live)
    ok = not (missing or live.failures)
    if as_json:
        failures = [asdict(each) for each in live.failures]
        print_json(
            {"snapshot": place.name, "ok": ok, "differences": missing, "import_failures": failures, "notes": known}
        )
    else:
        version, packs = live.lock.comfyui.version, len(live.lock.packs)
        print_line(f"{'ok' if ok else 'FAILED':<7} {place.name}  (ComfyUI {version}, {packs} packs)")
        for line in missing:
            print_line(f"        {line}")
        for failure in live.failures:
            print_line(f"        {failure.pack} can't be imported: {failure.error or 'ComfyUI does not say why'}")
            for line in failure.traceback.splitlines():
                print_line(f"          {line}")
        for line in known:
            print_note(line)
    if not ok:
        raise SystemExit(1)


def chosen(name: str | None, folder: Path | None) -> Shelved:
    """The snapshot of that name, or else the one of SNAPSHOT, or else the only one.

    Raises:
        UsageError: there is none, or several.
    """
    where = folder or SNAPSHOTS
    name = name or load_settings().snapshot
    if name:
        return shelved(name, where)
    known = snapshots_in(where)
    if len(known) != 1:
        hint = "export one from ComfyUI-Manager into that folder, or make one: engine snapshot freeze --from URL"
        said = f"say which snapshot: {listed(known)}" if known else f"no snapshot is in {where}"
        raise UsageError(said, hint=None if known else hint)
    return shelved(next(iter(known)), where)


@dataclass(frozen=True, slots=True)
class _Live:
    """What a ComfyUI provides, and what it failed to import, where its log could be read."""

    lock: Lock
    of_folders: bool
    failures: list[ImportFailure] = field(default_factory=list)


def _compared(place: Shelved, live: _Live) -> tuple[list[str], list[str]]:
    """What is missing of a snapshot, and what is worth knowing besides."""
    if place.lock.is_file():
        wanted = read_lock(place.lock)
        known = notes(wanted, live.lock)
        known += [f"lock and snapshot are not of the same packs: {each}" for each in _disagreements(place, wanted)]
    else:
        wanted = wanted_by(read_snapshot(place.file), live.lock)
        known = [f"{place.name} has no lock, so its classes are not known; engine snapshot freeze makes one"]
    if not live.of_folders:
        # A pack that adds to the browser alone has no class by which it would be seen from here.
        silent = [name for name, pack in wanted.packs.items() if not pack.classes]
        if silent and place.lock.is_file():
            packs = {name: pack for name, pack in wanted.packs.items() if pack.classes}
            wanted = wanted.model_copy(update={"packs": packs})
            known.append(f"of packs without classes only their folders tell (--home): {listed(silent)}")
    source = "the lock" if place.lock.is_file() else "the snapshot"
    return differences(wanted, live.lock, source=source), known


def _disagreements(place: Shelved, lock: Lock) -> list[str]:
    return disagreements(read_snapshot(place.file), lock) if place.files else []


def _of_url(url: str) -> _Live:
    with _client(url) as client:
        return _Live(lock_of(client.object_info(), client.system_stats(), None), of_folders=False)


def _of_home(home: Path, python: Path | None, arguments: tuple[str, ...]) -> _Live:
    from engine.comfyui import ComfyProcess
    from engine.comfyui.import_failures import import_failures

    if not (home / "main.py").is_file():
        raise UsageError(f"--home {home}: there is no main.py, so no ComfyUI is installed there")
    cpu = () if "--cpu" in arguments or _has_gpu() else ("--cpu",)
    with tempfile.TemporaryDirectory(prefix="snapshot-") as folder:
        process = ComfyProcess(home, python=python, args=(*cpu, *arguments), log_file=Path(folder) / "comfyui.log")
        try:
            process.start()
        except ComfyUnavailable as error:
            print_note(error.detail or "")
            for failure in import_failures(process.log.printed()):
                print_note(f"{failure.pack} can't be imported: {failure.error}")
            raise
        with process, _client(process.url) as client:
            lock = lock_of(client.object_info(), client.system_stats(), home)
            return _Live(lock, of_folders=True, failures=import_failures(process.log.printed()))


def _has_gpu() -> bool:
    from engine.starting.gpu import Probe

    probe = Probe()
    try:
        probe.result()
    except ComfyUnavailable:
        return False
    return True


def _frozen(url: str, home: Path | None) -> Frozen:
    """What that ComfyUI is made of; `home` by default as COMFY_HOME says, where the URL is of this machine."""
    from engine.comfyui.connection import NoAnswer

    named_by = "--home"
    if home is None and urlsplit(url if "//" in url else f"http://{url}").hostname in _LOOPBACK:
        home, named_by = load_settings().comfy_home, "COMFY_HOME"
    if home and not (home / "main.py").is_file():
        raise UsageError(f"{named_by} {home}: there is no main.py, so no ComfyUI is installed there")
    with _client(url) as client:
        nodes, stats = client.node_catalogue(), client.system_stats()
        managers: dict[str, Any] | None = None
        try:
            managers = client.managers_snapshot()
        except NoAnswer as error:
            print_note(f"ComfyUI-Manager is not asked: {error.message}")
    frozen = freeze(nodes, stats, managers=managers, home=home)
    installed = release_of(home) if home else None
    if installed and installed != frozen.lock.comfyui.version:
        raise UsageError(
            f"{named_by} {home} is ComfyUI {installed}, and {url} is {frozen.lock.comfyui.version}, so it is another",
            hint="--home DIR names the folder of the one that runs there",
        )
    return frozen


@contextlib.contextmanager
def _client(url: str) -> Iterator[ComfyClient]:
    from engine.comfyui import ComfyClient

    with contextlib.closing(ComfyClient(url)) as client:
        yield client


def _stays(place: Shelved, frozen: Frozen) -> bool:
    """Whether a snapshot is there that asks for the packs that were found, as far as any can."""
    try:
        snapshot = read_snapshot(place.file) if place.files else None
    except InvalidMap:
        return False  # `_changed` tells it
    if snapshot is None:
        return False
    asked = parse_snapshot(frozen.snapshot, label="what was frozen").packs()
    return snapshot.packs() == asked or not disagreements(snapshot, frozen.lock)


def _changed(place: Shelved, frozen: Frozen, *, kept: bool) -> list[str]:
    """What writing it would change of what is there."""
    told: list[str] = []
    if place.files and not kept:
        try:
            wrong = disagreements(read_snapshot(place.file), frozen.lock)
            told += [f"{place.file.name} is of something else: {each}" for each in wrong]
        except InvalidMap as error:
            told.append(error.message)
    if place.nodes.is_file() and not place.lock.exists():
        told.append(f"{place.nodes.name} is there without a lock, so it is not known what it is of")
    if place.lock.exists():
        try:
            told += [f"{place.lock.name}: {each}" for each in changes(read_lock(place.lock), frozen.lock)]
        except InvalidMap as error:
            told.append(error.message)
    return told


def _of_another(place: Shelved, lock: Lock) -> list[str]:
    """What is wrong with the node catalogue of a snapshot; nothing where there is none."""
    from engine.nodes import load_catalogue

    try:
        version = load_catalogue(place.nodes).version if place.nodes.is_file() else lock.comfyui.version
    except InvalidMap as error:
        return [error.message]
    says = f"{place.nodes.name} is of ComfyUI {version}, the lock says {lock.comfyui.version}"
    return [] if version == lock.comfyui.version else [says]


def _line(place: Shelved) -> dict[str, Any]:
    """What is told of a snapshot."""
    line: dict[str, Any] = {
        "name": place.name,
        "file": place.files[0].name if place.files else None,
        "packs": [],
        "lock": "none: which classes its packs have is not known; engine snapshot freeze makes one",
        "nodes": place.nodes.is_file(),
        "problems": [],
    }
    if len(place.files) > 1:
        line["problems"].append(f"it is there twice, as {' and '.join(each.name for each in place.files)}; keep one")
    snapshot = None
    try:
        snapshot = read_snapshot(place.file) if place.files else None
        line["packs"] = sorted(snapshot.packs()) if snapshot else []
    except InvalidMap as error:
        line["problems"] += [str(each) for each in error.problems]
    if place.lock.is_file():
        try:
            lock = read_lock(place.lock)
        except InvalidMap as error:
            line["lock"] = "can't be read"
            line["problems"] += [str(each) for each in error.problems]
            return line
        classes = sum(len(pack.classes) for pack in lock.packs.values())
        line["lock"] = f"ComfyUI {lock.comfyui.version}, {len(lock.packs)} packs with {classes} classes"
        line["packs"] = sorted(lock.packs)
        line["problems"] += _of_another(place, lock)
        if snapshot:
            wrong = disagreements(snapshot, lock)
            line["lock"] += "" if wrong else "; it agrees with the snapshot"
            line["problems"] += wrong
    return line
