"""Requests that are hostile, hurried or odd: what they may hold, how long they may take, and which routes they open."""

import asyncio
import contextlib
import json
import select
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.local_server import local_server
from support.workflows import ROOT

from engine import Catalog
from engine.local_queue import LocalQueue
from engine.server.app import create_app
from engine.server.context import ServerContext
from engine.server.file_answers import is_range
from engine.server.patience import Patience, with_patience
from engine.server.serving import Shelf
from engine.settings import Settings

TOKEN = "a-token-that-is-long-enough"
LONGEST = 50_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    bounds = {"API_BODY_BYTES": str(LONGEST), "API_CORS_ORIGINS": "https://App.example.com/"}
    with local_server(tmp_path_factory.mktemp("server"), **bounds) as found:
        yield found


@contextlib.contextmanager
def application(folder, **settings):
    """The routes as they are served, without a process or a ComfyUI."""
    made = Settings(api_folder=folder, output_folder=folder / "out", comfy_url="http://127.0.0.1:9", **settings)
    catalog, shelf = Catalog([ROOT]), Shelf(made)
    with contextlib.ExitStack() as stack:
        queue = LocalQueue(folder, [], most_waiting=1, most_kept=1, begin=False)
        stack.callback(queue.close)
        lane = shelf.lanes(catalog, stack, simulate=False)[0]
        yield create_app(ServerContext(made, catalog, lane.runner, queue, shelf.secret, simulated=False))


def routes_of(app):
    """The address and a method of every route that there is."""
    waiting = [*app.router.routes]
    while waiting:
        route = waiting.pop()
        if included := getattr(route, "original_router", None):
            waiting += included.routes
        else:
            yield from ((route.path, method) for method in sorted(route.methods or {"GET", "POST", "DELETE"}))


def status_of(app, method, path):
    """The status that an application answers a request without a token with."""
    statuses = []

    pieces = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if not pieces:
            await asyncio.Event().wait()
        return pieces.pop()

    async def send(message):
        statuses.append(message.get("status"))

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    asyncio.run(app(scope, receive, send))
    return statuses[0]


def test_without_the_token_no_route_is_open_but_pages(tmp_path):
    pages = {"/", "/docs", "/docs/{path:path}", "/assets/{path:path}"}
    with application(tmp_path, api_token=TOKEN) as app:
        found = set(routes_of(app))
        assert {path for path, _ in found} >= {*pages, "/server", "/mcp", "/run", "/v2/{endpoint}/run", "/files"}
        for path, method in found:
            is_free = path in pages or (path, method) == ("/server", "GET")
            status = status_of(app, method, path.replace("{", "").replace("}", "").replace(":", ""))
            assert (status == 401) != is_free, (method, path, status)


def test_the_document_has_every_route_of_the_api_and_no_other(tmp_path, server):
    document = server.get("/openapi.json").json()
    told = {(path, method.upper()) for path, each in document["paths"].items() for method in each}
    pages = {"/", "/docs", "/docs/{path:path}", "/assets/{path:path}", "/server", "/openapi.json", "/mcp"}
    names = [each["name"] for each in server.get("/workflows").json()["workflows"]]
    with application(tmp_path) as app:
        there = {each for each in routes_of(app) if each[1] != "HEAD" and each[0] not in pages}
    wanted = set()
    for path, method in there:
        typed = path == "/workflows/{name}" or path == "/workflows/{name}/render"
        if not path.startswith("/v2/{endpoint}/"):
            wanted |= {(path.replace("{name}", name), method) for name in names} if typed else {(path, method)}
    assert told == wanted
    assert {path.removeprefix("/v2/{endpoint}") for path, _ in there if path.startswith("/v2/")} <= set(
        document["paths"]
    )


@given(
    st.text("bytes=0123456789-, \x00x", max_size=20) | st.lists(st.integers(-9, 9)).map(lambda all_: f"bytes={all_}")
)
def test_no_header_of_a_range_breaks_anything(text):
    if is_range(text):
        assert text.strip().lower().startswith("bytes")
        assert any(each.isdigit() for each in text)


def test_a_file_is_given_in_ranges_and_what_can_not_be_followed_is_ignored(server):
    result = server.post("/workflows/resize", {"color": "#336699", "width": 64})
    path = urlsplit(result.json()["outputs"][0]["url"])
    address = f"{path.path}?{path.query}"
    whole = server.get(address).content
    part = server.get(address, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, whole[2:6])
    for ignored in ("bytes=5-2", "lines=1-2", "bytes=", "bytes=a-b", "x"):
        assert server.get(address, headers={"Range": ignored}).content == whole
    beyond = server.get(address, headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert beyond.json()["failure"]["code"] == "no_such_range"
    head = server.session.head(server.url + address, timeout=10)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(whole)), b"")


