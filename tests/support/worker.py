"""The worker as RunPod starts it: `python handler.py` in a process of its own."""

import contextlib
import os
import subprocess
import sys

from support.workflows import ROOT


def worker_environment(comfy_url, **more):
    """What a worker's process sees; nothing of the machine's own settings but where programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    skips = {"RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true", "RUNPOD_SKIP_GPU_CHECK": "true"}
    # Each test's queue counts its jobs from 1: another's reply must not be taken for that of the same job.
    own = {"COMFY_URL": comfy_url, "JOURNAL_PATH": "off", "PYTHONUNBUFFERED": "1"}
    return {**kept, **skips, **own, **more}


@contextlib.contextmanager
def running_worker(environment, log_file):
    """A worker on a queue, until the block ends."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "handler.py")],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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
