"""What a server may answer and rclone never does: a real HTTP server that says no in S3's own words."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.outputs import of_job, output_file

from engine.errors import StorageError
from engine.storage import S3Options, S3Storage

# As Amazon does, which puts the key's id and the text that was signed into its messages.
ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>no, AKIDSECRETID</Message><AWSAccessKeyId>AKIDSECRETID</AWSAccessKeyId>
<StringToSign>AWS4-HMAC-SHA256</StringToSign></Error>"""


class Refusal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, code = self.server.answer
        body = ANSWER.format(code=code).encode() if code else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_PUT()

    def do_HEAD(self):
        self.send_response(self.server.answer[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def refusing():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    storage = S3Storage(
        S3Options(
            "results",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            access_key_id="AKIDSECRETID",
            secret_access_key="the-secret",
        )
    )

    def refuse(status, code, output):
        server.answer = (status, code)
        with pytest.raises(StorageError) as caught:
            storage.put([output], **of_job())
        return caught.value

    yield refuse
    storage.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("size", [10, 9 * 1024 * 1024], ids=["small", "in parts"])
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "the key lacks s3:PutObject on `results`"),
        (403, "InvalidAccessKeyId", "does not know the access key id"),
        (403, "SignatureDoesNotMatch", "wrong secret key"),
        (403, "SomethingNew", "access denied by 127.0.0.1"),
        (403, "RequestTimeTooSkewed", "clock is wrong"),
        (400, "ExpiredToken", "temporary credentials have expired"),
        (400, "AuthorizationHeaderMalformed", "is in another region than the one set"),
        (404, "NoSuchBucket", "the bucket `results` does not exist at 127.0.0.1"),
        (400, "EntityTooLarge", "refused the upload to the bucket `results` (EntityTooLarge, HTTP 400)"),
        (409, "QuotaExceeded", "the bucket `results` is full"),
    ],
)
def test_a_refusal_is_said_in_words_and_without_secrets(refusing, tmp_path, status, code, said, size):
    error = refusing(status, code, output_file(tmp_path, content=bytes(size)))
    assert said in error.message
    shown = f"{error.message} {error.hint} {error.detail}"
    assert not any(secret in shown for secret in ("AKIDSECRETID", "the-secret", "HMAC"))
    assert code in error.detail
