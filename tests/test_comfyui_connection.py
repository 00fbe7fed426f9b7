"""What goes wrong on the way to a ComfyUI, in words; against real sockets that misbehave."""

import contextlib
import http.server
import socket
import ssl
import threading

import pytest
from support.web import make_certificate

from engine.comfyui import ComfyClient
from engine.comfyui.connection import NoAnswer
from engine.errors import ComfyUnavailable


@contextlib.contextmanager
def serving(respond, tls=None):
    """A server that hands each connection to a function; gives its address and the list of requests that came."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.wfile.write(respond)
            self.close_connection = True

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):  # who does not believe our certificate hangs up
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def answer(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


STATS = answer(b'{"system": {}}', "Content-Length: 14")


def refusal(ask):
    with pytest.raises(ComfyUnavailable) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize(
    "respond",
    [
        b"",
        b"\x16\x03garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        answer(b"{", "Content-Length: 100"),
        answer(b"ZZ\r\n{}", "Transfer-Encoding: chunked"),
        answer(b"abcd", "Content-Encoding: gzip", "Content-Length: 4"),
        answer(b"\xff\xfe{", "Content-Length: 3"),
        answer(b"<html>", "Content-Length: 6", status="502 Bad Gateway"),
    ],
    ids=["nothing", "garbage", "status", "cut", "chunks", "gzip", "no text", "gateway"],
)
def test_a_prompt_whose_answer_got_lost_is_sent_once_and_may_be_queued(respond):
    with serving(respond) as (host, asked), contextlib.closing(ComfyClient(f"http://{host}")) as client:
        assert isinstance(refusal(lambda: client.queue_prompt({}, "id", "client")), NoAnswer)
    assert len(asked) < 2


def test_a_result_with_a_length_that_is_none_is_no_result(tmp_path):
    respond = answer(b"{}", "Content-Length: abc")
    with serving(respond) as (host, _), contextlib.closing(ComfyClient(f"http://{host}")) as client:
        error = refusal(lambda: client.download("a.png", "job/x", "output", tmp_path / "a.png"))
    assert error.message == f"ComfyUI at http://{host} broke the connection during GET /view"
    assert not list(tmp_path.iterdir())


def test_what_a_caller_is_told_of_a_broken_connection_names_no_file(tmp_path):
    with serving(b"") as (host, _), contextlib.closing(ComfyClient(f"http://{host}")) as client:
        error = refusal(lambda: client.download("a.png", "job/x", "output", tmp_path / "a.png"))
    assert error.message == f"ComfyUI at http://{host} broke the connection during GET /view"


def test_a_certificate_is_believed_where_its_authority_is_named(monkeypatch, tmp_path):
    certificate = make_certificate(tmp_path, names="IP:127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with serving(STATS, tls) as (host, _):

        def ask(bundle, host=host):
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
            with contextlib.closing(ComfyClient(f"https://{host}")) as client:
                return client.system_stats()

        assert ask(certificate) == {"system": {}}
        unknown = refusal(lambda: ask(""))
        elsewhere = refusal(lambda: ask(certificate, host.replace("127.0.0.1", "localhost")))
        missing = refusal(lambda: ask(tmp_path / "none.pem"))

    assert unknown.message == f"the certificate of ComfyUI at https://{host} is not believed: self-signed certificate"
    assert "REQUESTS_CA_BUNDLE" in unknown.hint
    assert "not valid for 'localhost'" in elsewhere.message
    assert missing.message == f"ComfyUI at https://{host} can't be asked: there is no file of authorities to believe"
    assert not any(isinstance(each, NoAnswer) for each in (unknown, elsewhere, missing))  # nothing was asked


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("http://127.0.0.1:{unused}", "the proxy that the environment names does not connect to it"),
        ("socks5://127.0.0.1:{unused}", "the proxy that the environment names is none of http:// or https://"),
        ("http://127.0.0.1:port", "the proxy that the environment names is none of http:// or https://"),
    ],
)
def test_a_proxy_that_is_none_is_told_from_a_comfyui_that_is_none(proxy, why, unused_port, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.format(unused=unused_port))
    for name in ("http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with contextlib.closing(ComfyClient("http://comfy.example")) as client:
        error = refusal(client.system_stats)
    assert error.message == f"ComfyUI at http://comfy.example can't be asked: {why}"
    assert "NO_PROXY" in error.hint
    assert not isinstance(error, NoAnswer)


def test_an_address_of_version_six_is_asked():
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError:
            pytest.skip("this machine has no IPv6")

        def answer_once():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(STATS)

        thread = threading.Thread(target=answer_once)
        thread.start()
        stack.callback(thread.join)
        with contextlib.closing(ComfyClient(f"http://[::1]:{listener.getsockname()[1]}")) as client:
            assert client.system_stats() == {"system": {}}
