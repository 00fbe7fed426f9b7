"""Waiting for what comes to hold by itself."""

import time


def wait_until(holds):
    """Look at something until it holds; fail after half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)
