"""What rclone never answers, or does not keep: a real HTTP server that says no in S3's own words, or notes requests."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.parsers import ResponseParserError
from support.outputs import of_job, output_file

from engine.errors import StorageError
from engine.s3 import translated
from engine.storage import S3Options, S3Storage

# As Amazon does, which puts the key's id and the text that was signed into its messages.
ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>no, AKIDSECRETID</Message><AWSAccessKeyId>AKIDSECRETID</AWSAccessKeyId>
<StringToSign>AWS4-HMAC-SHA256</StringToSign></Error>"""


class Refusal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, dict(self.headers)))
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


MEBIBYTE = 1024 * 1024


@pytest.fixture
def answering():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    server.answer, server.seen = (200, ""), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    made = []

    def storage(**options):
        made.append(
            S3Storage(
                S3Options(
                    "results",
                    endpoint_url=f"http://127.0.0.1:{server.server_port}",
                    access_key_id="AKIDSECRETID",
                    secret_access_key="the-secret",
                    **options,
                ),
                retry_seconds=0.5,
            )
        )
        return made[-1]

    yield server, storage
    for each in made:
        each.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def refusing(answering):
    server, storage_with = answering
    storage = storage_with()

    def refuse(status, code, output):
        server.answer = (status, code)
        with pytest.raises(StorageError) as caught:
            storage.put([output], **of_job())
        return caught.value

    return refuse


def headers_of(server):
    [(_, headers)] = server.seen
    wanted = ("x-amz-acl", "x-amz-storage-class", "cache-control", "content-type")
    return {name: value for name, value in ((key.lower(), value) for key, value in headers.items()) if name in wanted}


def test_a_small_file_is_sent_at_once_and_a_long_one_when_the_server_wants_it(answering, tmp_path):
    """Asking first costs a round trip."""
    server, storage_with = answering
    storage = storage_with()
    for size in (1000, 3 * MEBIBYTE):
        storage.put([output_file(tmp_path, content=b"x" * size)], **of_job())
    assert [(headers["Content-Length"], headers.get("Expect")) for _, headers in server.seen] == [
        ("1000", None),
        (str(3 * MEBIBYTE), "100-continue"),
    ]


def test_what_goes_with_an_object_is_the_operators_or_the_requests(answering, tmp_path):
    server, storage_with = answering
    storage = storage_with(acl="private", storage_class="STANDARD", cache_control="no-store")
    storage.put([output_file(tmp_path)], **of_job())
    assert headers_of(server) == {
        "x-amz-acl": "private",
        "x-amz-storage-class": "STANDARD",
        "cache-control": "no-store",
        "content-type": "image/png",
    }
    server.seen.clear()
    storage.put(
        [output_file(tmp_path)],
        **of_job(acl="public-read", storage_class="STANDARD_IA", cache_control="public, max-age=60"),
    )
    assert headers_of(server) == {
        "x-amz-acl": "public-read",
        "x-amz-storage-class": "STANDARD_IA",
        "cache-control": "public, max-age=60",
        "content-type": "image/png",
    }


def test_without_a_wish_nothing_but_the_type_goes_with_an_object(answering, tmp_path):
    server, storage_with = answering
    storage_with().put([output_file(tmp_path)], **of_job())
    assert headers_of(server) == {"content-type": "image/png"}


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (403, "AccessDenied", False),
        (403, "SignatureDoesNotMatch", False),
        (403, "InvalidAccessKeyId", False),
        (404, "NoSuchBucket", False),
        (400, "AuthorizationHeaderMalformed", False),
        (400, "ExpiredToken", False),
        (400, "EntityTooLarge", False),
        (403, "SomethingNew", False),
        (403, "RequestTimeTooSkewed", True),
        (503, "SlowDown", True),
        (500, "InternalError", True),
        (500, "SomethingNew", True),
    ],
)
def test_a_refusal_says_whether_trying_again_can_help(refusing, tmp_path, status, code, retryable):
    assert refusing(status, code, output_file(tmp_path)).failure()["retryable"] is retryable


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


def test_an_answer_that_can_not_be_read_is_one_of_the_servers():
    """Botocore raises this for a success whose body is not the XML that S3 answers with."""
    options = S3Options("results", endpoint_url="https://example.org")
    with pytest.raises(StorageError, match=r"example\.org does not speak S3"), translated(options):
        raise ResponseParserError
