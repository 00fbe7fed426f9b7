"""How many requests an address may make."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from engine.server.asgi import App, Receive, Scope, Send, refuse
from engine.server.problems import TooManyRequests

_MOST_ADDRESSES = 10_000


class Rate:
    """Counts requests by address: a minute's worth may come at once, then as many as a minute has room for.

    Args:
        a_minute: requests.
        now: tells the time in seconds.
    """

    def __init__(self, a_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Count a request.

        Returns:
            0, or the seconds after which it may be made; it is not counted then.
        """
        now = self._now()
        left, when = self._left.pop(address, (float(self._a_minute), now))
        left = min(float(self._a_minute), left + (now - when) * self._a_minute / 60)
        enough = left >= 1
        self._left[address] = (left - 1 if enough else left), now
        while len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return 0.0 if enough else (1 - left) * 60 / self._a_minute


def with_rate(app: App, a_minute: int) -> App:
    """The application, for addresses that don't ask too often.

    Args:
        app: an ASGI application.
        a_minute: requests of one address.
    """
    rate = Rate(a_minute)

    async def paced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            address = (scope.get("client") or ("",))[0]
            if seconds := rate.wait(address):
                error = TooManyRequests(f"more than {a_minute} requests a minute", hint="wait, then ask again")
                await refuse(send, error, {"Retry-After": str(math.ceil(seconds))})
                return
        await app(scope, receive, send)

    return paced
