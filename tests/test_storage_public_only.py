"""A caller's bucket, whose endpoint is a stranger's word: only public addresses are connected to."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.outputs import of_job, output_file
from support.s3 import BUCKET, serve_s3
from support.web import make_certificate

from engine.addresses import is_public
from engine.dialing import NotPublicError
from engine.errors import InvalidRequest, StorageError
from engine.settings import load_settings
from engine.storage import S3Options, S3Storage, Storages
from engine.storage.callers_bucket import CallersBuckets

CREDENTIALS = {"access_key_id": "the-key-id", "secret_access_key": "the-secret"}
LARGE = 9 * 1024 * 1024


class Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_CONNECT = do_PUT  # noqa: N815 - http.server's names

    def log_message(self, *args):
        pass


class BucketServer(ThreadingHTTPServer):
    """Counts those who connect, whether or not they say anything."""

    connected = 0

    def verify_request(self, *_):
        self.connected += 1
        return True

    def handle_error(self, request, client_address):
        """A client that does not trust the certificate hangs up."""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve():
    running = []

    def start(certificate=None):
        server = BucketServer(("127.0.0.1", 0), Bucket)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def storage_at():
    made = []

    def make(url, public, **options):
        made.append(
            S3Storage(
                S3Options(**{"bucket": BUCKET, "endpoint_url": url, **CREDENTIALS, **options}),
                public=public,
                retry_seconds=0.5,
            )
        )
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "in parts"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_address_is_not_connected_to_whatever_was_found_before(serve, tmp_path, host, size):
    server = serve()
    options = S3Options(BUCKET, endpoint_url=f"http://{host}:{server.server_port}", **CREDENTIALS)
    callers = CallersBuckets(uploads_at_once=2, allow_private=False)
    with pytest.raises(InvalidRequest) as caught, callers.borrow(options) as storage:
        storage.put([output_file(tmp_path, content=bytes(size))], **of_job())
    callers.close()
    assert caught.value.message == "s3Config.endpointUrl: leads into a private network, which is not allowed"
    assert server.connected == 0


def test_a_name_that_leads_elsewhere_the_second_time(serve, tmp_path, monkeypatch):
    """The resolver is the system's, and only root could make it change its mind; here its answers are given."""
    server, asked, resolve = serve(), [], socket.getaddrinfo

    def rebinding(host, port, *args, **more):
        if host != "rebinding.example":
            return resolve(host, port, *args, **more)
        asked.append(host)
        return resolve("93.184.216.34" if len(asked) == 1 else "127.0.0.1", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setenv("ALLOW_S3_CONFIG", "1")
    config = {
        "accessId": "the-key-id",
        "accessSecret": "the-secret",
        "bucketName": "callers",
        "endpointUrl": f"http://rebinding.example:{server.server_port}",
    }
    storages = Storages(load_settings(), default="inline")
    delivery = storages.delivery(None, s3_config=config)
    asked.clear()  # `put` looks once more before it uploads
    with pytest.raises(InvalidRequest, match="leads into a private network"):
        storages.put([output_file(tmp_path)], naming=of_job()["naming"], delivery=delivery, s3_config=config)
    storages.close()
    assert len(asked) == 2
    assert server.connected == 0


def test_one_private_address_among_public_ones(storage_at, serve, tmp_path, monkeypatch):
    server, resolve = serve(), socket.getaddrinfo

    def two(host, port, *args, **more):
        names = ["93.184.216.34", "127.0.0.1"] if host == "two.example" else [host]
        return [found for name in names for found in resolve(name, port, *args, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    storage = storage_at(f"http://two.example:{server.server_port}", lambda address, _: is_public(address))
    with pytest.raises(NotPublicError):
        storage.put([output_file(tmp_path)], **of_job())
    assert server.connected == 0


@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "in parts"])
def test_what_may_be_connected_to_is(storage_at, tmp_path, size):
    with serve_s3(tmp_path / "s3") as server:
        port = int(server.endpoint_url.rpartition(":")[2])
        asked = []

        def only_this(address, at):
            asked.append((address, at))
            return (address, at) == ("127.0.0.1", port)

        storage = storage_at(server.endpoint_url, only_this, **server.options())
        [stored] = storage.put([output_file(tmp_path, content=bytes(size))], **of_job())
        kept = server.folder / stored.uri.removeprefix("s3://")
        assert kept.stat().st_size == size
    assert set(asked) == {("127.0.0.1", port)}


@pytest.mark.parametrize(("names", "trusted"), [("IP:127.0.0.1", True), ("DNS:elsewhere.example", False)])
def test_a_certificate_is_checked_against_the_name(storage_at, serve, tmp_path, monkeypatch, names, trusted):
    certificate = make_certificate(tmp_path, names)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    server = serve(certificate)
    storage = storage_at(f"https://127.0.0.1:{server.server_port}", lambda *_: True)
    if trusted:
        assert storage.put([output_file(tmp_path)], **of_job())[0].uri
    else:
        with pytest.raises(StorageError, match=r"the certificate of 127\.0\.0\.1"):
            storage.put([output_file(tmp_path)], **of_job())


def test_no_proxy_is_asked_for_names(storage_at, serve, tmp_path, monkeypatch):
    proxy = serve()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
    storage = storage_at("http://169.254.169.254", lambda address, _: is_public(address))
    with pytest.raises(NotPublicError):
        storage.put([output_file(tmp_path)], **of_job())
    assert proxy.connected == 0


def test_an_endpoint_that_does_not_answer_is_said(storage_at, tmp_path, unused_port):
    storage = storage_at(f"http://127.0.0.1:{unused_port}", lambda *_: True)
    with pytest.raises(StorageError, match=f"no answer from 127.0.0.1:{unused_port}"):
        storage.put([output_file(tmp_path)], **of_job())
    with pytest.raises(StorageError, match=r"no answer from nowhere\.invalid"):
        storage_at("http://nowhere.invalid", lambda *_: True).put([output_file(tmp_path)], **of_job())
