"""How a process ends, whatever hangs in it, and whichever threads are left."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from engine.logs import event

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Those by which a process is told to end."""
_CLOSE_SECONDS = 20.0
"""For ComfyUI to end (10 s, then it is killed) and connections to close; after it the process ends all the same."""


def end_on_signals() -> None:
    """Have signals end what the main thread does in the ordinary way, by SystemExit, until `Shutdown` takes over.

    A process without a handler is ended without closing anything, or, as the first one of a container, not at all.
    """
    for number in SIGNALS:
        signal.signal(number, _exit)


class _Outcome:
    """How a block ended.

    Attributes:
        status: what Python ends the process with after it; None before, and where an error goes on, for Python to tell.
    """

    def __init__(self) -> None:
        self.status: int | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.status = 0
        elif isinstance(error, SystemExit):
            self.status = error.code if isinstance(error.code, int) else int(error.code is not None)


@contextlib.contextmanager
def ending_in_time(close_seconds: float = _CLOSE_SECONDS) -> Iterator[None]:
    """Have the process end soon after the block, whatever hangs in what is closed then.

    So it is the innermost of what the worker opens. After the block signals change nothing more, and whatever closes
    has a while; then the process ends without it.

    Args:
        close_seconds: how long the process may take to end after the block.
    """
    outcome = _Outcome()
    try:
        with outcome:
            yield
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        timer = threading.Timer(close_seconds, _end_in_spite, [1 if outcome.status is None else outcome.status])
        timer.daemon = True
        timer.start()


@contextlib.contextmanager
def leaving_threads() -> Iterator[None]:
    """Have the process end as ever after the block, but for the threads that are left: they end with it.

    Python would go on to take itself down (`Py_FinalizeEx`), and until its version 3.14 it ends a daemon thread that
    asks for the interpreter meanwhile by unwinding the thread's stack. Where code compiled from Rust or C++ is on that,
    as pydantic's is while it calls a validator, the whole process aborts or crashes instead: a worker that did all
    that it was told to would seem to have failed. So this is the outermost of what decides the exit status.
    """
    outcome = _Outcome()

    def end() -> None:
        if outcome.status is not None:
            _end_now(outcome.status)

    atexit.register(end)  # what is registered first is called last
    with outcome:
        yield


def _exit(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def _end_in_spite(status: int) -> None:
    event(log, logging.ERROR, "something keeps the worker from ending; it ends without it")
    _end_now(status)


def _end_now(status: int) -> NoReturn:
    for child in multiprocessing.active_children():  # the SDK's heartbeat, which would go on
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there may be none, and it may be closed
            stream.flush()
    os._exit(status)  # ComfyUI is ended by Linux when its parent ends: see ComfyProcess
