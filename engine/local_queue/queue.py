"""The queue, as the server sees it."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import ComfyUnavailable, EngineError, InvalidRequest
from engine.local_queue.answers import Answer
from engine.local_queue.clock import Clock
from engine.local_queue.database import Database
from engine.local_queue.problems import JobNotOver, QueueFull, UnknownJob
from engine.local_queue.records import Counts, JobRecord, JobState, StoredFile, Submission
from engine.local_queue.state import State
from engine.local_queue.store import Taken
from engine.local_queue.webhooks import DELAYS_SECONDS, Document, Webhooks, check_url, status_document
from engine.local_queue.workers import Workers
from engine.logs import event
from engine.replies import MOST_LEVELS, failure_reply, too_deep

log = logging.getLogger(__name__)

_MOST_CRASHES = 3
"""How often the server may be killed amid a job before the job counts as what kills it."""

_LONGEST_PAGE = 500


class LocalQueue:
    """Jobs, in the order they came: taken, kept on disk, run, and told of. Safe to use from several threads.

    A job is on disk when `submit` returns, and its end is on disk before anybody is told. When the process is killed,
    those that wait do so again at the next start, in the same order, and those that ran are run again, before all
    others; one that was running at three such ends is FAILED. A job that has ended never runs again.

    Args:
        folder: where it is kept; one process at a time has it.
        workers: one for each ComfyUI; each runs a job at a time.
        most_waiting: jobs that may wait.
        most_kept: finished jobs that are remembered. Of the others the files of results stay.
        document: what a webhook is sent of a job that has ended, given it and the submission's `base_url`; called
            with the queue locked, so it must be quick. By default the least of what RunPod's `/status` says.
        private_webhooks: webhooks may go to private addresses (ALLOW_PRIVATE_URLS, or a server for this machine alone).
        webhook_delays: seconds to wait after each try of a webhook that failed but the last.
        begin: run jobs from now on; else from `start` on.

    Raises:
        SettingsError: the folder can't be written to, or another process has it.
    """

    def __init__(
        self,
        folder: Path,
        workers: Sequence[Answer],
        *,
        most_waiting: int,
        most_kept: int,
        document: Document = status_document,
        private_webhooks: bool = False,
        webhook_delays: Sequence[float] = DELAYS_SECONDS,
        begin: bool = True,
    ) -> None:
        self._most_waiting = most_waiting
        self._private_webhooks = private_webhooks
        self._database = Database(folder)
        self._state = State(self._database, most_kept)
        self._closed = False
        self._begun = False
        try:
            with self._state.lock:
                self._recover()
        except BaseException:
            self._database.close()
            raise
        self._workers = Workers(self._state, workers)
        self._clock = Clock(self._state)
        self._webhooks = Webhooks(self._state, document, private=private_webhooks, delays_seconds=webhook_delays)
        if begin:
            self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to run jobs and to post webhooks; does nothing where that is so already."""
        with self._state.lock:
            if self._begun or self._state.ending:
                return
            self._begun = True
            self._clock.start()
            self._webhooks.start()
            self._workers.start()

    def submit(self, submission: Submission) -> JobRecord:
        """Take a job; it is on disk when this returns.

        Raises:
            QueueFull: too many wait.
            InvalidRequest: the webhook can't be posted to, or the input is nested too deeply or not JSON.
            ComfyUnavailable: the server ends.
            EngineError: the disk can't be written to.
        """
        if too_deep([submission.input, submission.s3_config]):
            raise InvalidRequest(f"the input is nested more than {MOST_LEVELS} levels deep")
        if submission.webhook is not None:
            check_url(submission.webhook, private=self._private_webhooks)
        try:
            taken = Taken.of(submission)
        except TypeError as error:
            raise InvalidRequest(f"the input is not JSON: {error}") from error
        job_id = str(uuid.uuid4())
        state = self._state
        with state.lock:
            if state.ending:
                raise ComfyUnavailable("the server ends", hint="send the job again")
            if state.store.how_many(JobState.IN_QUEUE) >= self._most_waiting:
                raise QueueFull(f"{self._most_waiting} jobs wait already", hint="send the job again in a while")
            with self._database.transaction():
                state.store.add(job_id, taken, time.time())
                if submission.webhook is not None:
                    state.posts.add(job_id, submission.webhook, submission.base_url)
            state.work.notify_all()  # of one alone, that may be a worker that pauses
            if submission.lifetime_seconds is not None:
                state.clock.notify_all()
            return state.record(job_id)

    def get(self, job_id: str) -> JobRecord:
        """How a job stands.

        Raises:
            UnknownJob: there is none of that id.
        """
        with self._state.lock:
            return self._state.record(job_id)

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job; one that has ended stays as it is.

        One that runs is CANCELLED at once, and its ComfyUI lets go of it soon.

        Raises:
            UnknownJob: there is none of that id.
            EngineError: the disk can't be written to.
        """
        with self._state.lock:
            if not self._state.record(job_id).state.final:
                self._state.cancel(job_id)
            return self._state.record(job_id)

    def purge(self) -> int:
        """Cancel all that wait; gives how many."""
        with self._state.lock:
            waiting = self._state.store.waiting()
            self._state.cancel_all(waiting)
            return len(waiting)

    def counts(self) -> Counts:
        """How the queue stands."""
        with self._state.lock:
            store = self._state.store
            return Counts(
                waiting=store.how_many(JobState.IN_QUEUE),
                running=store.how_many(JobState.IN_PROGRESS),
                **store.totals(),
                workers=len(self._workers),
                ready=self._workers.ready(),
            )

    def history(
        self,
        *,
        search: str = "",
        workflow: str = "",
        states: Sequence[JobState] = (),
        before: str = "",
        limit: int = 50,
    ) -> tuple[list[JobRecord], str | None]:
        """Jobs, the newest first.

        Args:
            search: words that its workflow's name, its input or its values hold, in any case.
            workflow: its name.
            states: any of these; empty for all.
            before: from the answer before, to go on.
            limit: at most so many, and never more than 500.

        Returns:
            The jobs, and what to go on with; None where there are no more.

        Raises:
            InvalidRequest: `before` is not from an answer.
        """
        if before and not (before.isascii() and before.isdecimal() and len(before) < 19):
            raise InvalidRequest("before: must be what an answer gave as next")
        page = max(1, min(limit, _LONGEST_PAGE))
        with self._state.lock:
            newest = int(before) if before else None
            found, following = self._state.store.history(search, workflow, states, newest, page)
            records = [self._state.with_progress(record) for record in found]
        return records, None if following is None else str(following)

    def forget(self, job_id: str) -> None:
        """Drop a job that has ended, with its files, and its webhook where that is not posted yet.

        Raises:
            UnknownJob: there is none of that id.
            JobNotOver: it waits or runs.
            EngineError: the disk can't be written to.
        """
        with self._state.lock:
            state = self._state.record(job_id).state
            if not state.final:
                raise JobNotOver(f"the job is {state.value}", hint="cancel it first")
            for file in self._state.store.files(job_id):
                try:
                    Path(file.path).unlink(missing_ok=True)
                except OSError as error:
                    event(log, logging.WARNING, "a result stays", job_id=job_id, path=file.path, reason=error.strerror)
            self._state.store.forget(job_id)
            self._database.scrub()

    def watch(self, job_id: str, on_change: Callable[[JobRecord], None]) -> AbstractContextManager[JobRecord]:
        """Be told of each change of a job, progress included, within the block; from any thread, in order.

        One thread tells all who watch, so `on_change` must be quick. Who is slow is told of the latest progress alone,
        and of every state. Changes of the position alone are not told.

        Returns:
            How it stands at the start.

        Raises:
            UnknownJob: there is none of that id; when the block begins.
        """
        return self._watch(job_id, on_change)

    @contextlib.contextmanager
    def _watch(self, job_id: str, on_change: Callable[[JobRecord], None]) -> Iterator[JobRecord]:
        with self._state.lock:
            start = self._state.record(job_id)
            watch = self._state.watchers.add(job_id, on_change)
        try:
            yield start
        finally:
            self._state.watchers.remove(job_id, watch)

    def keep_file(self, job_id: str, path: Path, content_type: str) -> int:
        """Know of a result of a job that runs; gives its number among the job's.

        Raises:
            UnknownJob: there is none of that id.
            EngineError: the disk can't be written to.
        """
        with self._state.lock:
            return self._state.store.add_file(job_id, path, content_type)

    def file(self, job_id: str, number: int) -> StoredFile:
        """A result of a job.

        Raises:
            UnknownJob: there is no such job or file.
        """
        with self._state.lock:
            for file in self._state.store.files(job_id):
                if file.number == number:
                    return file
        raise UnknownJob("there is no such file", hint="files are forgotten with their jobs")

    def close(self) -> None:
        """Take no more and let go of the disk; jobs that run were seen to before (`stop`), or wait again."""
        with self._state.lock:
            if self._closed:
                return
            self._closed = True
        self._workers.stop(0)
        self._clock.close()
        self._webhooks.close()
        self._state.watchers.close()
        with self._state.lock:
            self._database.close()

    def stop(self, drain_seconds: float) -> None:
        """End: jobs that run may finish for so long, then they are interrupted and wait again for the next start.

        Nothing is taken from now on. What is there can be asked for until `close`. Called again, as at a second signal,
        the shorter of the times counts.
        """
        self._workers.stop(drain_seconds)

    def _recover(self) -> None:
        """See to the jobs that ran when the process before this one was killed."""
        given_up = self._state.store.interrupted(_MOST_CRASHES)
        for job_id in given_up:
            error = EngineError(
                f"the server ended {_MOST_CRASHES} times while this job ran, so it is not tried again",
                hint="it may take more memory than there is: ask for fewer or smaller results",
            )
            self._state.end(job_id, JobState.FAILED, failure_reply(error))
