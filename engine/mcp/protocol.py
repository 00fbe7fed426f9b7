"""The MCP server: lists the tools, runs calls, tells of changes. See the library's `mcp.server.lowlevel`, 2.3."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from anyio import to_thread
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError

from engine.errors import EngineError, UnknownWorkflow
from engine.logs import event
from engine.mcp.answers import failure_of, result_of
from engine.mcp.calls import Calls
from engine.mcp.telling import Telling
from engine.mcp.tools import Offer, Tools, instructions, page_of
from engine.replies import failure_reply

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_FIRST_LOOK_SECONDS = 3.0
_TELL_SECONDS = 1.0
_MOST_SESSIONS = 256
"""Clients that are told of changes; beyond that the oldest are forgotten, and still see them when they list again."""
_THUMBNAIL_PIXELS = 512
_LINKS_SINCE = "2025-06-18"

Context = ServerRequestContext[Any, Any]


class _Server(Server[Any]):
    """The library's, which says of itself over HTTP, too, that it tells of changes."""

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *more: Any, **named: Any
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, *more, **named)


@dataclass(frozen=True, slots=True)
class Options:
    """How the server answers.

    Attributes:
        simulated: pictures are stand-ins.
        in_bucket: results go to a bucket, so that they are not on this machine.
        base_url: of this server, as whoever sent an HTTP request reaches it.
    """

    simulated: bool
    in_bucket: bool
    base_url: Callable[[Any], str] = lambda _: ""


class Protocol:
    """What answers an agent.

    Args:
        tools: the workflows as tools.
        calls: runs them.
        options: how it answers.

    Attributes:
        server: the library's, to be carried by stdio or HTTP.
    """

    def __init__(self, tools: Tools, calls: Calls, options: Options) -> None:
        self._tools = tools
        self._calls = calls
        self._options = options
        self._bus = InMemorySubscriptionBus()
        self._sessions: dict[int, ServerSession] = {}
        self.server: Server[Any] = _Server(
            "comfyui-workflows",
            version=importlib.metadata.version("comfyui-workflow-engine"),
            title="ComfyUI workflows",
            instructions=instructions(Offer(), simulated=options.simulated, media=calls.media),
            lifespan=self._watching,
            get_tool_input_schema=lambda _: None,  # none of our arguments goes into a header
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_subscriptions_listen=ListenHandler(self._bus),
        )
        self.server.add_notification_handler("notifications/initialized", types.NotificationParams, self._met)

    async def _list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:  # noqa: ARG002
        offer = await self._offer()
        page, last = page_of(offer.tools, params.cursor if params else None)
        return types.ListToolsResult.model_validate({"tools": page, "nextCursor": last})

    async def _offer(self) -> Offer:
        offer = await to_thread.run_sync(self._tools.offer, abandon_on_cancel=True)
        self.server.instructions = instructions(offer, simulated=self._options.simulated, media=self._calls.media)
        return offer

    async def _met(self, context: Context, params: types.NotificationParams) -> None:  # noqa: ARG002
        """A client is there that can be told of changes without having asked."""
        if len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[id(context.session)] = context.session

    async def _call(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        base_url = self._options.base_url(context.request) if context.request is not None else ""
        try:
            # Before it waits for others: what is wrong with it is known now.
            await to_thread.run_sync(self._tools.check, params.name, arguments)
            reply = await self._run(context, params.name, arguments, base_url)
        except UnknownWorkflow as error:
            raise MCPError(types.INVALID_PARAMS, failure_reply(error)["error"]) from None
        except EngineError as error:
            reply = failure_reply(error)
        shown = self._calls.shown(reply, base_url)
        links = context.protocol_version >= _LINKS_SINCE
        simulated = self._options.simulated

        def answer() -> dict[str, Any]:
            return failure_of(shown) if "error" in shown else result_of(reply, shown, simulated=simulated, links=links)

        return types.CallToolResult.model_validate(await to_thread.run_sync(answer))

    async def _run(self, context: Context, name: str, arguments: Mapping[str, Any], base_url: str) -> dict[str, Any]:
        request: dict[str, Any] = {"workflow": name, "payload": dict(arguments)}
        if self._options.in_bucket:
            request["delivery"] = {"thumbnail": _THUMBNAIL_PIXELS}  # the picture to look at
        telling = Telling(context.session.report_progress)
        failure: EngineError | None = None
        reply: dict[str, Any] = {}
        async with anyio.create_task_group() as group:
            group.start_soon(telling.run)
            try:
                reply = await self._calls.call(request, telling, base_url)
            except EngineError as error:
                failure = error  # a group would wrap it
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return reply

    @contextlib.asynccontextmanager
    async def _watching(self, server: Server[Any]) -> AsyncIterator[None]:  # noqa: ARG002
        with anyio.move_on_after(_FIRST_LOOK_SECONDS), _going_on():
            await self._offer()  # so that whoever comes first is told what is left out
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            yield None
            group.cancel_scope.cancel()

    async def _watch(self) -> None:
        """Look now and then whether the tools have changed, and tell all that are there."""
        before = None
        while True:
            with _going_on():
                state = await to_thread.run_sync(self._tools.state, abandon_on_cancel=True)
                changed, before = before is not None and state != before, state
                if changed:
                    await self._offer()
                    await self._tell_of_change()
            await anyio.sleep(_LOOK_SECONDS)

    async def _tell_of_change(self) -> None:
        await self._bus.publish(ToolsListChanged())
        for session in list(self._sessions.values()):
            with anyio.move_on_after(_TELL_SECONDS):  # one that does not read keeps nobody waiting
                await session.send_tool_list_changed()


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """Whatever a folder of workflows or a session provokes within the block, the server goes on, and starts."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        event(log, logging.WARNING, "the tools can't be looked at", reason=repr(error))
