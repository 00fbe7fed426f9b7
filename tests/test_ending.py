"""How a process ends: with the status that it meant, whatever hangs, and whichever threads are left."""

import signal
import subprocess
import sys

import pytest
from support.runpod_queue import serve_runpod_queue
from support.s3 import free_port
from support.worker import running_script, worker_environment
from support.workflows import ROOT


def run_script(script):
    arguments = [sys.executable, "-c", script]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("ending", "status"), [("pass", 0), ("raise SystemExit(3)", 3), ("raise SystemExit('why')", 1)]
)
def test_a_thread_that_never_ends_keeps_no_process_from_ending(ending, status):
    script = (
        "import threading\nfrom engine.ending import ending_in_time\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        f"with ending_in_time(0.2):\n    {ending}\n"
    )
    done = run_script(script)
    assert done.returncode == status
    assert "keeps the worker from ending" in done.stderr


def test_what_never_closes_keeps_no_process_from_ending():
    script = (
        "import contextlib, threading\nfrom engine.ending import ending_in_time\n"
        "with contextlib.ExitStack() as opened, ending_in_time(0.2):\n"
        "    opened.callback(threading.Event().wait)\n"
    )
    done = run_script(script)
    assert done.returncode == 0
    assert "keeps the worker from ending" in done.stderr


# A thread is amid pydantic when Python takes itself down, which takes a moment.
AMID_COMPILED_CODE = """
import atexit, sys, threading, time
from typing import Annotated
from pydantic import BeforeValidator, TypeAdapter

begun = threading.Event()

def never_ends(value):
    begun.set()
    while True:
        time.sleep(0.01)

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.3)

slow = Slow()
validate = TypeAdapter(Annotated[int, BeforeValidator(never_ends)]).validate_python
threading.Thread(target=validate, args=(1,), daemon=True).start()
begun.wait()
"""
LEFT = """
from engine.ending import leaving_threads
with leaving_threads():
    atexit.register(sys.stdout.write, "what is left to do is done")
    """


@pytest.mark.parametrize(
    ("ending", "status"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('why')", 1)],
)
def test_a_thread_amid_compiled_code_changes_nothing_about_the_end(ending, status):
    done = run_script(AMID_COMPILED_CODE + LEFT + ending)
    assert (done.returncode, done.stdout) == (status, "what is left to do is done")
    assert done.stderr.strip() == ("why" if status == 1 else "")


def test_an_error_ends_the_process_as_ever():
    done = run_script("from engine.ending import leaving_threads\nwith leaving_threads():\n    1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.fixture
def environment(comfy_url, tmp_path):
    """Of a process that keeps what it writes to itself."""
    own = {"API_FOLDER": str(tmp_path / "api"), "OUTPUT_FOLDER": str(tmp_path / "results")}
    return worker_environment(comfy_url, **own)


def test_what_a_worker_is_amid_changes_nothing_about_its_end(environment, tmp_path):
    script = f"{AMID_COMPILED_CODE}from engine.cli import worker\nworker([])"
    log = tmp_path / "log"
    with (
        serve_runpod_queue(hold_seconds=110) as queue,
        running_script(script, environment | queue.environment(), log) as process,
    ):
        queue.wait_asked(60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_what_the_local_server_is_amid_changes_nothing_about_its_end(environment, tmp_path, wait_until):
    command = f"sys.argv = ['engine', 'serve', '--port', '{free_port()}']"
    script = f"{AMID_COMPILED_CODE}from engine.cli import main\n{command}\nmain()"
    log = tmp_path / "log"
    with running_script(script, environment, log) as process:
        wait_until(lambda: "in a browser" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
