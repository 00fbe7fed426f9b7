"""`engine run`."""

from __future__ import annotations

import base64
import contextlib
import itertools
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.backend import Backend
from engine.catalog import Catalog
from engine.comfy_contract import OnProgress
from engine.commands.folders import folders_of
from engine.commands.output import print_json, print_line, print_note, show_errors_of_the_log
from engine.commands.payloads import delivery_from, payload_from
from engine.environments.choosing import settings_of_own
from engine.job import Job
from engine.jobs import Runner
from engine.results import JobResult, Progress, StoredOutput
from engine.settings import load_settings
from engine.storage import Storages
from engine.storage.directory import file_name, next_name
from engine.verdicts import in_words


def run(
    name: str,
    parameters: Sequence[str],
    payload_file: Path | None,
    out: Path | None,
    delivery: Sequence[str] = (),
    version_id: str | None = None,
    retries: int | None = None,
    *,
    as_json: bool,
) -> None:
    """Run a workflow here and print where its results are.

    Args:
        name: of the workflow.
        parameters: each as `key=value`.
        payload_file: holds the payload, or more of it.
        out: the folder for the results.
        delivery: how they are wanted, each as `key=value`.
        version_id: the environment to run in.
        retries: how often a result that quality gates refuse may be made anew; left out, as the map says.
        as_json: print the result as JSON.
    """
    settings = settings_of_own(load_settings())
    show_errors_of_the_log()
    catalog = Catalog(folders_of(settings), only=settings.workflows)
    workflow = catalog[name]
    payload = payload_from(workflow, parameters, payload_file)
    wishes = delivery_from(delivery)
    if out is not None:
        settings = settings.model_copy(update={"output_folder": out, "storage": "directory"})
    with Backend(settings, catalog, simulate=True) as backend:
        runner = Runner(catalog, backend.comfy, Storages(settings, default="directory"), settings, backend)
        backend.callback(runner.close)
        job = Job(
            id=uuid.uuid4().hex[:12],
            workflow=name,
            payload=payload,
            prompt_id=str(uuid.uuid4()),
            allow_files=True,
            delivery=wishes,
            retries=retries,
        )
        bar = _progress_bar(workflow.title, shown=not as_json and sys.stderr.isatty())
        with runner.using(version_id), bar as on_progress:
            result = runner.run(job, on_progress=on_progress)
    if as_json:
        print_json(result.as_dict())
    else:
        _print_result(result, settings.output_folder)


def _print_result(result: JobResult, folder: Path) -> None:
    if result.quality and len(result.quality.tries) > 1:
        for each in result.quality.tries:
            seeds = ", ".join(f"{name} {value}" for name, value in each.values.items())
            verdict = in_words(each.failed) or "accepted"
            print_note(f"try {each.number} ({seeds}): {verdict}")
    for warning in result.warnings:
        print_note(f"warning: {warning}")
    shown = {key: value for key, value in result.values.items() if key == "seed"}
    seconds = result.timings["total"]
    print_note(f"{result.workflow}: done in {seconds:.1f} s" + "".join(f", {k} {v}" for k, v in shown.items()))
    for output in result.outputs:
        print_line(output.path or output.url or output.file.text or _saved(output, folder, result.workflow))


def _saved(output: StoredOutput, folder: Path, workflow: str) -> str:
    """The place of a result that came in the reply, as when the bucket is away: a terminal shows no base64."""
    if output.base64 is None:
        return output.uri or output.file.filename
    name = file_name(output.file.filename, workflow)
    target = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in itertools.count():
            target = folder / next_name(name, attempt)
            with contextlib.suppress(FileExistsError), target.open("xb") as file:
                file.write(base64.b64decode(output.base64))
                break
    except OSError as error:
        print_note(f"warning: {target} can't be written: {error.strerror}")
        return f"{output.file.filename}: in the JSON (--json)"
    return str(target)


@contextlib.contextmanager
def _progress_bar(title: str, *, shown: bool) -> Iterator[OnProgress | None]:
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[node]}"),
        TimeElapsedColumn(),
    ]
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=1.0, node="")

        def on_progress(progress: Progress) -> None:
            steps = f" {progress.step}/{progress.steps}" if progress.steps > 1 else ""
            steps += f" (try {progress.attempt})" if progress.attempt > 1 else ""
            bars.update(
                task, completed=progress.fraction, node=f"{progress.node_title or progress.node_class or ''}{steps}"
            )

        yield on_progress
