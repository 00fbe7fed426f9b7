"""Tells a client how far a call is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from engine.mcp.calls import Standing

Report = Callable[[float, float, str], Awaitable[None]]
"""Sends one: how far, of how much, and in words."""

_SIGN_OF_LIFE_SECONDS = 10.0
"""Clients give up on a call that is silent, after a minute and more; a model can take longer to be loaded."""
_A_LITTLE = 1e-6
"""Progress must increase with each notification
(https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress), and words change without it."""


class Telling:
    """Sends how far a call is: the latest alone, one after another. To be used in one event loop.

    Args:
        report: sends one.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._latest = Standing(0.0, "")
        self._changed = anyio.Event()
        self._told = -_A_LITTLE

    def __call__(self, standing: Standing) -> None:
        """Take how far it is."""
        self._latest = standing
        self._changed.set()

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            with anyio.move_on_after(_SIGN_OF_LIFE_SECONDS):
                await self._changed.wait()
            self._changed = anyio.Event()
            latest = self._latest
            self._told = max(latest.fraction, self._told + _A_LITTLE)
            await self._report(self._told, max(1.0, self._told), latest.words)
