"""From the media values of a payload to checked files."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from engine.cancellation import CancellationToken
from engine.errors import InputRejected, InputUnavailable, Problem
from engine.logs import carrying
from engine.media.buckets import Buckets
from engine.media.checking import Checked, Preparation, Received, check, preparation
from engine.media.opening import Opener
from engine.media.placing import placed
from engine.media.problems import MediaProblem, Passing, Rejected, TooLarge
from engine.media.references import Context, KeptFiles, Reference, interpret
from engine.media.sink import Sink
from engine.media.wanted import Wanted
from engine.media.watch import Watch
from engine.results import InputFile
from engine.settings import Settings

_AT_ONCE = 4

_Key = TypeVar("_Key")
_Made = TypeVar("_Made")


class MediaReader:
    """Reads what payloads refer to. One serves the process; it may be used from many threads.

    Args:
        settings: what may be fetched, from where, how large it may be and how long it may take.
        public: whether a URL's address and port may be connected to; by default the public internet, and everything
            where `allow_private_urls` is set.
        kept: files that were sent to this machine before, which values may name; None where there are none.

    Raises:
        SettingsError: the bucket for inputs is described wrongly.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        public: Callable[[str, int], bool] | None = None,
        kept: KeptFiles | None = None,
    ) -> None:
        self._kept = kept
        self._settings = settings
        self._buckets = Buckets(settings)
        self._opener = Opener(settings, self._buckets, public)

    def close(self) -> None:
        """Closes connections; a reader that is used again opens others."""
        self._buckets.close()

    def read(
        self,
        wanted: Sequence[Wanted],
        *,
        folder: Path,
        job_id: str,
        sent: Mapping[str, Any] | None = None,
        allow_files: bool = False,
        cancel: CancellationToken | None = None,
    ) -> dict[str, InputFile]:
        """Reads values into files and checks them, several at once.

        Values that refer to the same file are fetched once; those with the same bytes share a file, under several
        names where they give several. No value is ever echoed, since it may hold a secret.

        Args:
            wanted: the values.
            folder: where the files are put; made if need be.
            job_id: the job's id; it begins the files' names.
            sent: files sent along with the payload: name to base64, a data URI, a URL or an object with one.
            allow_files: whether values may name files of this machine; for the command line alone.
            cancel: ends it at once.

        Returns:
            The files by `Wanted.where`. Their types are told by their bytes, never by a name or a claim.

        Raises:
            InputRejected: a file, or the way it is named, is not what its parameter takes. All that is wrong with all
                parameters is said at once. No file is left then.
            InputUnavailable: the same, where nothing is wrong but that files can't be had; `retryable` where each may
                well be had later.
            Cancelled: the job was cancelled. No file is left then.
        """
        if not wanted:
            return {}
        folder.mkdir(parents=True, exist_ok=True)
        context = Context(sent or {}, allow_files, self._buckets.takes_names, self._buckets.takes_urls, self._kept)
        # Set when this thread is interrupted: it must not wait for fetches that nobody waits for.
        stop = CancellationToken()
        tokens = (stop, cancel) if cancel else (stop,)
        with (
            tempfile.TemporaryDirectory(prefix="receiving-", dir=folder) as staging,
            ThreadPoolExecutor(_AT_ONCE, "input") as pool,
            ExitStack() as interrupted,
        ):
            interrupted.callback(stop.cancel)
            reading = _Reading(self._settings, self._opener, Path(staging), tokens, pool)
            checked = reading.run(wanted, context)
            _raise_if_cancelled(tokens)
            reading.raise_problems(wanted)
            return placed(wanted, checked, reading.names, folder, job_id)

    def fetch_document(
        self,
        url: str,
        *,
        where: str,
        max_bytes: int,
        seconds: float = 30,
        cancel: CancellationToken | None = None,
    ) -> bytes:
        """Fetches a document by its http or https URL, under the same bounds of address as files.

        Args:
            url: where it is.
            where: the key of the request that holds it, for messages.
            max_bytes: the most it may have.
            seconds: the longest the fetch may take.
            cancel: ends it at once.

        Raises:
            InputRejected: the URL may not be fetched, or the document is too large.
            InputUnavailable: it can't be had; `retryable` where it may well be had later.
            Cancelled: the job was cancelled.
        """
        content = io.BytesIO()
        try:
            with Watch(seconds, (cancel,) if cancel else ()) as watch:
                self._opener.web.download(url.strip(), (), Sink(content, max_bytes), watch)
        except MediaProblem as problem:
            raise _as_error([(where, problem)]) from problem
        return content.getvalue()


