"""`engine models`: which model files the workflows need, what of them is there, and how the rest is had."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import in_capitals
from engine.catalog import Catalog, Entry
from engine.commands.folders import folders_of, offered_workflows
from engine.commands.models_progress import shown
from engine.commands.output import print_json, print_line, print_note
from engine.environments.choosing import settings_of_own
from engine.errors import StorageError, UnknownWorkflow, UsageError
from engine.model_folders import folder_for_new, model_folders
from engine.models.hub_caches import hub_caches
from engine.models.presence import cached_file, place_of, sha256_of
from engine.models.required import MOST_UNNAMED, RequiredModel, required_models
from engine.models.space import size_text
from engine.settings import Settings, load_settings
from engine.wording import listed

if TYPE_CHECKING:
    from engine.models.fetching import Fetched


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the commands work on."""

    settings: Settings
    models: list[RequiredModel]
    broken: list[Entry]
    names: list[str]
    folders: list[Path]
    caches: list[Path]


def show(names: Sequence[str], *, as_json: bool) -> None:
    """Print every model that the workflows need: its size, who needs it, and where it is.

    Args:
        names: of the workflows; where there are none, those that are offered (WORKFLOWS).
        as_json: print one document.
    """
    wanted = _wanted(names)
    lines = [_line(model, wanted) for model in wanted.models]
    if as_json:
        _tell_broken(wanted)
        print_json(
            {
                "models": lines,
                "folders": [str(folder) for folder in wanted.folders],
                "broken_workflows": [entry.source.name for entry in wanted.broken],
            }
        )
        return
    for line in lines:
        size = line["size_bytes"]
        print_line(f"{line['status']:<8} {line['path']}  {size_text(size) if size else 'of unknown size'}")
        print_line(f"         for {listed(line['workflows'])}")
        print_line(f"         {_where(line)}")
        if line["status"] == "there" and line["problem"]:
            print_line(f"         {line['problem']}")
    _tell_broken(wanted)
    print_note(_counts(lines, wanted))


def verify(names: Sequence[str], *, as_json: bool) -> None:
    """Read the models that are there, and compare size and sha256; the status is 1 where one is wrong or missing.

    Args:
        names: of the workflows; where there are none, those that are offered (WORKFLOWS).
        as_json: print one document.
    """
    wanted = _wanted(names)
    with shown() as watcher:
        lines = [_verified(model, wanted, watcher) for model in wanted.models]
    failed = [line for line in lines if line["status"] in ("wrong", "missing")]
    if as_json:
        _tell_broken(wanted)
        broken = [entry.source.name for entry in wanted.broken]
        print_json({"models": lines, "ok": not (failed or broken), "broken_workflows": broken})
    else:
        for line in lines:
            print_line(f"{line['status'].upper() if line in failed else line['status']:<8} {line['path']}")
            for text in filter(None, (line["file"], line["message"])):
                print_line(f"         {text}")
        _tell_broken(wanted)
        right = len(lines) - len(failed)
        unhashed = sum(line["status"] == "no hash" for line in lines)
        more = f", of {unhashed} of them no map has a sha256" if unhashed else ""
        print_note(f"{right} of {_models(len(lines))} as the maps say{more}")
    if failed or wanted.broken:
        raise SystemExit(1)


