"""What ComfyUI tells of its own accord: one websocket and one listener thread for the process.

The socket is a hint. What it loses is lost (ComfyUI replays nothing), so whoever waits asks `/history` as
well. Message types and their order were measured on ComfyUI 0.3.64 and 0.8.0.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import queue
import struct
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import websocket

log = logging.getLogger(__name__)

RECONNECTED = "reconnected"
"""The type of the event, ours, that tells a job to ask `/history`: the socket was away."""

FRAME = "frame"
"""The type of the event, ours, for a picture that came as a binary frame: `node`, `content_type` and `picture`, its
bytes. Previews of samplers come so, and what SaveImageWebsocket saves."""

_PICTURE_WITH_METADATA = 4  # ComfyUI, protocol.py, BinaryEventTypes

_PING_AFTER_SECONDS = 10.0
_SILENT_PINGS = 3
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 2.0
_FRAME_HEAD = struct.Struct(">II")
_FEATURE_FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


@dataclass(frozen=True, slots=True)
class Event:
    """One message of ComfyUI's about one prompt, such as `progress` or `executing`."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_end(self) -> bool:
        """The marker after which history has the prompt: `executing` with no node."""
        return self.type == "executing" and self.data.get("node") is None


class Subscription:
    """The events of one prompt, in order."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Hand an event to whoever waits."""
        self._events.put(event)

    def next(self, seconds: float) -> Event | None:
        """The next event; None if none comes within that time."""
        try:
            return self._events.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return None


class EventStream:
    """Listens to ComfyUI's websocket from the first use until `close`, and connects again when it breaks.

    Each connection has a new client id: ComfyUI forgets the second of two sockets with one id as soon as it
    notices that the first is gone, which can be long after we did. Prompts queued under the old id go on
    unheard, and the jobs that wait for them are told with `RECONNECTED`.

    Args:
        url: ComfyUI's, `http://…`.
        auth: user and password for it.
        connect_timeout: seconds to wait for a connection.
    """

    def __init__(self, url: str, *, auth: tuple[str, str] | None = None, connect_timeout: float = 5.0) -> None:
        self._url = "ws" + url.removeprefix("http") + "/ws"
        self._headers = []
        if auth:
            self._headers = ["Authorization: Basic " + base64.b64encode(":".join(auth).encode()).decode()]
        self._connect_timeout = connect_timeout
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Subscription] = {}
        self._client_id: str | None = None
        self._tried = threading.Event()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._socket: Any = None  # a websocket.WebSocket, which is typed in part only
        self._thread: threading.Thread | None = None

    @property
    def client_id(self) -> str | None:
        """The id to queue under to be heard; None while there is no connection."""
        return self._client_id

    def start(self) -> None:
        """Connect, if there is no connection, and wait until the next attempt has succeeded or failed."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._listen, name="comfyui-events", daemon=True)
                self._thread.start()
            elif self._client_id is None:
                self._tried.clear()
                self._hurry.set()
        self._tried.wait(self._connect_timeout)

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
        """The events of a prompt. Subscribe before it is queued, so that none is missed."""
        subscription = Subscription()
        with self._lock:
            self._subscriptions[prompt_id] = subscription
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.pop(prompt_id, None)

    def _listen(self) -> None:
        delay = _FIRST_DELAY
        while not self._closing.is_set():
            try:
                socket = self._connect()
            except (OSError, websocket.WebSocketException) as error:
                log.debug("no websocket to ComfyUI: %s", error)
            else:
                delay = _FIRST_DELAY
                self._hear(socket)
            self._tried.set()
            self._hurry.wait(delay)
            self._hurry.clear()
            delay = min(delay * 2, _LONGEST_DELAY)

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
            socket.settimeout(_PING_AFTER_SECONDS)
        except (OSError, websocket.WebSocketException):
            socket.shutdown()
            raise
        with self._lock:
            self._socket, self._client_id = socket, client_id
            waiting = list(self._subscriptions.values())
        self._tried.set()
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
                    self._dispatch(_message(data))
                elif opcode == websocket.ABNF.OPCODE_BINARY:
                    self._dispatch(_frame(data))
                elif opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
        except (OSError, websocket.WebSocketException) as error:
            log.debug("the websocket to ComfyUI broke: %s", error)
        finally:
            with self._lock:
                self._socket = self._client_id = None
            socket.shutdown()

    def _dispatch(self, event: Event | None) -> None:
        prompt_id = event.data.get("prompt_id") if event is not None else None
        with self._lock:
            subscription = self._subscriptions.get(prompt_id) if isinstance(prompt_id, str) else None
        if subscription is not None and event is not None:
            subscription.put(event)


def _message(data: bytes) -> Event | None:
    try:
        message = json.loads(data)
        event = Event(message["type"], message.get("data") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # a custom node may send anything; none of it is for us
    return event if isinstance(event.data, dict) else None


def _frame(data: bytes) -> Event | None:
    """A picture with its metadata: `4`, the length of a JSON text, the text, the picture; numbers are big-endian u32.

    Pictures without metadata say neither whose nor which node's they are. ComfyUI sends those only to clients that
    did not ask for metadata, as we do.
    """
    if len(data) < _FRAME_HEAD.size:
        return None
    kind, length = _FRAME_HEAD.unpack_from(data)
    start = _FRAME_HEAD.size + length
    if kind != _PICTURE_WITH_METADATA or len(data) <= start:
        return None
    try:
        metadata = json.loads(data[_FRAME_HEAD.size : start])
        # A node that another node made while it ran stands for that one.
        node = metadata.get("display_node_id") or metadata["node_id"]
        content_type = metadata.get("image_type", "")
        prompt_id = metadata["prompt_id"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Event(FRAME, {"prompt_id": prompt_id, "node": node, "content_type": content_type, "picture": data[start:]})
