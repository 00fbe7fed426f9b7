"""What ComfyUI tells of its own accord: one websocket and one listener thread for the process.

The socket is a hint. What it loses is lost (ComfyUI replays nothing), so whoever waits asks `/history` as
well. Message types and their order were measured on ComfyUI 0.3.64 and 0.8.0.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import websocket

from engine.comfyui.connection import basic
from engine.comfyui.messages import FRAME, RECONNECTED, Event, read_picture, read_text
from engine.comfyui.subscriptions import Subscription

__all__ = ["FRAME", "RECONNECTED", "Event", "EventStream", "Subscription"]

log = logging.getLogger(__name__)

_SILENT_PINGS = 3
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 2.0
_STEADY_SECONDS, _AGAIN_SECONDS = 2.0, 1.0
_FEATURE_FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


class EventStream:
    """Listens to ComfyUI's websocket from the first use until `close`, and connects again when it breaks.

    Each connection has a new client id: ComfyUI forgets the second of two sockets with one id as soon as it
    notices that the first is gone, which can be long after we did. Prompts queued under the old id go on
    unheard, and the jobs that wait for them are told with `RECONNECTED`.

    A connection over which nothing comes is pinged. One that answers no ping is given up after `ping_after` four times
    over: a ComfyUI that loads a large model can be busy for long, and pictures sent over the socket would be lost.

    Args:
        url: ComfyUI's, `http://…`.
        auth: user and password for it.
        connect_timeout: seconds to wait for a connection.
        ping_after: seconds of silence before a ping, and between pings.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        connect_timeout: float = 5.0,
        ping_after: float = 10.0,
    ) -> None:
        self._url = "ws" + url.removeprefix("http") + "/ws"
        self._headers = []
        if auth:
            self._headers = [f"Authorization: {basic(auth)}"]
        self._connect_timeout = connect_timeout
        self._ping_after = ping_after
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Subscription] = {}
        self._client_id: str | None = None
        self._tried = threading.Event()
        self._tried_once = False
        self._closing = threading.Event()
        self._hurry = threading.Event()  # there is a reason to try again now
        self._socket: Any = None  # a websocket.WebSocket, which is typed in part only
        self._thread: threading.Thread | None = None

    @property
    def client_id(self) -> str | None:
        """The id to queue under to be heard; None while there is no connection."""
        return self._client_id

    def start(self) -> None:
        """Be connected, if that can be: wait until an attempt has succeeded or failed.

        Where an earlier one failed, as before a restart of ComfyUI, another is made at once, and waited for less long.
        """
        first = not self._tried_once
        if self.begin():
            self._tried.wait(self._connect_timeout if first else min(self._connect_timeout, _AGAIN_SECONDS))
            self._tried_once = True

    def begin(self) -> bool:
        """Begin to connect and don't wait; false where there is a connection, or is to be none any more."""
        with self._lock:
            if self._client_id is not None or self._closing.is_set():
                return False
            self._tried.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="comfyui-events", daemon=True)
                self._thread.start()
        self._hurry.set()
        return True

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._closing.set()
        self._hurry.set()
        with self._lock:
            thread, socket = self._thread, self._socket
        if socket is not None:
            socket.abort()  # wakes the thread, which then closes it
        if thread is not None:
            thread.join(self._connect_timeout + 1)

    @contextlib.contextmanager
    def subscribe(self, prompt_id: str) -> Iterator[Subscription]:
        """The events of a prompt. Subscribe before it is queued, so that none is missed.

        Where the end of the prompt went unheard, the connection may be deaf, although it stands: unless others listen
        too, it is given up for a new one.
        """
        subscription = Subscription()
        with self._lock:
            self._subscriptions[prompt_id] = subscription
            client_id = self._client_id
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.pop(prompt_id, None)
                heard = subscription.ended or self._client_id != client_id
                socket = None if heard or self._subscriptions else self._socket
                if socket is not None:
                    self._client_id = None  # nobody is to queue under it
            if socket is not None:
                socket.abort()

    def _listen(self) -> None:
        delay = _FIRST_DELAY
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._hear(self._attempt())
            except (OSError, websocket.WebSocketException) as error:
                log.debug("no websocket to ComfyUI: %s", error)
            except Exception as error:
                # The thread's edge: without it no job hears anything again. Such as ValueError, for an answer to the
                # handshake that is no HTTP (websocket-client 1.8).
                log.warning("the websocket to ComfyUI broke unexpectedly: %s", type(error).__name__)
                log.debug("it broke with", exc_info=True)
            if time.monotonic() - began > _STEADY_SECONDS:
                delay = _FIRST_DELAY
            self._hurry.wait(delay)
            self._hurry.clear()
            delay = min(delay * 2, _LONGEST_DELAY)  # also for one that takes every connection and drops it at once

    def _attempt(self) -> Any:
        try:
            return self._connect()
        finally:
            self._tried.set()

    def _connect(self) -> Any:
        client_id = str(uuid.uuid4())
        socket: Any = websocket.create_connection(
            f"{self._url}?clientId={quote(client_id)}",
            timeout=self._connect_timeout,
            header=self._headers,
            suppress_origin=True,  # ComfyUI refuses an Origin that is not its own address
        )
        try:
            socket.send(_FEATURE_FLAGS)  # heeded only as the first message
            socket.settimeout(self._ping_after)
        except (OSError, websocket.WebSocketException):
            socket.shutdown()
            raise
        with self._lock:
            self._socket, self._client_id = socket, client_id
            waiting = list(self._subscriptions.values())
        for subscription in waiting:
            subscription.put(Event(RECONNECTED))
        return socket

    def _hear(self, socket: Any) -> None:
        silent = 0
        try:
            while not self._closing.is_set():
                try:
                    opcode, data = socket.recv_data(control_frame=True)
                except websocket.WebSocketTimeoutException:
                    silent += 1
                    if silent > _SILENT_PINGS:
                        break
                    socket.ping()
                    continue
                silent = 0
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    self._dispatch(read_text(data))
                elif opcode == websocket.ABNF.OPCODE_BINARY:
                    self._dispatch(read_picture(data))
                elif opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
        except (OSError, websocket.WebSocketException) as error:
            log.debug("the websocket to ComfyUI broke: %s", error)
        finally:
            with self._lock:
                self._socket = self._client_id = None
            socket.shutdown()

    def _dispatch(self, event: Event | None) -> None:
        if event is None:
            return
        with self._lock:
            subscription = self._subscriptions.get(event.data["prompt_id"])
        if subscription is not None:
            subscription.put(event)
