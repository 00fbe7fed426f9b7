"""Who may call the local server, with how much, and what it gives away."""

import asyncio
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from fastapi.testclient import TestClient
from support.playground import free_port

from engine.errors import EngineError
from engine.server.answers import handle_failures
from engine.server.security import without_crashes

TOKEN = "a-token-that-is-long-enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
APP = "https://app.example.com"
SHORT = {"input": {"workflow": "resize", "payload": {"color": "#336699", "width": 64}}}
LONGEST = 50_000


@pytest.fixture(scope="module")
def own(playground):
    """For this machine alone; no workflow takes time."""
    return playground(step_seconds=0, API_BODY_BYTES=str(LONGEST))


@pytest.fixture(scope="module")
def open_to_others(playground):
    own = {"API_TOKEN": TOKEN, "API_CORS_ORIGINS": APP, "API_RATE": "120", "API_HOSTS": "box.example"}
    return playground(step_seconds=0, **own)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:8000", "LOCALHOST."])
def test_this_machine_is_called_by_its_names(own, host):
    assert requests.get(f"{own.url}/health", headers={"Host": host}, timeout=10).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "10.0.0.1", ""]
)
def test_a_name_that_somebody_else_lets_lead_here_opens_nothing(own, host):
    answer = requests.get(f"{own.url}/jobs", headers={"Host": host}, timeout=10)
    assert answer.status_code in {400, 421}
    if answer.status_code == 421:
        assert answer.json()["failure"]["code"] == "host_refused"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", ["/run", "/purge-queue", "/workflows/resize", "/files?name=x.png"])
def test_the_page_of_another_site_changes_nothing(own, origin, path):
    headers = {"Origin": origin, "Content-Type": "text/plain"}  # which a browser sends without asking
    answer = requests.post(f"{own.url}{path}", json=SHORT, headers=headers, timeout=10)
    assert answer.status_code == 403
    assert answer.json()["failure"]["code"] == "origin_refused"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_servers_own_page_may_post(own):
    answer = requests.post(f"{own.url}/runsync", json=SHORT, headers={"Origin": own.url}, timeout=30)
    assert answer.json()["status"] == "COMPLETED"


def test_a_body_that_is_too_long_is_refused_before_it_is_read(own):
    connection = http.client.HTTPConnection(urlsplit(own.url).netloc, timeout=10)
    connection.putrequest("POST", "/run")
    connection.putheader("Content-Length", str(LONGEST + 1))
    connection.endheaders()  # and not a byte of it
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["failure"]["code"] == "body_too_long"
    connection.close()


