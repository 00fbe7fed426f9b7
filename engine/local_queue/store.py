"""The table of the jobs. Whoever calls holds the queue's lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.local_queue.database import Database
from engine.local_queue.problems import UnknownJob
from engine.local_queue.records import JobRecord, JobState, StoredFile, Submission
from engine.local_queue.shown import searchable, shown_of

_TOTALS = {JobState.COMPLETED: "completed", JobState.FAILED: "failed", JobState.TIMED_OUT: "failed"}

_RECORD = (
    "SELECT *, CASE state WHEN 'IN_QUEUE' THEN (SELECT COUNT(*) FROM jobs AS before WHERE before.state = 'IN_QUEUE'"
    " AND before.seq < jobs.seq) END AS position FROM jobs"
)

# The states stand in the texts, since SQLite uses an index of some rows alone only where it sees that it may.
_HOW_MANY = {
    JobState.IN_QUEUE: "SELECT COUNT(*) FROM jobs WHERE state = 'IN_QUEUE'",
    JobState.IN_PROGRESS: "SELECT COUNT(*) FROM jobs WHERE state = 'IN_PROGRESS'",
}

_FORGET = (
    "DELETE FROM jobs WHERE id = ?",
    "DELETE FROM requests WHERE job_id = ?",
    "DELETE FROM files WHERE job_id = ?",
    "DELETE FROM webhooks WHERE job_id = ?",
)


class Store:
    """The jobs. The order in which they came is the order of `seq`: one that is put back is first again by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def add(self, job_id: str, submission: Submission, now: float) -> None:
        """Take a job."""
        shown, shortened = shown_of(submission.input)
        payload = shown.get("payload") if isinstance(shown, dict) else shown
        expires_at = None if submission.lifetime_seconds is None else now + submission.lifetime_seconds
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO jobs (id, state, workflow, shown, shortened, search, created_at, expires_at,"
                " execution_seconds) VALUES (?, 'IN_QUEUE', ?, ?, ?, ?, ?, ?, ?)",
                (
                    job_id,
                    _clean(submission.workflow),
                    json.dumps(shown),
                    shortened,
                    _clean(searchable(submission.workflow, payload)),
                    now,
                    expires_at,
                    submission.execution_seconds,
                ),
            )
            connection.execute("INSERT INTO requests VALUES (?, ?)", (job_id, json.dumps(asdict(submission))))

    def record(self, job_id: str) -> JobRecord:
        """A job as it stands, without its progress.

        Raises:
            UnknownJob: there is none.
        """
        row = self._connection.execute(f"{_RECORD} WHERE id = ?", (_clean(job_id),)).fetchone()
        if row is None:
            raise UnknownJob(f"there is no job {job_id[:100]}", hint="finished jobs are forgotten after a while")
        return _record(row)

    def take(self, now: float) -> tuple[JobRecord, Submission, float | None] | None:
        """Begin the next job: it, what was sent, and when it expires; None where none waits."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE state = 'IN_QUEUE' ORDER BY seq LIMIT 1").fetchone()
            if row is None:
                return None
            job_id = row["id"]
            connection.execute(
                "UPDATE jobs SET state = 'IN_PROGRESS', started_at = COALESCE(started_at, ?), attempts = attempts + 1"
                " WHERE id = ?",
                (now, job_id),
            )
            sent, expires_at = connection.execute(
                "SELECT submission, expires_at FROM requests JOIN jobs ON id = job_id WHERE id = ?", (job_id,)
            ).fetchone()
            return self.record(job_id), Submission(**json.loads(sent)), expires_at

    def put_back(self, job_id: str, *, handed_over: bool = False) -> None:
        """Have a job that runs wait again, before all that came after it."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'IN_QUEUE', handed_over = handed_over + ?"
                " WHERE id = ? AND state = 'IN_PROGRESS'",
                (handed_over, job_id),
            )

    def handed_over(self, job_id: str) -> bool:
        """Whether it was put back before because a ComfyUI did not answer."""
        row = self._connection.execute("SELECT handed_over FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return bool(row and row[0])

    def end(self, job_id: str, state: JobState, reply: dict[str, Any] | None, now: float) -> None:
        """End a job, for good; what only a job that has not ended needs is removed."""
        values = searchable(reply["values"]) if reply and isinstance(reply.get("values"), dict) else ""
        text = None if reply is None else json.dumps(reply, allow_nan=False)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, reply = ?, finished_at = ?, search = search || char(10) || ? WHERE id = ?",
                (state.value, text, now, _clean(values), job_id),
            )
            connection.execute("DELETE FROM requests WHERE job_id = ?", (job_id,))
            connection.execute("UPDATE webhooks SET due_at = ? WHERE job_id = ?", (now, job_id))
            if name := _TOTALS.get(state):
                self._count(name)

    def interrupted(self, most_crashes: int) -> list[str]:
        """Have those that ran when the server was killed wait again; gives those that ran too often for that."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE jobs SET crashes = crashes + 1 WHERE state = 'IN_PROGRESS'")
            given_up = connection.execute(
                "SELECT id FROM jobs WHERE state = 'IN_PROGRESS' AND crashes >= ? ORDER BY seq", (most_crashes,)
            ).fetchall()
            again = connection.execute(
                "UPDATE jobs SET state = 'IN_QUEUE' WHERE state = 'IN_PROGRESS' AND crashes < ?", (most_crashes,)
            )
            self._count("retried", again.rowcount)
            return [row["id"] for row in given_up]

    def waiting(self) -> list[str]:
        """The jobs that wait, in order."""
        return [row["id"] for row in self._connection.execute("SELECT id FROM jobs WHERE state = 'IN_QUEUE'")]

    def expired(self, now: float) -> list[str]:
        """Those that waited for longer than they may."""
        found = self._connection.execute("SELECT id FROM jobs WHERE state = 'IN_QUEUE' AND expires_at <= ?", (now,))
        return [row["id"] for row in found]

    def next_expiry(self) -> float | None:
        """When the next of those that wait expires."""
        (moment,) = self._connection.execute("SELECT MIN(expires_at) FROM jobs WHERE state = 'IN_QUEUE'").fetchone()
        return None if moment is None else float(moment)

    def how_many(self, state: JobState) -> int:
        """How many are in a state that is not final."""
        (count,) = self._connection.execute(_HOW_MANY[state]).fetchone()
        return int(count)

    def totals(self) -> dict[str, int]:
        """What has happened since the file was begun: completed, failed, retried."""
        return {row["name"]: row["count"] for row in self._connection.execute("SELECT * FROM totals")}

    def forget_all_but(self, most: int) -> None:
        """Forget those that ended first; not one whose webhook is still to be posted."""
        with self._database.transaction() as connection:
            old = connection.execute(
                "SELECT id FROM jobs WHERE finished_at IS NOT NULL AND id NOT IN (SELECT job_id FROM webhooks)"
                " ORDER BY finished_at DESC, seq DESC LIMIT -1 OFFSET ?",
                (most,),
            ).fetchall()
            for row in old:
                self.forget(row["id"])

    def forget(self, job_id: str) -> None:
        """Forget a job, its files' names and its webhook."""
        with self._database.transaction() as connection:
            for statement in _FORGET:
                connection.execute(statement, (job_id,))

    def add_file(self, job_id: str, path: Path, content_type: str) -> int:
        """Know of a file of a job; gives its number."""
        with self._database.transaction() as connection:
            self.record(job_id)
            (number,) = connection.execute("SELECT COUNT(*) FROM files WHERE job_id = ?", (job_id,)).fetchone()
            connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (job_id, number, str(path), content_type))
            return int(number)

    def files(self, job_id: str) -> list[StoredFile]:
        """The files of a job, by number."""
        rows = self._connection.execute("SELECT * FROM files WHERE job_id = ? ORDER BY number", (_clean(job_id),))
        return [StoredFile(row["number"], row["path"], row["content_type"]) for row in rows]

    def history(
        self, search: str, workflow: str, states: Sequence[JobState], before: int | None, limit: int
    ) -> tuple[list[JobRecord], int | None]:
        """Jobs, the newest first, and what the next page is before.

        `seq` only grows, so that a page stays the same however many jobs come in meanwhile.
        """
        conditions, values = ["1"], list[Any]()
        for word in _clean(search).casefold().split():
            conditions.append("search LIKE ? ESCAPE '\\'")
            values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
        if workflow:
            conditions.append("workflow = ?")
            values.append(_clean(workflow))
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values += [state.value for state in states]
        if before is not None:
            conditions.append("seq < ?")
            values.append(before)
        query = f"{_RECORD} WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"
        rows = self._connection.execute(query, (*values, limit + 1)).fetchall()
        more = len(rows) > limit
        rows = rows[:limit]
        return [_record(row) for row in rows], rows[-1]["seq"] if more and rows else None

    def _count(self, name: str, more: int = 1) -> None:
        self._connection.execute("UPDATE totals SET count = count + ? WHERE name = ?", (more, name))


def _clean(text: str) -> str:
    """A text without halves of characters, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode()


def _record(row: sqlite3.Row) -> JobRecord:
    return JobRecord(
        id=row["id"],
        state=JobState(row["state"]),
        workflow=row["workflow"],
        input=json.loads(row["shown"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        position=row["position"],
        reply=None if row["reply"] is None else json.loads(row["reply"]),
        attempts=row["attempts"],
        shortened=bool(row["shortened"]),
    )
