"""Webhooks: posted when a job has ended, again where they are not taken, and never to where they may not go."""

import http.server
import json
import queue
import socket
import threading

import pytest
from support.local_queue import PATIENCE, at_once, ended, job, queue_of

from engine.errors import InvalidRequest


@pytest.fixture
def receiver():
    """A server that answers what it is told, and keeps what it was sent."""
    received = queue.Queue()
    answers = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.put((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(answers.get_nowait() if not answers.empty() else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.next = lambda: received.get(timeout=PATIENCE)
        server.answers = answers
        server.received = received
        yield server
        server.shutdown()
        thread.join()


def document(record, base_url):
    return {"id": record.id, "status": record.state, "at": base_url, "output": record.reply}


def settled(jobs, job_id):
    """Waits until nothing is left to be posted of a job; only then is it forgotten by age."""
    while any(each.id == job_id for each in jobs.history()[0]):
        ended(jobs, jobs.submit(job("another")).id)


def test_a_finished_job_is_posted_until_it_is_taken(tmp_path, receiver):
    for status in (500, 302, 404):
        receiver.answers.put(status)
    options = {"document": document, "private_webhooks": True, "webhook_delays": (0, 0, 0, 0), "most_kept": 1}
    with queue_of(tmp_path, at_once, **options) as jobs:
        webhook = f"{receiver.url}/hook?key=1"
        one = jobs.submit(job("one", webhook=webhook, base_url="http://me:8000"))
        posted = [receiver.next() for _ in range(4)]
        settled(jobs, one.id)
    assert {path for path, _ in posted} == {"/hook?key=1"}
    assert posted[0] == posted[-1]
    reply = {"outputs": [], "values": {"echo": "one"}}
    assert posted[0][1] == {"id": one.id, "status": "COMPLETED", "at": "http://me:8000", "output": reply}
    assert receiver.received.empty()


def test_what_was_not_taken_is_posted_after_a_restart_and_given_up_in_the_end(tmp_path, receiver, caplog):
    for _ in range(3):
        receiver.answers.put(503)
    options = {"private_webhooks": True, "webhook_delays": (0, 0), "most_kept": 1}
    with queue_of(tmp_path, at_once, **options, begin=False) as jobs:
        one = jobs.submit(job("one", webhook=f"{receiver.url}/secret-hook?key=sesame"))
        jobs.cancel(one.id)
    with queue_of(tmp_path, at_once, **options) as jobs:
        assert [receiver.next()[1] for _ in range(3)] == [{"id": one.id, "status": "CANCELLED"}] * 3
        settled(jobs, one.id)
    assert receiver.received.empty()
    assert "a webhook is given up" in caplog.text
    assert "sesame" not in " ".join(str(vars(record)) for record in caplog.records)


def test_a_receiver_that_hangs_holds_up_no_job_and_no_end(tmp_path, receiver):
    with socket.create_server(("127.0.0.1", 0)) as hangs, queue_of(tmp_path, at_once, private_webhooks=True) as jobs:
        first = jobs.submit(job("hangs", webhook=f"http://127.0.0.1:{hangs.getsockname()[1]}/"))
        connection, _ = hangs.accept()
        with connection:
            ended(jobs, first.id)
            second = jobs.submit(job("goes on", webhook=receiver.url))
            assert receiver.next()[1]["id"] == second.id
            jobs.stop(0)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://a.example/", "http"),
        ("file:///etc/passwd", "http"),
        ("no url", "webhook"),
        ("http://127.0.0.1:9/", "not on the public internet"),
        ("http://[::1]/", "not on the public internet"),
        ("http://169.254.169.254/latest", "not on the public internet"),
        ("http://localhost:8188/interrupt", "not on the public internet"),
    ],
)
def test_a_webhook_that_may_not_be_posted_to_is_refused_with_its_job(tmp_path, url, problem):
    with queue_of(tmp_path, at_once) as jobs:
        with pytest.raises(InvalidRequest, match=problem):
            jobs.submit(job("one", webhook=url))
        assert jobs.history()[0] == []


def test_a_name_that_leads_to_a_private_address_gets_nothing(tmp_path, receiver, caplog):
    # 2130706433 is 127.0.0.1 to a resolver, and no address to who only reads it.
    with queue_of(tmp_path, at_once, most_kept=1) as jobs:
        one = jobs.submit(job("one", webhook=f"http://2130706433:{receiver.server_port}/"))
        settled(jobs, one.id)
    assert receiver.received.empty()
    assert "a webhook is given up" in caplog.text