def fetch(names: Sequence[str], into: Path | None, *, everything: bool = False, as_json: bool) -> None:
    """Fetch what is missing; the status is 1 where something can't be had. The rest is fetched all the same.

    Args:
        names: of the workflows; where there are none, those that are offered (WORKFLOWS).
        into: like ComfyUI's `models/`; by default MODELS_DIR, the volume's or COMFY_HOME's.
        everything: of however many workflows, where neither these nor WORKFLOWS name any.
        as_json: print one document.

    Raises:
        UsageError: there is no place to put them; or nobody said which of many workflows are meant.
        StorageError: that place can't be made.
    """
    from engine.models.fetching import Fetcher
    from engine.models.sites import Sites

    wanted = _wanted(names)
    settings = wanted.settings
    if not (names or everything or settings.workflows) and len(wanted.names) > MOST_UNNAMED:
        raise UsageError(
            f"nothing was fetched: {_counts([_line(model, wanted) for model in wanted.models], wanted)}",
            hint="name the workflows whose models are wanted, or say --all; engine models list tells of each file",
        )
    place = into or folder_for_new(settings)
    if place is None:
        raise UsageError("there is no folder for models: name one with --into DIR, or set MODELS_DIR or COMFY_HOME")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {place} can't be made: {error.strerror}", retryable=False) from error
    with shown((lambda _: None) if as_json else _print_success) as watcher:
        done = Fetcher(
            folders=wanted.folders,
            into=place.absolute(),
            sites=Sites(settings.hf_token, settings.civitai_token, **_endpoint(settings)),
            watcher=watcher,
            caches=wanted.caches,
            contained=into is not None,
        ).fetch(wanted.models)
    failed = [each for each in done if each.outcome == "failed"]
    if as_json:
        _tell_broken(wanted)
        broken = [entry.source.name for entry in wanted.broken]
        lines = [_fetched_line(each) for each in done]
        print_json({"models": lines, "ok": not (failed or broken), "broken_workflows": broken})
    else:
        for each in failed:  # at the end of a long log, where they are seen
            _print_fetched(each)
        _tell_broken(wanted)
        there = len(done) - len(failed)
        print_note(f"{there} of {_models(len(done))} there" + (f", {len(failed)} failed" if failed else ""))
    if failed or wanted.broken:
        raise SystemExit(1)


def _wanted(names: Sequence[str]) -> _Wanted:
    # What the worker itself would use: it finds its ComfyUI, its volume and the workflows there where none is named.
    from engine.starting.places import find_all

    settings = settings_of_own(load_settings(find_all(in_capitals(os.environ))))
    # Whoever names one means it, offered or not.
    catalog = Catalog(folders_of(settings), only=() if names else offered_workflows())
    for name in names:
        try:
            if name not in catalog:
                catalog[name]  # says so, with the nearest name
        except UnknownWorkflow as error:
            raise UsageError(error.message, hint=error.hint) from error
    entries = list(catalog.entries(names or None))
    workflows = [entry.workflow for entry in entries if entry.workflow]
    return _Wanted(
        settings,
        required_models(workflows),
        [entry for entry in entries if entry.error],
        [entry.source.name for entry in entries],
        model_folders(settings),
        hub_caches(os.environ, settings.volume_path),
    )


def _endpoint(settings: Settings) -> dict[str, str]:
    return {"hf_endpoint": settings.hf_endpoint} if settings.hf_endpoint else {}


def _line(model: RequiredModel, wanted: _Wanted) -> dict[str, Any]:
    place = place_of(model, wanted.folders)
    cached = None if place else cached_file(model, wanted.caches)
    file = place or cached
    size = file.stat().st_size if file else None
    why_not = model.conflict or ("" if model.url else "no map names a url for it")
    is_other = place and model.size_bytes is not None and size != model.size_bytes
    wrong = f"it has {size} bytes, the map says {model.size_bytes}" if is_other else ""
    return {
        "path": model.path,
        "status": "there" if place else "cached" if cached else "missing",
        "file": str(file) if file else None,
        "size_bytes": size if size is not None else model.size_bytes,
        "workflows": list(model.workflows),
        "url": model.url,
        "sha256": model.sha256,
        "source": model.source,
        "fetchable": not why_not,
        "problem": wrong if place else why_not,
    }


def _where(line: dict[str, Any]) -> str:
    if line["status"] == "there":
        return str(line["file"])
    if line["status"] == "cached":
        return f"in Hugging Face's cache: {line['file']}"
    return f"can't be fetched: {line['problem']}" if line["problem"] else f"from {line['url']}"


