"""The history entries of jobs that are over are removed behind their replies, several with one request.

ComfyUI takes as long to forget a prompt as to queue one. No caller waits for that, and the next job does not either.
"""

from __future__ import annotations

import logging
import threading

from engine.comfyui.client import ComfyClient
from engine.comfyui.connection import NoAnswer
from engine.errors import ComfyUnavailable

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.25
_LAST_READ_TIMEOUT = 2.0
_ROUNDS = 12
_CLOSE_SECONDS = 10.0


class Forgetting:
    """Has ComfyUI forget prompts, soon. Any number of threads may use it at once; it never raises.

    A ComfyUI that is busy, as while it loads a model for the next job, is asked again for a minute.

    Args:
        client: of the ComfyUI.
        read_timeout: seconds to wait for its answer.
    """

    def __init__(self, client: ComfyClient, *, read_timeout: float = 5.0) -> None:
        self._client = client
        self._read_timeout = read_timeout
        self._rounds = 0
        self._changed = threading.Condition()
        self._waiting: list[str] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, prompt_id: str) -> None:
        """Have the entry of a prompt removed; after `close`, at once."""
        with self._changed:
            if not self._closing:
                self._waiting.append(prompt_id)
                self._changed.notify()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="comfyui-forgetting", daemon=True)
                    self._thread.start()
                return
        self._forget([prompt_id], _LAST_READ_TIMEOUT)

    def close(self) -> None:
        """Have removed what still waits for it, and end; a ComfyUI that does not answer is not waited for for long."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                # More may come, and this moment is that of the next job.
                self._changed.wait_for(lambda: self._closing, _GATHER_SECONDS)
                gathered, self._waiting = self._waiting, []
                closing = self._closing
            if gathered:
                self._forget(gathered, _LAST_READ_TIMEOUT if closing else self._read_timeout)
            elif closing:
                return

    def _forget(self, prompt_ids: list[str], read_timeout: float) -> None:
        try:
            self._client.delete_history(prompt_ids, read_timeout=read_timeout)
            self._rounds = 0
        except ComfyUnavailable as error:
            self._rounds += 1
            busy = isinstance(error, NoAnswer) and error.busy
            with self._changed:
                if busy and not self._closing and self._rounds < _ROUNDS:
                    self._waiting = prompt_ids + self._waiting
                    return
            self._rounds = 0
            log.warning("the history entries of prompts %s may stay: %s", ", ".join(prompt_ids), error)