class _Reading:
    """One call of `MediaReader.read`: the values, step by step, and what is wrong with each."""

    def __init__(
        self,
        settings: Settings,
        opener: Opener,
        staging: Path,
        tokens: tuple[CancellationToken, ...],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._opener = opener
        self._staging = staging
        self._tokens = tokens
        self._pool = pool
        self._problems: dict[str, MediaProblem] = {}
        self.names: dict[str, str] = {}
        """The files' own names, of those values that give one."""

    def run(self, wanted: Sequence[Wanted], context: Context) -> dict[str, tuple[Received, Checked]]:
        """The files by `Wanted.where`, of those that nothing is wrong with."""
        by_reference: dict[Reference, list[Wanted]] = {}
        for each in wanted:
            try:
                reference = interpret(each.value, context)
            except MediaProblem as problem:
                self._problems[each.where] = problem
                continue
            by_reference.setdefault(reference, []).append(each)
            if reference.filename:
                self.names[each.where] = reference.filename
        received = self._all_at_once(by_reference, self._receive)
        by_content: dict[tuple[str, Preparation], list[tuple[Wanted, Received]]] = {}
        for reference, fetched in received.items():
            for each in by_reference[reference]:
                file = replace(fetched, filename=self.names.get(each.where) or fetched.filename)
                try:
                    if file.size_bytes > self._max_bytes(each):
                        raise TooLarge(self._max_bytes(each))
                    key = (file.sha256, preparation(file, each.kind, each.bounds))
                except MediaProblem as problem:
                    self._problems[each.where] = problem
                else:
                    by_content.setdefault(key, []).append((each, file))
        in_groups = {key: [each for each, _ in group] for key, group in by_content.items()}
        sources = self._sources(by_content)
        checked = self._all_at_once(in_groups, lambda key, _: self._check(sources[key], key[1]))
        return {
            each.where: (file, checked[key])
            for key, group in by_content.items()
            if key in checked
            for each, file in group
        }

    def raise_problems(self, wanted: Sequence[Wanted]) -> None:
        """Says all that is wrong, in the order of the values."""
        found = [(each.where, self._problems[each.where]) for each in wanted if each.where in self._problems]
        if found:
            raise _as_error(found) from found[0][1]

    def _all_at_once(
        self, groups: Mapping[_Key, Sequence[Wanted]], make: Callable[[_Key, Sequence[Wanted]], _Made]
    ) -> dict[_Key, _Made]:
        """What is made of each key; a problem is one of all values of its group."""
        futures = {key: self._pool.submit(carrying(make), key, group) for key, group in groups.items()}
        made = {}
        for key, future in futures.items():
            try:
                made[key] = future.result()
            except MediaProblem as problem:
                for each in groups[key]:
                    is_length = isinstance(problem, TooLarge)
                    self._problems[each.where] = TooLarge(self._max_bytes(each)) if is_length else problem
        return made

    def _receive(self, reference: Reference, group: Sequence[Wanted]) -> Received:
        _raise_if_cancelled(self._tokens)
        handle, name = tempfile.mkstemp(dir=self._staging)
        with open(handle, "w+b") as file:  # noqa: PTH123 - a descriptor has no path
            sink = Sink(file, max(map(self._max_bytes, group)))
            filename = self._opener.receive(
                reference, sink, max(self._opener.seconds(each.kind) for each in group), self._tokens
            )
        return Received(Path(name), filename, sink.size_bytes, sink.sha256)

    def _sources(
        self, by_content: Mapping[tuple[str, Preparation], Sequence[tuple[Wanted, Received]]]
    ) -> dict[tuple[str, Preparation], Received]:
        """A file of its own for each group: a picture may be converted in its place."""
        sources: dict[tuple[str, Preparation], Received] = {}
        taken: set[Path] = set()
        for number, (key, group) in enumerate(by_content.items()):
            file = group[0][1]
            if file.path in taken:
                copy = file.path.with_name(f"{file.path.name}-{number}")
                shutil.copyfile(file.path, copy)
                file = Received(copy, file.filename, file.size_bytes, file.sha256)
            taken.add(file.path)
            sources[key] = file
        return sources

    def _check(self, file: Received, wanted: Preparation) -> Checked:
        _raise_if_cancelled(self._tokens)
        return check(file, wanted, self._settings.max_input_pixels, self._tokens)

    def _max_bytes(self, wanted: Wanted) -> int:
        operators = self._opener.max_bytes(wanted.kind)
        return operators if wanted.max_bytes is None else min(operators, wanted.max_bytes)


def _raise_if_cancelled(tokens: Iterable[CancellationToken]) -> None:
    for token in tokens:
        token.raise_if_cancelled()


def _as_error(found: Sequence[tuple[str, MediaProblem]]) -> InputRejected | InputUnavailable:
    rejected = any(isinstance(problem, Rejected) for _, problem in found)
    hints = dict.fromkeys(problem.hint for _, problem in found if problem.hint)
    details = [f"{where}: {problem.detail}" for where, problem in found if problem.detail]
    kind = InputRejected if rejected else InputUnavailable
    passing = all(isinstance(problem, Passing) for _, problem in found)
    return kind(
        problems=[Problem(where, problem.message) for where, problem in found],
        hint="; ".join(hints) or None,
        detail="\n".join(details) or None,
        retryable=passing or None,
    )
