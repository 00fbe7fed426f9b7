"""One process at a time fetches a file; a lock outlives no crash, and no other machine's holder that still works."""

import json
import os
import signal
import subprocess
import sys

import pytest

from engine.models.locking import FileLock

HOLDER = """
import sys, time
from pathlib import Path
from engine.models.locking import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.readline()
lock.release()
print("let go", flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".model.lock"


@pytest.fixture
def holder(path):
    """Another process that holds it."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_one_of_two_has_it(path):
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert not second.acquire()
    assert (first.is_held(), second.is_held()) == (True, False)
    first.release()
    assert second.acquire()
    second.release()
    assert not path.exists()


def test_another_process_has_it_until_it_lets_go(path, holder):
    lock = FileLock(path, stale_seconds=3600)
    assert not lock.acquire()
    assert not lock.acquire()
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "let go\n"
    assert lock.acquire()
    lock.release()


def test_a_process_that_was_killed_locks_nobody_out(path, holder):
    lock = FileLock(path, stale_seconds=3600)
    assert not lock.acquire()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert path.exists()
    assert not lock.acquire()  # finds it left, and removes it
    assert lock.acquire()
    lock.release()


def of_another_machine(path):
    path.write_text(json.dumps({"machine": "another", "device": path.parent.stat().st_dev, "id": "x"}))


def test_a_lock_of_another_machine_that_nobody_touches_is_given_up(path, wait_until):
    of_another_machine(path)
    lock = FileLock(path, stale_seconds=0.05)
    assert not lock.acquire()
    wait_until(lock.acquire)
    assert lock.is_held()
    lock.release()


def test_a_lock_of_another_machine_that_is_touched_is_not(path):
    of_another_machine(path)
    lock = FileLock(path, stale_seconds=0)
    for at in range(1, 20):
        os.utime(path, (at, at))
        assert not lock.acquire()
    assert path.exists()


def test_a_lock_is_touched_while_it_is_held(path, wait_until):
    lock = FileLock(path, beat_seconds=0.01)
    lock.acquire()
    os.utime(path, (1, 1))
    wait_until(lambda: path.stat().st_mtime > 1)
    lock.release()


def test_who_was_asleep_finds_its_lock_gone_and_leaves_the_others(path):
    sleeper, other = FileLock(path), FileLock(path)
    sleeper.acquire()
    path.unlink()  # as another machine does after a minute without a touch
    assert other.acquire()
    assert not sleeper.is_held()
    sleeper.release()
    assert other.is_held()
    other.release()


def test_a_lock_without_a_holder_is_given_up(path, wait_until):
    path.touch()  # whoever made it was killed before it said who it is
    lock = FileLock(path, stale_seconds=0.05)
    wait_until(lock.acquire)
    lock.release()


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "gone" / "lock").acquire()


def test_what_can_never_be_a_lock_is_an_error_and_no_endless_wait(path):
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        FileLock(path).acquire()


def test_a_link_that_leads_nowhere_gives_way(path, tmp_path):
    path.symlink_to(tmp_path / "gone")
    lock = FileLock(path)
    assert not lock.acquire()
    assert lock.acquire()
    lock.release()
