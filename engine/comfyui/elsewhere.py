"""A ComfyUI that others started, and whether one answers at all."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from engine.cancellation import CancellationToken
from engine.comfyui.client import ComfyClient
from engine.comfyui.watch import Crash
from engine.errors import ComfyUnavailable

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_ASK_SECONDS, _LEAST_ASK_SECONDS = 2.0, 0.25


class Elsewhere:
    """A ComfyUI that others started: it can be waited for and no more.

    Args:
        url: where it answers.
        wait_seconds: how long to wait for it where it does not.
    """

    generation = 0

    def __init__(self, url: str, *, wait_seconds: float = 60.0) -> None:
        self._url = url
        self._wait_seconds = wait_seconds
        self._suspected = True
        self.started = True
        self.worn_out: str | None = None

    def crash_of(self, generation: int) -> Crash | None:  # noqa: ARG002 (the protocol's)
        """Nobody can know."""
        return None

    def begin(self) -> None:
        """Nothing: others do that."""

    def wait_until_up(self, cancel: CancellationToken) -> None:
        """Wait until it answers, if it was not heard of yet or did not answer the last time.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not answer within the bound, or what answers is no ComfyUI.
        """
        if self._suspected:
            if not answers(self._url, self._wait_seconds, cancel):
                with contextlib.closing(ComfyClient(self._url, connect_timeout=1.0, read_timeout=5.0)) as client:
                    client.system_stats()  # tells why
            self._suspected = False

    def suspect(self) -> None:
        """Wait for it before the next use."""
        self._suspected = True

    def restart(self, why: str, generation: int | None = None) -> bool:  # noqa: ARG002 (the protocol's)
        """It is not ours to restart."""
        log.error("ComfyUI had better be restarted, and is not ours to: %s", why)
        self._suspected = True
        return False

    def give_up(self, why: str) -> None:
        """Say so, until a job goes well."""
        self.worn_out = why

    def went_well(self) -> None:
        """What was before is forgiven."""
        self.worn_out = None

    def close(self) -> None:
        """Nothing was started."""


def answers(url: str, seconds: float, cancel: CancellationToken, *, unless: Callable[[], bool] = lambda: False) -> bool:
    """Whether a ComfyUI answers within that time; it is asked once at least.

    Args:
        url: where.
        seconds: how long to go on asking.
        cancel: ends it.
        unless: ends it as well.

    Raises:
        Cancelled: the job was cancelled.
    """
    deadline = time.monotonic() + seconds
    client = ComfyClient(url, connect_timeout=1.0, read_timeout=_ASK_SECONDS)
    with contextlib.closing(client):
        while not unless():
            cancel.raise_if_cancelled()
            if (left := deadline - time.monotonic()) > 0:
                client.read_timeout = min(max(left, _LEAST_ASK_SECONDS), _ASK_SECONDS)
            try:
                client.system_stats()
            except ComfyUnavailable:
                if time.monotonic() >= deadline:
                    return False
                cancel.wait(_LOOK_SECONDS)
            else:
                return True
    return False
