"""Uploads to a ComfyUI whose disk is not the worker's: what arrives, and what it takes of memory."""

from __future__ import annotations

import email.parser
import email.policy
import http.server
import json
import threading
import tracemalloc

import pytest

from engine.comfyui import ComfyClient

MEBIBYTE = 1 << 20


class Upload(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted: its headers, how it begins and ends, and how long it is."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        start, end, left = b"", b"", length
        while left and (piece := self.rfile.read(min(left, MEBIBYTE))):
            start = start or piece
            end, left = piece[-1000:], left - len(piece)
        self.server.uploads.append((self.headers, start, end, length - left))
        self.server.callers.add(self.client_address)
        answer = json.dumps({"name": "stored.png", "subfolder": "job"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upload) as listening:
        listening.uploads, listening.callers = [], set()
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture
def client(server):
    made = ComfyClient(f"http://127.0.0.1:{server.server_port}")
    yield made
    made.close()


def parts_of(headers, body):
    """Name, filename and content of each part, as a reader that is not ours understands them."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--\r\n\0\xff", bytes(range(256)) * 300])
def test_a_form_arrives_whole(client, server, tmp_path, content):
    path = tmp_path / "photo"
    path.write_bytes(content)
    assert client.upload(path, filename="photo.png", subfolder="job") == "job/stored.png"
    [(headers, body, _, length)] = server.uploads
    assert length == len(body)
    assert "Transfer-Encoding" not in headers
    assert parts_of(headers, body) == [
        ("type", None, b"input"),
        ("subfolder", None, b"job"),
        ("image", "photo.png", content),
    ]


@pytest.mark.parametrize(
    ("filename", "written"),
    [
        ("Grüße 灯台.png", "Grüße 灯台.png"),
        ('a "quoted" one.png', "a %22quoted%22 one.png"),
        ('x.png"\r\nX-Header: y\r\n\r\nz', "x.png%22%0D%0AX-Header: y%0D%0A%0D%0Az"),
    ],
)
def test_a_name_stays_within_its_place(client, server, tmp_path, filename, written):
    path = tmp_path / "photo"
    path.write_bytes(b"content")
    client.upload(path, filename=filename)
    [(headers, body, _, _)] = server.uploads
    assert f'Content-Disposition: form-data; name="image"; filename="{written}"\r\n'.encode() in body
    assert [content for _, _, content in parts_of(headers, body)] == [b"input", b"", b"content"]


def test_a_large_file_does_not_pass_through_memory(client, server, tmp_path):
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    tracemalloc.start()
    try:
        client.upload(path, filename="film.mp4")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    [(_, _, end, length)] = server.uploads
    assert 64 * MEBIBYTE < length < 65 * MEBIBYTE
    assert end.endswith(b"--\r\n")
    # Of both the client and the server, which runs here too.
    assert peak < 8 * MEBIBYTE


def test_a_connection_is_kept_for_the_next_upload(client, server, tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(b"content")
    for _ in range(3):
        client.upload(path, filename="photo.png")
    assert len(server.uploads) == 3
    assert len(server.callers) == 1
