"""Serves MCP over this process's stdin and stdout."""

from __future__ import annotations

import anyio
from mcp.server.stdio import stdio_server

from engine.mcp.protocol import Protocol


def serve(protocol: Protocol) -> None:
    """Serve until stdin ends; meanwhile whatever else is printed to stdout goes to stderr."""

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await protocol.server.run(reading, writing, protocol.greeting)

    anyio.run(run)