def _counts(lines: list[dict[str, Any]], wanted: _Wanted) -> str:
    there = [line for line in lines if line["status"] != "missing"]
    missing = [line for line in lines if line["status"] == "missing"]
    fetchable = [line for line in missing if line["fetchable"]]
    known = sum(line["size_bytes"] or 0 for line in fetchable)
    workflows = "1 workflow" if len(wanted.names) == 1 else f"{len(wanted.names)} workflows"
    text = f"{_models(len(lines))} of {workflows}: {len(there)} there"
    if missing:
        unknown = sum(line["size_bytes"] is None for line in fetchable)
        more = f" and {unknown} of unknown size" if unknown else ""
        size = (
            f" ({size_text(known)}{more})" if known else " (of unknown size)" if len(fetchable) > MOST_UNNAMED else ""
        )
        text += f", {len(missing)} missing; engine models fetch can get {len(fetchable)}{size}"
    return text


def _verified(model: RequiredModel, wanted: _Wanted, watcher: Any) -> dict[str, Any]:
    from engine.cancellation import CancellationToken
    from engine.models.fetching import Fetched as Done

    place = place_of(model, wanted.folders)
    line: dict[str, Any] = {"path": model.path, "status": "missing", "file": str(place) if place else None}
    line |= {"workflows": list(model.workflows), "size_bytes": None, "sha256": None, "message": model.conflict}
    if place is None:
        remedy = "engine models fetch gets it" if model.url else "no map names a url for it"
        return line | {"message": model.conflict or remedy}
    try:
        size = place.stat().st_size
        line["size_bytes"] = size
        if model.size_bytes is not None and size != model.size_bytes:
            return line | {"status": "wrong", "message": f"it has {size} bytes, the map says {model.size_bytes}"}
        found = sha256_of(place, CancellationToken(), lambda done: watcher.moved(model.path, done, size))
    except OSError as error:
        return line | {"status": "wrong", "message": f"it can't be read: {error.strerror}"}
    finally:
        watcher.ended(Done(model, "there"))
    line["sha256"] = found
    if model.conflict:
        return line | {"status": "wrong"}
    if model.sha256 is None:
        return line | {"status": "no hash", "message": f"no map has its sha256; that of the file is {found}"}
    if found != model.sha256:
        return line | {"status": "wrong", "message": f"its sha256 is {found}, the map says {model.sha256}"}
    return line | {"status": "ok"}


def _fetched_line(fetched: Fetched) -> dict[str, Any]:
    return {
        "path": fetched.model.path,
        "status": fetched.outcome,
        "file": str(fetched.file) if fetched.file else None,
        "size_bytes": fetched.size_bytes,
        "sha256": fetched.sha256,
        "workflows": list(fetched.model.workflows),
        "message": fetched.message,
        "hint": fetched.hint,
    }


def _print_success(fetched: Fetched) -> None:
    if fetched.outcome != "failed":
        _print_fetched(fetched)
        sys.stdout.flush()


def _print_fetched(fetched: Fetched) -> None:
    failed = fetched.outcome == "failed"
    size = f"  {size_text(fetched.size_bytes)}" if fetched.size_bytes is not None else ""
    print_line(f"{'FAILED' if failed else fetched.outcome:<8} {fetched.model.path}{size}")
    if failed:
        print_line(f"         for {listed(fetched.model.workflows)}")
    for text in filter(None, (fetched.message, fetched.hint)):
        print_line(f"         {text}")
    if fetched.outcome == "fetched" and fetched.model.sha256 is None:
        print_line(f"         no map has its sha256; that of the file is {fetched.sha256}")


def _tell_broken(wanted: _Wanted) -> None:
    for entry in wanted.broken:
        print_note(f"{entry.source.name} is broken, so its models are not known:")
        for problem in entry.as_dict()["problems"]:
            print_note(f"  {problem}")


def _models(count: int) -> str:
    return f"{count} model" if count == 1 else f"{count} models"
