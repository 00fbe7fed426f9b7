"""A server that knows one thing: what `/object_info` says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def without_dynamic_prompts(nodes: Mapping[str, Any]) -> bytes:
    """`/object_info` as bytes, of which no input draws one of several texts.

    With that mark comfy-cli would do as the editor does when it queues: take one of `{red|blue}` at random, once and
    for all, and leave comments out. The author's text is to stay.

    Args:
        nodes: class name to description.
    """
    return json.dumps({name: _unmarked(node) for name, node in nodes.items()}).encode()


def _unmarked(node: Mapping[str, Any]) -> dict[str, Any]:
    inputs = node.get("input")
    if not isinstance(inputs, Mapping):
        return dict(node)
    return {
        **node,
        "input": {
            section: {name: _unmarked_input(declared) for name, declared in below.items()}
            if isinstance(below, Mapping)
            else below
            for section, below in inputs.items()
        },
    }


def _unmarked_input(declared: Any) -> Any:
    if isinstance(declared, list) and len(declared) > 1 and isinstance(declared[1], Mapping):
        options = {key: value for key, value in declared[1].items() if key != "dynamicPrompts"}
        return [declared[0], options, *declared[2:]]
    return declared


@contextlib.contextmanager
def serving(object_info: bytes) -> Iterator[int]:
    """Answer `/object_info` on 127.0.0.1 until the end of the block; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.rstrip("/") in ("/object_info", "/api/object_info")
            body = object_info if known else b"{}"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked was stopped
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
            """Nothing: who asks is our own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
