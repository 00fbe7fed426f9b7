"""What the parts of the queue share, and how a job ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, EngineError, ExecutionTimeout
from engine.local_queue.database import Database
from engine.local_queue.posts import Posts
from engine.local_queue.records import JobRecord, JobState, Submission
from engine.local_queue.store import Store
from engine.local_queue.watching import Watchers
from engine.replies import failure_reply


@dataclass(slots=True, eq=False)
class Running:
    """A job that a worker has.

    Attributes:
        record: as it stood when it was begun.
        submission: what was sent.
        expires_at: when it is given up, in seconds since 1970; None for never.
        until: when it has run for as long as it may, of `time.monotonic`; None for never.
        token: asks it to stop.
        progress: the latest.
        decided: it has ended for whoever asks; the worker only lets go of it.
        interrupted: it was asked to stop because the server ends.
    """

    record: JobRecord
    submission: Submission = field(repr=False)
    expires_at: float | None
    until: float | None
    token: CancellationToken = field(default_factory=CancellationToken)
    progress: Mapping[str, Any] | None = field(default=None, repr=False)
    decided: bool = False
    interrupted: bool = False


class State:
    """The lock, the tables and the jobs that run. Whoever calls a method holds the lock.

    Args:
        database: the file.
        most_kept: finished jobs that are remembered.

    Attributes:
        lock: of everything; may be taken again by the thread that has it.
        work: waited on by workers; told of what there may be to do.
        clock: likewise of the deadlines; `posting` of the webhooks; `idle` of whoever waits for the last job.
        running: the jobs that workers have.
        ending: no job is taken or begun any more.
    """

    def __init__(self, database: Database, most_kept: int) -> None:
        self.lock = threading.RLock()
        self.work = threading.Condition(self.lock)
        self.clock = threading.Condition(self.lock)
        self.posting = threading.Condition(self.lock)
        self.idle = threading.Condition(self.lock)
        self.database = database
        self.store = Store(database)
        self.posts = Posts(database)
        self.watchers = Watchers()
        self.running: dict[str, Running] = {}
        self.ending = False
        self._most_kept = most_kept

    def record(self, job_id: str) -> JobRecord:
        """A job as it stands.

        Raises:
            UnknownJob: there is none.
        """
        return self.with_progress(self.store.record(job_id))

    def with_progress(self, record: JobRecord) -> JobRecord:
        """A record with how far the job is."""
        running = self.running.get(record.id)
        if running is None or running.decided or running.progress is None:
            return record
        return replace(record, progress=running.progress)

    def tell(self, job_id: str) -> None:
        """Tell those who watch a job how it stands; on disk it stands so already."""
        if self.watchers.watched(job_id):
            self.watchers.tell(self.record(job_id))

    def end(self, job_id: str, state: JobState, reply: dict[str, Any] | None = None) -> None:
        """End a job for good: on disk first, then everybody is told.

        Raises:
            EngineError: the disk can't be written to; the job goes on as it was.
            TypeError: the reply is not of JSON's types.
            ValueError: likewise.
        """
        self._end_all([job_id], state, reply)

    def cancel_all(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs that wait: all, or none where the disk can't be written to.

        Raises:
            EngineError: as `end`.
        """
        self._end_all(job_ids, JobState.CANCELLED, None)

    def cancel(self, job_id: str) -> None:
        """Cancel a job that waits or runs.

        Raises:
            EngineError: as `end`.
        """
        self._stop(job_id, JobState.CANCELLED, Cancelled("the job was cancelled"))

    def time_out(self, job_id: str, seconds: float | None, what: str) -> None:
        """Give up a job whose time is over.

        Args:
            job_id: the job.
            seconds: that it had.
            what: was bounded, for people.

        Raises:
            EngineError: as `end`.
        """
        bound = f"the {seconds:g} s that" if seconds is not None else "the time that"
        message = f"the job {what} longer than {bound} its policy allows"
        error = ExecutionTimeout(message, hint="send it again with a longer policy, or when fewer jobs wait")
        self._stop(job_id, JobState.TIMED_OUT, error)

    def _end_all(self, job_ids: Sequence[str], state: JobState, reply: dict[str, Any] | None) -> None:
        now = time.time()
        with self.database.transaction():
            for job_id in job_ids:
                self.store.end(job_id, state, reply, now)
            watched = [self.store.record(job_id) for job_id in job_ids if self.watchers.watched(job_id)]
            self.store.forget_all_but(self._most_kept)  # these among them, where many end at once
        self.database.scrub()
        for job_id in job_ids:
            if running := self.running.get(job_id):
                running.decided = True
        for record in watched:
            self.watchers.tell(record)
        self.posting.notify_all()
        self.clock.notify_all()

    def _stop(self, job_id: str, state: JobState, why: EngineError) -> None:
        self.end(job_id, state, failure_reply(why) if state is JobState.TIMED_OUT else None)
        if running := self.running.get(job_id):
            running.token.cancel(Cancelled(why.message))
