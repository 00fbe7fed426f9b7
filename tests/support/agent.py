"""An MCP client of the library's own, to be used from a test's thread, as an agent's program has one."""

from __future__ import annotations

import base64
import contextlib
import io
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from anyio import from_thread
from mcp import Client
from mcp.types import CallToolResult, Tool
from PIL import Image

Told = Callable[[float, float | None, str | None], None]


class Agent:
    """A client that is connected.

    Attributes:
        changes: the notifications that the tools have changed.
    """

    def __init__(self, portal: from_thread.BlockingPortal) -> None:
        self._portal = portal
        self._client: Client
        self.changes: queue.Queue[Any] = queue.Queue()

    async def heard(self, message: Any) -> None:
        """Take what the server says of itself."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.changes.put(message)

    def use(self, client: Client) -> None:
        self._client = client

    def tools(self) -> dict[str, Tool]:
        """What there is, by name, as the server says it now."""
        found = self._portal.call(lambda: self._client.list_tools(cache_mode="bypass"))
        return {each.name: each for each in found.tools}

    def call(self, name: str, arguments: dict[str, Any], on_progress: Told | None = None) -> CallToolResult:
        """Call a tool and wait for its answer."""
        return self.begin(name, arguments, on_progress).result()

    def begin(self, name: str, arguments: dict[str, Any], on_progress: Told | None = None) -> Future[CallToolResult]:
        """A call that can be cancelled."""

        async def told(progress: float, total: float | None, message: str | None) -> None:
            if on_progress:
                on_progress(progress, total, message)

        return self._portal.start_task_soon(lambda: self._client.call_tool(name, arguments, progress_callback=told))


@contextlib.contextmanager
def connected(server: Any, mode: str) -> Iterator[Agent]:
    """A client within the block.

    Args:
        server: what the library's `Client` takes.
        mode: `legacy` for the handshake of 2025, `auto` for the newest that both know.
    """
    with from_thread.start_blocking_portal() as portal:
        agent = Agent(portal)
        client = Client(server, mode=mode, message_handler=agent.heard)
        with portal.wrap_async_context_manager(client):
            agent.use(client)
            yield agent


def blocks(result: CallToolResult, kind: str) -> list[Any]:
    """The pieces of an answer of one kind."""
    return [block for block in result.content if block.type == kind]


def picture(block: Any) -> tuple[tuple[int, int], int]:
    """A picture of an answer, decoded: its size in pixels, and its length in bytes."""
    content = base64.b64decode(block.data)
    with Image.open(io.BytesIO(content)) as decoded:
        decoded.load()
        assert block.mime_type == f"image/{str(decoded.format).lower()}"
        return decoded.size, len(content)
