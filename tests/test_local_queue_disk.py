"""The queue's threads, on a disk that fails for a while."""

import sqlite3

from support.local_queue import at_once, job

from engine.local_queue import JobState
from engine.local_queue.clock import Clock
from engine.local_queue.database import Database
from engine.local_queue.state import State
from engine.local_queue.store import Taken
from engine.local_queue.webhooks import Webhooks, status_document
from engine.local_queue.workers import Workers


def test_a_disk_that_could_not_be_read_for_a_while_ends_no_thread(tmp_path, caplog, wait_until):
    database = Database(tmp_path / "queue")
    state = State(database, most_kept=10)
    clock, webhooks = Clock(state), Webhooks(state, status_document, private=True)
    workers = Workers(state, [at_once])
    state.store.add("one", Taken.of(job("one")), 0.0)
    database.connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)  # SQLite's own way to have all reading fail
    for each in (clock, webhooks, workers):
        each.start()
    told = ("a job's deadline could not be kept", "the webhooks could not be read", "no job could be begun")
    wait_until(lambda: all(each in caplog.text for each in told))
    assert {each.fields["detail"] for each in caplog.records} == {"not authorized"}

    def over():
        with state.lock:
            state.work.notify_all()
            return state.record("one").state is JobState.COMPLETED

    with state.lock:
        database.connection.set_authorizer(None)
    wait_until(over)
    workers.stop(0)
    clock.close()
    webhooks.close()
    with state.lock:
        database.close()
