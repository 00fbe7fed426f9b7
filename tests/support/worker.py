"""The worker as RunPod starts it: `python handler.py` in a process of its own."""

import contextlib
import os
import subprocess
import sys

from support.processes import ended
from support.workflows import ROOT

# One that takes several jobs at once, on a ComfyUI that may say that it is worn out.
OWN_WORKER = """
import logging
import os
from engine import Catalog
from engine.comfyui import ComfyUI
from engine.draining import Shutdown
from engine.ending import ending_in_time, leaving_threads
from engine.intake import Bounds, Choice, Intake
from engine.jobs import Runner
from engine.reporting import post_to_runpod
from engine.settings import load_settings
from engine.storage import Storages
from engine.worker import Worker

class Worn(ComfyUI):
    worn_out = os.environ.get("WORN_OUT")

class Always(Intake):
    def choose(self, present):
        return Choice(int(os.environ.get("AT_ONCE", "1")), "the test says so")

logging.basicConfig()
settings = load_settings()
with leaving_threads(), Worn(settings.comfy_url) as comfy, ending_in_time():
    runner = Runner(Catalog(settings.workflows_path), lambda: comfy, Storages(settings, default="inline"), settings)
    shutdown = Shutdown(settings.drain_seconds, Always(Bounds()))
    shutdown.serve(Worker(runner, post_to_runpod(), shutdown=shutdown).handle)
    runner.close()
"""


def worker_environment(comfy_url, **more):
    """What a worker's process sees; nothing of the machine's own settings but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    skips = {"RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true", "RUNPOD_SKIP_GPU_CHECK": "true"}
    # Each test's queue counts its jobs from 1: another's reply must not be taken for that of the same job.
    own = {"COMFY_URL": comfy_url, "JOURNAL_PATH": "off", "PYTHONUNBUFFERED": "1"}
    return {**kept, **skips, **own, **more}


def running_worker(environment, log_file):
    """A worker on a queue, until the block ends."""
    return _running([str(ROOT / "handler.py")], environment, log_file)


def running_script(script, environment, log_file):
    """A worker of the test's own making, until the block ends."""
    return _running(["-c", script], environment, log_file)


@contextlib.contextmanager
def _running(arguments, environment, log_file):
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        with ended(process, 15):
            yield process


def run_handler(environment, *arguments):
    """`python handler.py ARGUMENTS`, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "handler.py"), *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
