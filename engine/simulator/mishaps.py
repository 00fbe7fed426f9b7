"""Does what the script of faults says, where the simulator asks whether something goes wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import struct
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from engine.simulator.faults import Fault, Faults, FaultScriptError

if TYPE_CHECKING:
    from engine.simulator.sockets import Hub

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_OF_PROCESS = frozenset({"kill", "exit", "freeze"})
_OF_NODE = _OF_PROCESS | {
    *("hang", "out_of_memory", "disk_full"),
    *("drop_socket", "silent_socket", "late_socket", "false_end", "flood"),
}
_OF_FRAME = frozenset({"reorder", "duplicate", "truncate", "unknown", "lose_frame"})
_SETTLE_SECONDS = 2.0
_REACHED_SECONDS = 0.2
SCRIPT_PATH = "/simulator/faults"


class OutOfMemoryError(Exception):
    """Stands for torch's, whose name an `execution_error` gives."""


OutOfMemoryError.__module__ = "torch"


class Mangler:
    """Spoils frames on their way out."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: str | bytes | None = None

    def frames(self, event: str, message: str | bytes, prompt_id: Any, *, end: bool) -> Iterable[str | bytes]:
        """What is sent in place of a frame.

        Args:
            event: its type; `picture` for a binary one.
            message: the frame.
            prompt_id: whose it is, if anybody's.
            end: whether it is the end marker.
        """
        fault = self._faults.take(_OF_FRAME, lambda each: each.at_frame(event, end=end))
        held, self._held = self._held, None
        sent: list[str | bytes] = [message]
        match fault.kind if fault else "":
            case "reorder":
                self._held = message
                sent = []
            case "duplicate":
                sent = [message, message]
            case "truncate":
                sent = [message[: len(message) // 2]]
            case "unknown":
                sent = [*_strange_frames(prompt_id), message]
            case "lose_frame":
                sent = []
        return sent if held is None else [*sent, held]


def _strange_frames(prompt_id: Any) -> list[str | bytes]:
    """Frames that no version sends, and some that a custom node could."""
    about = {"prompt_id": prompt_id}
    texts = [
        {"type": "from_a_custom_node", "data": {**about, "anything": [1, None, {}]}},
        {"type": "progress", "data": {"prompt_id": "00000000-0000-4000-8000-000000000000", "value": 1, "max": 1}},
        {"type": "progress", "data": {**about, "node": ["3"], "value": "many", "max": None}},
        {"type": "progress", "data": {**about, "node": {}, "value": -1, "max": 0}},
        {"type": "progress_state", "data": {**about, "nodes": ["3"]}},
        {"type": "progress_state", "data": {**about, "nodes": {"3": None}}},
        {"type": "execution_cached", "data": {**about, "nodes": 5}},
        {"type": "execution_cached", "data": {**about, "nodes": [["3"], {}]}},
        {"type": "executing", "data": {**about, "node": ["3"], "display_node": {}}},
        {"type": ["executing"], "data": about},
        {"type": "executing", "data": {"prompt_id": {}, "node": None}},
        {"type": "executing", "data": [prompt_id]},
        {"type": "status", "data": "queue"},
        {"data": about},
        [prompt_id],
        None,
    ]
    described = json.dumps({**about, "node_id": {}, "image_type": 4}).encode()
    binary = [
        b"",
        b"\x00",
        struct.pack(">II", 1, 1),
        struct.pack(">II", 3, 1 << 31) + b"text",
        struct.pack(">II", 4, 0xFFFFFFFF) + b"{}",
        struct.pack(">II", 4, len(described)) + described + b"picture",
        struct.pack(">II", 4, 4) + b"null" + b"picture",
        struct.pack(">II", 99, 0),
    ]
    return [*map(json.dumps, texts), "[" * 100_000, "no JSON at all", *binary]


class Mishaps:
    """What goes wrong in one simulator.

    Args:
        faults: the script.
        hub: its websockets.
        stopped: set when the simulator is stopped, which ends every wait.
    """

    def __init__(self, faults: Faults, hub: Hub, stopped: threading.Event) -> None:
        self.faults = faults
        self._hub = hub
        self._stopped = stopped

    def at_node(self, class_type: str, step: int, *, saves: bool, prompt_id: str, client: str | None) -> None:
        """A node begins (step 0) or has reported a step.

        Args:
            class_type: its class.
            step: how far it is.
            saves: whether it is an output node, of which alone the disk can be full.
            prompt_id: whose it is.
            client: who is told.

        Raises:
            OutOfMemoryError: as torch would.
            OSError: as a full disk would.
        """
        while fault := self.faults.take(
            _OF_NODE,
            lambda each: each.at_node(class_type, step) and (each.kind != "disk_full" or saves or bool(each.node)),
        ):
            match fault.kind:
                case "hang":
                    self._stopped.wait(fault.seconds)
                case "out_of_memory":
                    raise OutOfMemoryError("Allocation on device ")
                case "disk_full":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                case "drop_socket":
                    self._hub.drop()
                case "silent_socket":
                    self._hub.fall_silent(fault.seconds)
                case "late_socket":
                    self._hub.be_late(fault.seconds or 0.0)
                case "false_end":
                    self._hub.send("executing", {"node": None, "prompt_id": prompt_id}, client)
                case "flood":
                    data = {"value": 0, "max": fault.frames, "prompt_id": prompt_id, "node": "flood"}
                    for value in range(fault.frames):
                        self._hub.send("progress", {**data, "value": value}, client)
                case _:
                    self._hub.settle(_SETTLE_SECONDS)  # what was said before is heard
                    self._of_process(fault)
                    self._stopped.wait(fault.seconds)

    def greys(self, class_type: str) -> bool:
        """Whether the next picture that a node of that class draws comes out grey."""
        return self.faults.take({"grey"}, lambda each: each.at_node(class_type, 0)) is not None

    def cached(self, kept: Iterable[dict[str, Any] | None], folders: Callable[[str], Path | None]) -> None:
        """Nodes are taken from the cache: their files may be gone.

        Args:
            kept: what those nodes showed (`{"images": […]}`).
            folders: gives the folder of a type.
        """
        files = [
            entry for shown in kept if shown for listed in shown.values() for entry in listed if _names_file(entry)
        ]
        if files and self.faults.take({"cached_but_gone"}):
            for entry in files:
                folder = folders(entry["type"])
                if folder is not None:
                    (folder / entry["subfolder"] / entry["filename"]).unlink(missing_ok=True)

    def history_lag(self) -> float:
        """Seconds by which history comes after the end marker."""
        fault = self.faults.take({"lag_history"})
        return fault.seconds or 0.0 if fault else 0.0

    def ignores_interrupt(self) -> bool:
        """Whether to do nothing about an interrupt."""
        return self.faults.take({"ignore_interrupt"}) is not None

    def loses_prompt(self) -> bool:
        """Whether a prompt that was taken is never queued."""
        return self.faults.take({"lose_prompt"}) is not None

    def routes(self) -> list[web.RouteDef]:
        """`/simulator/faults`: what is to come, and more of it."""
        return [web.get(SCRIPT_PATH, self._listed), web.post(SCRIPT_PATH, self._added)]

    async def _listed(self, _: web.Request) -> web.Response:
        return web.json_response(self.faults.coming())

    async def _added(self, request: web.Request) -> web.Response:
        try:
            script = await request.json()
            self.faults.add(*(script if isinstance(script, list) else [script]))
        except ValueError as error:
            words = str(error) if isinstance(error, FaultScriptError) else "the body is not JSON"
            return web.json_response({"error": words}, status=400)
        return web.json_response(self.faults.coming())

    @web.middleware
    async def on_the_way(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Spoil answers; a middleware."""
        path = request.path.removeprefix("/api")
        if path == SCRIPT_PATH:
            return await handler(request)
        spoil: Fault | None = None
        while fault := self.faults.take(
            _OF_PROCESS | {"status", "delay", "drop_answer"}, lambda each: each.at_path(request.method, path)
        ):
            if fault.kind == "delay":
                await asyncio.sleep(fault.seconds or 0.0)
            elif fault.kind in _OF_PROCESS:
                self._of_process(fault)
                await asyncio.sleep(0)  # whatever blocks the server comes before the answer
            else:
                spoil = fault
                break
        if spoil is None:
            return await handler(request)
        if spoil.kind == "status":
            body = spoil.body if spoil.body is not None else {"error": "a fault of the script"}
            return web.json_response(body, status=spoil.code)
        answer = await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return answer

    def _of_process(self, fault: Fault) -> None:
        if fault.kind == "kill":
            self._signal_ourselves(signal.SIGKILL)
        elif fault.kind == "exit":
            os._exit(1)
        elif self.faults.own_process and fault.seconds is None:
            self._signal_ourselves(signal.SIGSTOP)
        else:
            self._hub.block(lambda: self._stopped.wait(fault.seconds))

    def _signal_ourselves(self, number: signal.Signals) -> None:
        os.kill(os.getpid(), number)
        # Another thread may take the signal, and this one go on until the system has reached it.
        self._stopped.wait(_REACHED_SECONDS)


def _names_file(entry: Any) -> bool:
    return isinstance(entry, dict) and {"filename", "subfolder", "type"} <= entry.keys()