@pytest.mark.parametrize("path", ["/run", "/v2/any/runsync", "/workflows/resize", "/workflows/resize/render"])
def test_a_body_that_does_not_say_its_length_is_read_no_further_than_the_bound(own, path):
    def chunks():
        while True:
            yield b" " * 10_000

    # It would go on for ever: the server answers, and hangs up.
    host, port = urlsplit(own.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(LONGEST // 10_000 + 1):
            raw.sendall(b"2710\r\n" + next(chunks()) + b"\r\n")
        answer = raw.recv(65_536)
    assert b" 413 " in answer.splitlines()[0]


def test_with_a_token_pages_are_open_and_nothing_else(open_to_others):
    url = open_to_others.url
    assert requests.get(f"{url}/server", timeout=10).json() == {"token_needed": True}
    assert requests.get(f"{url}/server", headers=BEARER, timeout=10).json()["simulated"] is True
    assert requests.get(f"{url}/docs", timeout=10).status_code == 200
    paths = [("GET", "/jobs"), ("GET", "/health"), ("POST", "/run"), ("POST", "/"), ("GET", "/files/x"), ("GET", "/x")]
    for method, path in [*paths, ("GET", "/v2/any/health"), ("GET", "/workflows"), ("GET", "/jobs/x/files/0/x.png")]:
        for headers in ({}, {"Authorization": "Bearer something-else-entirely"}, {"Authorization": TOKEN}):
            refused = requests.request(method, f"{url}{path}", headers=headers, timeout=10)
            assert refused.status_code == 401, path
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert "API_TOKEN" in refused.json()["error"]


def test_a_result_opens_by_its_link_alone_and_by_no_other(open_to_others):
    url = open_to_others.url
    done = requests.post(f"{url}/runsync", json=SHORT, headers=BEARER, timeout=30).json()
    output = done["output"]["outputs"][0]
    assert "path" not in output
    assert requests.get(output["url"], timeout=10).headers["Content-Type"] == "image/png"
    begin, _, signature = output["url"].partition("?signature=")
    wrong = ("0" if signature[0] != "0" else "1") + signature[1:]
    for link in (begin, f"{begin}?signature={wrong}", f"{begin}?signature=", f"{begin[:-4]}.txt?signature={signature}"):
        assert requests.get(link, timeout=10).status_code in {401, 404}
    for other in ("/jobs", f"/jobs/{done['id']}", "/workflows"):
        assert requests.get(f"{url}{other}?signature={signature}", timeout=10).status_code == 401


def test_a_site_of_the_list_may_call_with_the_token(open_to_others):
    url = open_to_others.url
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    preflight = requests.options(
        f"{url}/runsync", headers=asked | {"Access-Control-Request-Headers": "authorization,content-type"}, timeout=10
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    answer = requests.post(f"{url}/runsync", json=SHORT, headers=BEARER | {"Origin": APP}, timeout=30)
    assert answer.json()["status"] == "COMPLETED"
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    refused = requests.post(f"{url}/runsync", json=SHORT, headers={"Origin": APP}, timeout=10)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == APP  # so that the page can read why
    other = requests.options(f"{url}/runsync", headers=asked | {"Origin": "https://evil.example"}, timeout=10)
    assert "Access-Control-Allow-Origin" not in other.headers


def test_a_server_is_called_by_the_names_of_its_list(open_to_others):
    for host, status in (("box.example:8000", 401), ("other.example", 421)):
        assert requests.get(f"{open_to_others.url}/jobs", headers={"Host": host}, timeout=10).status_code == status


def test_every_answer_says_what_browsers_may_do_with_it(own):
    for path in ("/docs", "/jobs", "/nothing", "/run", "/docs/viewer.js"):
        answer = requests.get(f"{own.url}{path}", timeout=10)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Server" not in answer.headers
        assert answer.headers["Cache-Control"] == ("no-cache" if path.startswith("/docs") else "no-store")
    page = requests.get(f"{own.url}/docs/viewer.js", timeout=10)
    again = requests.get(f"{own.url}/docs/viewer.js", headers={"If-None-Match": page.headers["ETag"]}, timeout=10)
    assert again.status_code == 304


@pytest.mark.parametrize("begin", ["/assets/", "/docs/", "/docs/vendored/", "/"])
@pytest.mark.parametrize(
    "rest",
    ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "%2e%2e%2f%2e%2e%2fpyproject.toml", "/etc/passwd", "..\\app.py", ""],
)
def test_nothing_but_the_servers_own_pages_is_served(own, begin, rest):
    connection = http.client.HTTPConnection(urlsplit(own.url).netloc, timeout=10)
    connection.request("GET", begin + rest)  # as it is: requests would tidy it up
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 404 or (begin + rest == "/" and b"<html" in text)
    assert b"FastAPI" not in text
    assert b"root:" not in text


def test_an_address_that_asks_too_often_is_told_when_to_come_again(open_to_others):
    answers = [requests.get(f"{open_to_others.url}/server", timeout=10) for _ in range(130)]
    refused = next(each for each in answers if each.status_code == 429)
    assert refused.json()["failure"] | {"hint": None} == {
        "code": "too_many_requests",
        "message": "more than 120 requests a minute",
        "hint": None,
        "retryable": True,
        "problems": [],
    }
    assert int(refused.headers["Retry-After"]) >= 1


def test_anything_but_loopback_needs_a_token(playground, tmp_path):
    from support.command import run_engine

    refused = run_engine(tmp_path, "serve", "--host", "0.0.0.0", "--port", str(free_port()), status=1)
    assert "API_TOKEN: is needed where API_HOST is 0.0.0.0" in refused.stderr


def test_of_a_failure_the_log_has_what_callers_are_not_told(caplog):
    app = FastAPI()
    handle_failures(app)

    @app.get("/full")
    def full():
        raise EngineError("the queue could not be written", detail="/disk: database or disk is full")

    with TestClient(app) as client:
        answer = client.get("/full")
    assert answer.status_code == 500
    assert "/disk" not in answer.text
    (told,) = [each.fields for each in caplog.records if each.message == "a request failed"]
    assert (told["path"], told["detail"]) == ("/full", "/disk: database or disk is full")


def test_of_an_error_that_nobody_foresaw_the_log_has_all_and_the_caller_nothing(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("the secret inside")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"x-request-id", b"abc")]}
    asyncio.run(without_crashes(broken)(scope, None, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["failure"]["code"] == "internal_error"
    assert b"secret" not in sent[1]["body"]
    assert "the secret inside" in caplog.text
