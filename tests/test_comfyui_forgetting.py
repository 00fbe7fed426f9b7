"""The history entries of jobs that are over: also where ComfyUI is too busy to remove them at once."""

import contextlib
import http.server
import json
import threading

import pytest

from engine.comfyui import ComfyClient
from engine.comfyui.forgetting import Forgetting


@pytest.fixture
def comfyui():
    """Takes requests; while it is busy, it answers none. `asked` has what it was to forget, request by request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["delete"]
            server.asked.append(asked)
            server.changed.release()
            server.free.wait(20)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            with contextlib.suppress(OSError):  # nobody waits any more
                self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.changed, server.free = [], threading.Semaphore(0), threading.Event()
        server.free.set()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.free.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def client(comfyui):
    with contextlib.closing(ComfyClient(f"http://127.0.0.1:{comfyui.server_port}")) as client:
        yield client


def test_several_are_forgotten_with_one_request_at_the_latest_when_it_closes(comfyui, client, monkeypatch):
    monkeypatch.setattr("engine.comfyui.forgetting._GATHER_SECONDS", 60)  # closing ends it
    forgetting = Forgetting(client)
    for each in ("a", "b", "c"):
        forgetting.add(each)
    forgetting.close()
    assert comfyui.asked == [["a", "b", "c"]]


def test_a_busy_comfyui_is_asked_again(comfyui, client):
    comfyui.free.clear()
    forgetting = Forgetting(client, read_timeout=0.1)
    forgetting.add("a")
    for _ in range(2):
        assert comfyui.changed.acquire(timeout=20)
    comfyui.free.set()
    forgetting.close()
    assert comfyui.asked[:2] == [["a"], ["a"]]


def test_closing_waits_for_no_comfyui_that_is_gone(unused_port, caplog):
    before = set(threading.enumerate())
    with contextlib.closing(ComfyClient(f"http://127.0.0.1:{unused_port}")) as client:
        forgetting = Forgetting(client)
        forgetting.add("a")
        forgetting.close()
    assert "the history entries of prompts a may stay: no ComfyUI answers" in caplog.text
    assert not [each for each in set(threading.enumerate()) - before if each.name == "comfyui-forgetting"]
