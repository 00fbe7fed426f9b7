"""Serves MCP over this process's stdin and stdout."""

from __future__ import annotations

import signal
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from engine.mcp.lines import Lines
from engine.mcp.protocol import Protocol


def serve(protocol: Protocol) -> None:
    """Serve until stdin ends or the process is told to; meanwhile whatever else is printed to stdout goes to stderr."""
    anyio.run(_serve, protocol)
    # Clients close stdin, and soon after send the signal: what is to be closed now is not to be cut short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


async def _serve(protocol: Protocol) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_until_told, group.cancel_scope)
        reading: Any = Lines()
        async with stdio_server(stdin=reading) as (received, sent):
            await protocol.server.run(received, sent, protocol.server.create_initialization_options())
        group.cancel_scope.cancel()


async def _until_told(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return
