"""The table of the webhooks that are still to be posted. Whoever calls holds the queue's lock."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from engine.local_queue.database import Database


@dataclass(frozen=True, slots=True)
class Post:
    """A webhook whose job has ended.

    Attributes:
        job_id: the job.
        url: where it goes.
        base_url: what links in it begin with.
        tries: how often it was tried.
    """

    job_id: str
    url: str = field(repr=False)
    base_url: str
    tries: int


class Posts:
    """The webhooks. One is due from when its job has ended, and gone once it is posted or given up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connection

    def add(self, job_id: str, url: str, base_url: str) -> None:
        """Know of a job's webhook."""
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO webhooks (job_id, url, base_url) VALUES (?, ?, ?)", (job_id, url, base_url))

    def due(self, now: float, but: Collection[str]) -> Post | None:
        """The one that is due for longest, but for those of some jobs."""
        rows = self._connection.execute("SELECT * FROM webhooks WHERE due_at <= ? ORDER BY due_at", (now,))
        for row in rows:
            if row["job_id"] not in but:
                return Post(row["job_id"], row["url"], row["base_url"], row["tries"])
        return None

    def next_due(self, but: Collection[str]) -> float | None:
        """When the next is due, but for those of some jobs."""
        rows = self._connection.execute("SELECT job_id, due_at FROM webhooks WHERE due_at IS NOT NULL ORDER BY due_at")
        return next((float(row["due_at"]) for row in rows if row["job_id"] not in but), None)

    def done(self, job_id: str) -> None:
        """Forget it: it was posted, or given up."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM webhooks WHERE job_id = ?", (job_id,))
        self._database.scrub()

    def again(self, job_id: str, due_at: float) -> None:
        """Try it again later."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE webhooks SET tries = tries + 1, due_at = ? WHERE job_id = ?", (due_at, job_id))
