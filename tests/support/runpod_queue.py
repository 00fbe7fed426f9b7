"""RunPod's queue on 127.0.0.1: enough of it for the real SDK to take jobs, report and be told to stop.

The shapes are the SDK's (runpod 1.12, `serverless/modules/rp_job.py`, `rp_http.py`, `rp_ping.py`):

    GET  /v2/ENDPOINT/job-take/POD?gpu=…&job_in_progress=0|1          one job, or 204
    GET  /v2/ENDPOINT/job-take-batch/POD?…&batch_size=N               a list of jobs, or 204
    GET  /v2/ENDPOINT/job-stop/POD?…                                  {"jobsToStop": [ID]}, or 204
    POST /v2/ENDPOINT/job-done/POD/JOB?…&isStream=…                   a result, or progress
    POST /v2/ENDPOINT/job-stream/POD/JOB?…                            a part of a streamed result
    GET  /v2/ENDPOINT/ping/POD?…&job_id=…                             a heartbeat

Takes and stops are held open until there is something to say, as the platform does. It can be as far away as the
platform: half of `delay_seconds` goes by before a request is heard, half before its answer is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

POD_ID = "test-pod"
ENDPOINT_ID = "test-endpoint"

# The platform holds a take for a while; shorter here, so that a worker that was told to stop notices.
_HOLD_SECONDS = 1.0


@dataclass(frozen=True)
class Span:
    """A job's time in the hands of a worker.

    Attributes:
        pod: whose worker.
        taken: when the queue gave it away, in seconds since the epoch.
        posted: when its result had come; None while it has not.
    """

    pod: str
    taken: float
    posted: float | None


class RunPodQueue:
    """The queue of one endpoint. Its methods are for tests; a worker reaches it by HTTP."""

    def __init__(self, hold_seconds: float = _HOLD_SECONDS, delay_seconds: float = 0.0) -> None:
        self._hold_seconds = hold_seconds
        self.delay_seconds = delay_seconds
        self._changed = threading.Condition()
        self._ids = (f"job-{number}" for number in itertools.count(1))
        self._waiting: list[dict[str, Any]] = []
        self._running: dict[str, str] = {}  # job to pod
        self._cancelled: set[str] = set()
        self._to_stop: dict[str, list[str]] = {}  # pod to jobs
        self._results: dict[str, dict[str, Any]] = {}
        self._progress: dict[str, list[Any]] = {}
        self._streamed: dict[str, list[Any]] = {}
        self._pings: list[list[str]] = []
        self._posts: list[tuple[str, dict[str, Any]]] = []
        self._takes_held = 0
        self._askers: set[str] = set()
        self._spans: dict[str, Span] = {}
        self._closed = False
        self.base_url = ""

    def submit(self, job_input: Any, **more: Any) -> str:
        """Queues a job as POST /run would; gives its id. `more` are further keys of the job (`webhook`)."""
        with self._changed:
            job_id = next(self._ids)
            # Through JSON, as a caller's input goes.
            self._waiting.append(json.loads(json.dumps({"id": job_id, "input": job_input, **more})))
            self._changed.notify_all()
        return job_id

    def wait(self, job_id: str, timeout: float = 30) -> dict[str, Any]:
        """Waits for a result; gives the body as it was posted: `output`, `error`, `stopPod`."""
        with self._changed:
            if not self._changed.wait_for(lambda: job_id in self._results, timeout):
                raise TimeoutError(f"no result of {job_id} within {timeout} s")
            return self._results[job_id]

    def wait_taken(self, job_id: str, timeout: float = 30) -> None:
        """Waits until a worker has taken a job."""
        self._until(lambda: job_id in self._running or job_id in self._results, timeout, f"{job_id} taken")

    def wait_asked(self, timeout: float = 30) -> None:
        """Waits until a worker asks for a job and there is none."""
        self._until(lambda: self._takes_held, timeout, "a take that is held")

    def wait_pods(self, count: int, timeout: float = 30) -> None:
        """Waits until so many pods have asked for a job at least once."""
        self._until(lambda: len(self._askers) >= count, timeout, f"{count} pods that ask")

    def span(self, job_id: str) -> Span:
        """Who has, or had, a job that was taken, and when.

        Raises:
            KeyError: nobody took it yet.
        """
        with self._changed:
            return self._spans[job_id]

    def wait_progress(self, job_id: str, count: int = 1, timeout: float = 30) -> list[Any]:
        """Waits until a job has reported so often; gives the reports."""
        self._until(lambda: len(self.progress(job_id)) >= count, timeout, f"{count} reports of {job_id}")
        return self.progress(job_id)

    def wait_ping(self, job_id: str, timeout: float = 30) -> None:
        """Waits for a heartbeat that names a job as one in progress."""
        seen = len(self._pings)
        self._until(lambda: any(job_id in ping for ping in self._pings[seen:]), timeout, f"a ping of {job_id}")

    def wait_stop_sent(self, job_id: str, timeout: float = 30) -> None:
        """Waits until a worker has been told to stop a cancelled job."""

        def sent() -> bool:
            return job_id in self._cancelled and not any(job_id in jobs for jobs in self._to_stop.values())

        self._until(sent, timeout, "the stop")

    def progress(self, job_id: str) -> list[Any]:
        """What a job has reported, in order of arrival."""
        with self._changed:
            return list(self._progress.get(job_id, ()))

    def streamed(self, job_id: str) -> list[Any]:
        """The parts a job has streamed, in order of arrival."""
        with self._changed:
            return list(self._streamed.get(job_id, ()))

    def waiting(self) -> list[str]:
        """The jobs that no worker has taken."""
        with self._changed:
            return [job["id"] for job in self._waiting]

    def result(self, job_id: str) -> dict[str, Any] | None:
        """The result, if there is one by now."""
        with self._changed:
            return self._results.get(job_id)

    def posts(self, job_id: str) -> list[dict[str, Any]]:
        """Every body posted for a job, progress and results, in order of arrival."""
        with self._changed:
            return [body for posted, body in self._posts if posted == job_id]

    def cancel(self, job_id: str) -> None:
        """Cancels: a waiting job is never taken, of a running one the worker is told by the stop channel."""
        with self._changed:
            self._cancelled.add(job_id)
            self._waiting = [job for job in self._waiting if job["id"] != job_id]
            if job_id in self._running:
                self._to_stop.setdefault(self._running[job_id], []).append(job_id)
            self._changed.notify_all()

    def environment(self, *, ping_seconds: int = 1, pod: str = POD_ID) -> dict[str, str]:
        """What a worker's process must find in its environment to work for this queue; each needs a pod of its own."""
        base = f"{self.base_url}/v2/{ENDPOINT_ID}"
        return {
            # The SDK appends parameters with `&`: each needs its `?`.
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=test",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=test",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{base}/job-stream/$RUNPOD_POD_ID/$ID?gpu=test",
            "RUNPOD_WEBHOOK_PING": f"{base}/ping/$RUNPOD_POD_ID?gpu=test",
            "RUNPOD_PING_INTERVAL": str(ping_seconds * 1000),
            "RUNPOD_POD_ID": pod,
            "RUNPOD_ENDPOINT_ID": ENDPOINT_ID,
            "RUNPOD_AI_API_KEY": "test-api-key",  # without it the SDK sends no pings
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
            "RUNPOD_LOG_LEVEL": "INFO",
        }

    def close(self) -> None:
        """Lets every held request go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _until(self, reached: Any, timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(reached, timeout):
                raise TimeoutError(f"not within {timeout} s: {what}")

    # What a worker's requests do.

    def take(self, count: int, pod: str, hung_up: Callable[[], bool]) -> list[dict[str, Any]]:
        with self._changed:
            self._takes_held += 1
            self._askers.add(pod)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed, self._hold_seconds)
            self._takes_held -= 1
            if hung_up():  # a worker that ended while it was waiting: what it were given would be lost
                return []
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            self._running.update((job["id"], pod) for job in taken)
            self._spans.update((job["id"], Span(pod, time.time(), None)) for job in taken)
            self._changed.notify_all()
            return taken

    def stops(self, pod: str) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: pod in self._to_stop or self._closed, self._hold_seconds)
            stopped = self._to_stop.pop(pod, [])
            self._changed.notify_all()
            return stopped

    def post(self, kind: str, job_id: str, body: dict[str, Any]) -> None:
        with self._changed:
            self._posts.append((job_id, body))
            if kind == "job-stream":
                self._streamed.setdefault(job_id, []).append(body)
            elif body.get("status") == "IN_PROGRESS":
                self._progress.setdefault(job_id, []).append(body.get("output"))
            else:
                if job_id not in self._results and (span := self._spans.get(job_id)):
                    self._spans[job_id] = Span(span.pod, span.taken, time.time())
                self._results.setdefault(job_id, body)
                self._running.pop(job_id, None)
            self._changed.notify_all()

    def ping(self, job_ids: list[str]) -> None:
        with self._changed:
            self._pings.append(job_ids)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    queue: RunPodQueue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else a body waits 40 ms for the acknowledgement of its head, where a connection is kept.
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a worker that is killed hangs up between two requests
            super().handle()

    def do_GET(self) -> None:
        self._travel()
        kind, asked = self._kind(), parse_qs(urlsplit(self.path).query)
        queue, pod = self.server.queue, urlsplit(self.path).path.split("/")[-1]
        if kind == "job-take":
            jobs = queue.take(1, pod, self._hung_up)
            self._answer(jobs[0] if jobs else None)
        elif kind == "job-take-batch":
            self._answer(queue.take(int(asked["batch_size"][0]), pod, self._hung_up) or None)
        elif kind == "job-stop":
            stops = queue.stops(pod)
            self._answer({"jobsToStop": stops} if stops else None)
        elif kind == "ping":
            queue.ping([job for job in asked.get("job_id", [""])[0].split(",") if job])
            self._answer({})
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        kind = self._kind()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._travel()
        if kind not in ("job-done", "job-stream"):
            self.send_error(404)
            return
        self.server.queue.post(kind, urlsplit(self.path).path.split("/")[-1], json.loads(body))
        self._answer({})

    def _kind(self) -> str:
        parts = urlsplit(self.path).path.split("/")
        return parts[3] if parts[:3] == ["", "v2", ENDPOINT_ID] else ""

    def _hung_up(self) -> bool:
        """Whether the client has closed the connection on which it waits for an answer."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def _answer(self, content: Any) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self._travel()
        with contextlib.suppress(ConnectionError):  # a worker that stops hangs up on what it waits for
            self.send_response(204 if content is None else 200)
            if body:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _travel(self) -> None:
        """Half a round trip."""
        time.sleep(self.server.queue.delay_seconds / 2)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@contextlib.contextmanager
def serve_runpod_queue(hold_seconds: float = _HOLD_SECONDS, delay_seconds: float = 0.0) -> Iterator[RunPodQueue]:
    """A queue that answers until the block ends.

    Args:
        hold_seconds: so long takes and stops with nothing to say are held.
        delay_seconds: the round trip to it, which every request takes longer.
    """
    queue = RunPodQueue(hold_seconds, delay_seconds)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.queue = queue
    queue.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="queue")
    thread.start()
    try:
        yield queue
    finally:
        queue.close()
        server.shutdown()
        thread.join()
        server.server_close()
