"""What a line is about, kept beside the thread that writes it."""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

_ABOUT: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("about")
_SECRETS: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("secrets")

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """Every line written inside, by this thread, carries these fields; one inside another adds to it.

    ```python
    with about(job_id="job-1", workflow="txt2img"):
        log.warning("the history entry stays")  # … job_id=job-1 workflow=txt2img
    ```
    """
    added = {name: value for name, value in fields.items() if value is not None}
    token = _ABOUT.set({**subject(), **added})
    try:
        yield
    finally:
        _ABOUT.reset(token)


@contextlib.contextmanager
def hiding(*secrets: str) -> Iterator[None]:
    """No line written inside, by this thread, holds these values."""
    token = _SECRETS.set((*hidden(), *secrets))
    try:
        yield
    finally:
        _SECRETS.reset(token)


def carrying(function: Callable[P, T]) -> Callable[P, T]:
    """The function, so that its lines carry what this thread's do when another thread calls it.

    `pool.submit(carrying(work), …)`: a pool's threads begin with a context of their own.
    """
    here = contextvars.copy_context()

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        # A copy for each call: one context can't be entered by two threads at once.
        return here.copy().run(function, *args, **kwargs)

    return carried


def event(log: logging.Logger, level: int, message: str, *, exc_info: bool = False, **fields: Any) -> None:
    """Write one line: what happened, and the facts of it by name.

    Args:
        log: the module's logger.
        level: `logging.INFO` and so on.
        message: what happened, in the same words each time; what differs is in the fields.
        exc_info: add the traceback of the exception that is being handled.
        fields: numbers, texts, or anything JSON takes; those that are None are left out. `detail` is the one that may
            be long, such as a traceback.
    """
    kept = {name: value for name, value in fields.items() if value is not None}
    log.log(level, "%s", message, exc_info=exc_info, extra={"fields": kept}, stacklevel=2)


def subject() -> Mapping[str, str]:
    """What this thread's lines are about."""
    return _ABOUT.get({})


def hidden() -> tuple[str, ...]:
    """What this thread's lines must not hold."""
    return _SECRETS.get(())
