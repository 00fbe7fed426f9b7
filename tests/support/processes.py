"""Processes that end with a block."""

import contextlib
import subprocess


@contextlib.contextmanager
def ended(process, seconds):
    """Have a process, until the block ends: it is told to end then, and killed where it takes longer than that."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
