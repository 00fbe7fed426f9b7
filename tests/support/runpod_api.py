"""RunPod's API of an endpoint on 127.0.0.1: what callers talk to, before the queue that workers take their jobs from.

The operations, their answers and limits are RunPod's (https://docs.runpod.io/serverless/endpoints/operation-reference
and /send-requests as of 2026-08-20):

    POST /v2/ENDPOINT/run                {"id", "status": "IN_QUEUE"}
    POST /v2/ENDPOINT/runsync?wait=MS    the job once it is over; after the wait its status, with the id to ask for
    GET  /v2/ENDPOINT/status/JOB         {"id", "status", "output", "error", "delayTime", "executionTime"}
    POST /v2/ENDPOINT/cancel/JOB         {"id", "status": "CANCELLED"}
    GET  /v2/ENDPOINT/health             {"jobs": {…}, "workers": {…}}

Each needs the account's key; without it the answer is 401.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.runpod_queue import ENDPOINT_ID, RunPodQueue

API_KEY = "rpa_KEY_OF_THE_TEST"
_WAIT_SECONDS = 90.0


class RunPodApi(ThreadingHTTPServer):
    """Hands callers' jobs to a queue.

    `requests` holds method and path of each request that was let in; as many of the next questions as `busy` says are
    answered with 429, as where there were too many.
    """

    daemon_threads = True

    def __init__(self, queue: RunPodQueue) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.queue = queue
        self.requests: list[str] = []
        self.busy = 0
        self._known: set[str] = set()
        self._cancelled: set[str] = set()

    @property
    def url(self) -> str:
        """What stands for https://api.runpod.ai/v2."""
        return f"http://127.0.0.1:{self.server_port}/v2"

    def submit(self, request: dict[str, Any]) -> str:
        job_id = self.queue.submit(request["input"])
        self._known.add(job_id)
        return job_id

    def cancel(self, job_id: str) -> dict[str, Any] | None:
        if self.status(job_id) is None:
            return None
        self._cancelled.add(job_id)
        self.queue.cancel(job_id)
        return {"id": job_id, "status": "CANCELLED"}

    def status(self, job_id: str) -> dict[str, Any] | None:
        """What is known of a job; None where there is none of that id."""
        if job_id not in self._known:
            return None
        if job_id in self._cancelled:
            return {"id": job_id, "status": "CANCELLED"}
        result = self.queue.result(job_id)
        if result is None:
            progress = self.queue.progress(job_id)
            if not progress:
                return {"id": job_id, "status": "IN_QUEUE" if job_id in self.queue.waiting() else "IN_PROGRESS"}
            return {"id": job_id, "status": "IN_PROGRESS", "output": progress[-1]}
        state = {"id": job_id, "status": "FAILED" if result.get("error") else "COMPLETED"}
        times = {"delayTime": 1, "executionTime": 1}  # milliseconds
        return state | times | {key: result[key] for key in ("output", "error") if result.get(key) is not None}

    def health(self) -> dict[str, Any]:
        states = [str((self.status(job_id) or {}).get("status")) for job_id in self._known]
        jobs = {"completed": "COMPLETED", "failed": "FAILED", "inProgress": "IN_PROGRESS", "inQueue": "IN_QUEUE"}
        counts = {name: states.count(state) for name, state in jobs.items()}
        return {"jobs": counts | {"retried": 0}, "workers": {"idle": 1, "running": 0}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RunPodApi

    def do_GET(self) -> None:
        if not self._allowed():
            return
        kind, job_id = self._asked()
        if self.server.busy:
            self.server.busy -= 1
            self._answer(429, {"error": "too many requests"})
        elif kind == "health":
            self._answer(200, self.server.health())
        elif kind == "status" and (state := self.server.status(job_id)):
            self._answer(200, state)
        else:
            self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._allowed():
            return
        kind, job_id = self._asked()
        if kind == "cancel":
            state = self.server.cancel(job_id)
            self._answer(200 if state else 404, state or {"error": "not found"})
            return
        request = json.loads(body or b"null")
        if kind not in ("run", "runsync"):
            self._answer(404, {"error": "not found"})
        elif not isinstance(request, dict) or "input" not in request:
            self._answer(400, {"error": "input is required"})
        elif kind == "run":
            self._answer(200, {"id": self.server.submit(request), "status": "IN_QUEUE"})
        else:
            job_id = self.server.submit(request)
            waits = parse_qs(urlsplit(self.path).query).get("wait", [str(_WAIT_SECONDS * 1000)])
            with contextlib.suppress(TimeoutError):
                self.server.queue.wait(job_id, float(waits[0]) / 1000)
            self._answer(200, self.server.status(job_id))

    def _asked(self) -> tuple[str, str]:
        """The operation and the job it is about; empty for another endpoint's."""
        parts = urlsplit(self.path).path.split("/")
        self.server.requests.append(f"{self.command} {urlsplit(self.path).path}")
        if parts[:3] != ["", "v2", ENDPOINT_ID] or not 4 <= len(parts) <= 5:
            return "", ""
        return parts[3], parts[4] if len(parts) == 5 else ""

    def _allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {API_KEY}":
            return True
        self._answer(401, {"error": "unauthorized"})
        return False

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        with contextlib.suppress(ConnectionError):  # a caller that has had enough
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@contextlib.contextmanager
def serve_runpod_api(queue: RunPodQueue) -> Iterator[RunPodApi]:
    """The API in front of a queue, until the block ends."""
    server = RunPodApi(queue)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="api")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
