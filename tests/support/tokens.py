"""Tokens of jobs that can be watched."""

import threading

from engine.cancellation import CancellationToken


class Watched(CancellationToken):
    """A token that tells when it is looked at: who waits looks."""

    def __init__(self):
        super().__init__()
        self.looked = threading.Event()

    def raise_if_cancelled(self):
        self.looked.set()
        super().raise_if_cancelled()
