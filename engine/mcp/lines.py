"""The lines of stdin, read so that nobody has to wait for one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Self

_MOST_BYTES = 65_536


class Lines:
    """The lines of this process's stdin, as an asynchronous iterator.

    A thread that reads can't be interrupted: the library's own (`mcp.server.stdio`, 2.3) is waited for when the process
    is told to end, and so it would not end before its client closes the pipe. This one is left behind.

    Whoever else reads stdin, as a process that is started here may, finds it at its end.
    """

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._descriptor = os.dup(0)
        os.set_inheritable(self._descriptor, False)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        reader = threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), name="stdin", daemon=True)
        reader.start()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """The next line; it ends where stdin does."""
        line = await self._lines.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        def give(parts: list[bytes]) -> None:
            loop.call_soon_threadsafe(self._lines.put_nowait, b"".join(parts).decode("utf-8", "replace"))

        parts: list[bytes] = []  # of a line that is not whole yet, such as one with a picture in it
        with contextlib.suppress(RuntimeError):  # the loop has ended
            while content := self._some():
                *ends, begun = content.split(b"\n")
                for end in ends:
                    give([*parts, end])
                    parts = []
                parts.append(begun)
            if any(parts):
                give(parts)
            loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def _some(self) -> bytes:
        try:
            return os.read(self._descriptor, _MOST_BYTES)
        except OSError:
            return b""