def test_what_can_be_read_can_be_asked_for_without_its_body(server):
    for path in ("/", "/docs", "/workflows", "/jobs", "/openapi.json", "/health"):
        head = server.session.head(server.url + path, timeout=10)
        assert (head.status_code, head.content) == (200, b"")
    refused = server.session.head(f"{server.url}/jobs/x/events", timeout=10)  # it would stay until the job is over
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/workflows/txt2img", "/workflows/txt2img/render", "/workflows/txt2img/calls"])
def test_a_payload_that_is_nested_deeply_is_refused_in_words(server, path):
    text = '{"prompt": ' + "[" * 800 + "]" * 800 + "}"
    reply = server.post(path, data=text, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["failure"]["code"] == "invalid_payload"


def test_json_may_begin_with_a_byte_order_mark_on_every_route(server):
    payload = {"color": "#336699", "width": 8}
    for path, body in (("/workflows/resize", payload), ("/run", {"input": {"workflow": "resize", "payload": payload}})):
        assert server.post(path, data=b"\xef\xbb\xbf" + json.dumps(body).encode()).status_code == 200


def test_of_a_form_everything_that_is_wrong_is_told_by_its_parameter(server):
    fields = [("prompt", (None, "a")), ("prompt", (None, "b")), ("promt", (None, "c")), ("steps", (None, ""))]
    reply = server.post("/workflows/img2img", files=[*fields, ("image", ("cat.png", b""))])
    told = {each["parameter"]: each["message"] for each in reply.json()["failure"]["problems"]}
    assert set(told) == {"prompt", "promt", "steps", "image"}
    assert told["image"] == "cat.png is an empty file: it has no bytes"


def test_the_texts_of_a_form_are_bounded_together(server):
    half = "x" * (LONGEST // 2 + 1)
    for fields in ([("a", (None, half)), ("b", (None, half))], [("a", (None, half * 2))]):
        reply = server.post("/workflows/txt2img", files=fields)
        assert (reply.status_code, reply.json()["failure"]["code"]) == (413, "body_too_long")
    files = [("prompt", ("a.txt", half)), ("negative_prompt", ("b.txt", half))]
    assert server.post("/workflows/txt2img", files=files).status_code == 422


def test_forms_count_among_the_bodies_that_come_at_once(server):
    begin = '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + "x" * (LONGEST - 1000)
    host = urlsplit(server.url)
    head = "POST /workflows/txt2img HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(5):  # four times the bound may be held; none of these comes to its end
            raw = stack.enter_context(socket.create_connection((host.hostname, host.port), timeout=10))
            raw.sendall(f"{head}Content-Length: 10000000\r\n\r\n{begin}".encode())
            held.append(raw)
        answered_first, _, _ = select.select(held, [], [], 30)
        ready = answered_first[0].recv(65_536)
    assert b" 429 " in ready.splitlines()[0]


def test_a_site_of_the_list_is_known_however_it_is_written(server):
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    preflight = server.session.options(f"{server.url}/run", headers=asked, timeout=10)
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_links_lead_to_no_host_that_is_none(server):
    for host in ("127.0.0.1:1@evil.example", "localhost:evil.example", "[::1].evil.example", "[::1]@evil.example"):
        assert server.get("/jobs", headers={"Host": host}).status_code in {400, 421}, host


async def answered(patience, pieces, *, begun=False):
    """What a caller gets who sends these pieces of a body, and then nothing; and what the application read of it."""
    sent, read = [], []
    waiting = [*pieces]

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": waiting.pop(0), "more_body": True}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["type"] == "http.request":
            read.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    await with_patience(app, patience)({"type": "http", "headers": []}, receive, send)
    return [each["status"] for each in sent if "status" in each], read


def test_a_body_that_does_not_come_is_given_up():
    statuses, read = asyncio.run(answered(Patience(pause_seconds=0.01), [b"a", b"b"]))
    assert (statuses, read) == ([408], [b"a", b"b"])


def test_a_body_that_drips_is_given_up_and_one_that_comes_is_not():
    patience = Patience(pause_seconds=30, grace_seconds=60, least_rate=1000)
    assert patience.left(waited=0, came=0) == 30
    assert patience.left(waited=55, came=10) == pytest.approx(5.01)
    assert patience.left(waited=61, came=10) == 0
    assert patience.left(waited=100, came=90_000) == 30


async def begun_and_left_alone():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            return await answered(Patience(pause_seconds=0.01), [b"a"], begun=True)
    return None


def test_a_caller_who_is_answered_already_may_stay():
    assert asyncio.run(begun_and_left_alone()) is None  # it waits, as a stream of events does
