"""What ComfyUI says to a prompt gets lost or garbled on the way: the prompt runs once all the same."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from support.graphs import text_to_image

from engine.cancellation import CancellationToken
from engine.comfyui import Bounds, ComfyUI, new_prompt_id
from engine.errors import Cancelled, ComfyUnavailable
from engine.simulator import Simulator

CHECKPOINT = "random_sd15.safetensors"


class Front:
    """A way to ComfyUI that hands requests on, and whose answers to `POST /prompt` a test writes. No websockets."""

    def __init__(self, url):
        self.url = url
        self.on_prompt = None
        self.down = False
        self.late = []

    def pass_on(self, method, path, body):
        headers = {"Content-Type": "application/json"}
        return requests.request(method, self.url + path, data=body, headers=headers, timeout=30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 2

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        front = self.server.front
        if front.down:
            self.hang_up()
        elif self.path == "/prompt" and front.on_prompt:
            front.on_prompt(self, body)
        else:
            answer = front.pass_on(self.command, self.path, body)
            self.answer(answer.status_code, answer.content)

    def do_POST(self):
        self.do_GET()

    def answer(self, status, body, *, announced=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)
        if announced is not None:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


@pytest.fixture
def simulator():
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": [CHECKPOINT]}, step_seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
def front(simulator):
    class Server(ThreadingHTTPServer):
        block_on_close = False
        daemon_threads = True

        def handle_error(self, *_):
            """A client that hung up."""

    with Server(("127.0.0.1", 0), _Handler) as server:
        server.front = Front(simulator.url)
        server.front.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.front
        server.shutdown()
        thread.join()
        for late in server.front.late:
            late.join()


def execute(comfy, *, cancel=None, steps=4, prompt_id=None):
    return comfy.execute(
        text_to_image(CHECKPOINT, steps=steps),
        prompt_id=prompt_id or new_prompt_id(),
        cancel=cancel or CancellationToken(),
        timeout_seconds=30,
        queue_timeout_seconds=30,
    )


def ran(simulator):
    return list(requests.get(f"{simulator.url}/history", timeout=5).json())


def waits(simulator):
    queue = requests.get(f"{simulator.url}/queue", timeout=5).json()
    return [item[1] for item in (*queue["queue_running"], *queue["queue_pending"])]


@pytest.mark.parametrize(
    "garbled",
    [
        pytest.param(lambda handler, _: handler.answer(502, b"bad gateway"), id="502"),
        pytest.param(lambda handler, _: handler.answer(504, b"too late"), id="504"),
        pytest.param(lambda handler, _: handler.answer(200, b"<html>welcome</html>"), id="a page"),
        pytest.param(lambda handler, said: handler.answer(200, said[:20], announced=len(said)), id="cut"),
    ],
)
def test_a_prompt_whose_answer_is_garbled_on_the_way_runs_once(garbled, front, simulator):
    def on_prompt(handler, body):
        garbled(handler, front.pass_on("POST", "/prompt", body).content)

    front.on_prompt = on_prompt
    prompt_id = new_prompt_id()
    with ComfyUI(front.address) as comfy:
        execution = execute(comfy, prompt_id=prompt_id)

    assert execution.outputs["9"]["images"]
    assert ran(simulator) == [prompt_id]


def test_a_prompt_that_arrives_after_its_connection_broke_runs_once(front, simulator):
    """As through a proxy that hangs up on us and still hands it on."""
    asked = threading.Semaphore(0)

    def on_prompt(handler, body):
        def later():
            asked.acquire(timeout=20)
            front.pass_on("POST", "/prompt", body)

        front.late.append(threading.Thread(target=later))
        front.late[-1].start()
        handler.hang_up()

    front.on_prompt = on_prompt
    pass_on = front.pass_on

    def counting(method, path, body):
        answer = pass_on(method, path, body)
        if path == "/queue":
            asked.release()  # it was looked for, and was not there yet
        return answer

    front.pass_on = counting
    simulator.faults.add({"fault": "hang", "node": "KSampler", "step": 1, "seconds": 1.5})
    prompt_id = new_prompt_id()
    with ComfyUI(front.address) as comfy:
        execution = execute(comfy, prompt_id=prompt_id)

    assert execution.outputs["9"]["images"]
    assert ran(simulator) == [prompt_id]


def test_a_job_cancelled_while_it_is_queued_stays_until_what_was_sent_has_arrived(front, simulator):
    cancel, taken = CancellationToken(), threading.Event()

    def on_prompt(handler, body):
        cancel.cancel()
        taken.wait(20)
        answer = front.pass_on("POST", "/prompt", body)
        handler.answer(answer.status_code, answer.content)

    front.on_prompt = on_prompt
    with ComfyUI(front.address, bounds=Bounds(stop=20)) as comfy, ThreadPoolExecutor(1) as pool:
        job = pool.submit(execute, comfy, cancel=cancel, steps=10_000)
        threading.Timer(6.0, taken.set).start()  # more than the seconds that one is waited for whose connection broke
        assert isinstance(job.exception(30), Cancelled)

    assert taken.is_set()
    assert waits(simulator) == []


def test_what_was_left_running_behind_a_broken_way_is_stopped_before_the_next_job(front, simulator, wait_until):
    left = new_prompt_id()
    with ComfyUI(front.address, bounds=Bounds(patience=0.3)) as comfy, ThreadPoolExecutor(1) as pool:
        job = pool.submit(execute, comfy, steps=10_000, prompt_id=left)
        wait_until(lambda: waits(simulator) == [left])
        front.down = True
        assert isinstance(job.exception(30), ComfyUnavailable)
        assert waits(simulator) == [left]

        front.down = False
        assert execute(comfy).outputs["9"]["images"]
    assert waits(simulator) == []
