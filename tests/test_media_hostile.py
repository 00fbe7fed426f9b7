"""What a caller who means harm may send as a file. Each is refused by name, and nothing of it is left."""

from __future__ import annotations

import base64
import gzip
import re
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import media
from support.web import drip, reply, serve_raw, serve_web

from engine.addresses import is_public
from engine.errors import EngineError, InputRejected, InputUnavailable
from engine.media import MediaReader, Wanted
from engine.media.encodings import decoded
from engine.media.problems import MediaProblem
from engine.media.references import Context, interpret
from engine.media.sink import Sink
from engine.settings import Settings

WHERE = "frames[1].picture"
SECRET = "s3cret"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def web():
    with serve_web() as server:
        yield server


@pytest.fixture
def refusal(tmp_path):
    """Why a value is refused; nothing is left of it, and nothing in it is told."""

    def refusing(value, kind="image", *, error=InputRejected, reader=None, sent=None, **settings):
        if reader is None:
            reader = MediaReader(Settings(**{"allow_private_urls": True, **settings}))
        folder = tmp_path / "inputs"
        with pytest.raises(error) as caught:
            reader.read([Wanted(WHERE, kind, value)], folder=folder, job_id="job", sent=sent)
        assert [problem.where for problem in caught.value.problems] == [WHERE]
        assert list(folder.iterdir()) == []
        told = str(caught.value.failure())
        assert SECRET not in told + (caught.value.detail or "")
        assert len(told) < 2000
        return caught.value.problems[0].message

    return refusing


PRIVATE = [
    "http://169.254.169.254/latest/meta-data/iam/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine",
    "http://192.0.0.192/opc/v2/instance/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1:8188/history",
    "http://0/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://10.0.0.1/",
    "http://172.16.9.9/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[ff02::1]/",
    "https://127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1:80/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
]


@pytest.mark.parametrize("url", PRIVATE)
@pytest.mark.parametrize("form", [str, lambda url: {"url": url, "headers": {"Metadata-Flavor": "Google"}}])
def test_private_addresses(refusal, url, form):
    said = refusal(form(url), allow_private_urls=False)
    assert re.fullmatch(r"names the host \S+, which is not on the public internet; .*", said)


def test_a_name_of_the_cloud_itself(refusal):
    # Known inside of that cloud, at 169.254.169.254, and nowhere else.
    url = "http://metadata.google.internal/computeMetadata/v1/"
    said = refusal(url, error=(InputRejected, InputUnavailable), allow_private_urls=False)
    assert "metadata.google.internal" in said


def only(server):
    """A reader that may connect to one server of the tests as if it were public."""
    return MediaReader(Settings(), public=lambda address, port: (address, port) == ("127.0.0.1", server.server_port))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://127.0.0.1:1/latest", "not on the public internet"),
        ("http://169.254.169.254/latest", "not on the public internet"),
        ("//[::1]/", "not on the public internet"),
        ("http://user@localhost:81/", "not on the public internet"),
        ("file:///etc/passwd", "leads on to what is not fetched"),
        ("file://localhost/etc/passwd", "must be an http or https URL, not file"),
        ("ftp://example.com/x", "must be an http or https URL, not ftp"),
        ("gopher://example.com/x", "must be an http or https URL, not gopher"),
        ("http://exa mple.com/", "leads on to what is not fetched"),
        ("http://[::1", "leads on to what is not fetched"),
    ],
)
def test_redirects_into_what_is_not_public(refusal, web, target, said):
    url = web.serve(f"/{SECRET}", b"", status=302, Location=target)
    assert said in refusal(url, reader=only(web))
    assert len(web.requests) == 1


def test_a_redirect_to_another_server_of_this_machine_is_not_followed(refusal, web):
    with serve_web() as inner:
        target = inner.serve("/admin", media.picture())
        refusal(web.serve("/x", b"", status=307, Location=target), reader=only(web))
        assert inner.requests == []


def test_the_body_of_a_redirect_is_not_read(tmp_path, web):
    target = web.serve("/photo.png", media.picture())
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 10000000000\r\n\r\n".encode()

    def talk(connection, stopping):
        connection.sendall(head)
        while not stopping.is_set():
            connection.sendall(bytes(65536))

    reader = MediaReader(Settings(allow_private_urls=True))
    with serve_raw(talk) as url:
        files = reader.read([Wanted(WHERE, "image", f"{url}/x")], folder=tmp_path, job_id="job")
    assert files[WHERE].width == 6


def test_a_redirect_that_never_ends(refusal, web):
    url = web.serve("/loop", b"", status=302, Location="/loop")
    assert refusal(url, error=InputUnavailable) == "leads on more than 5 times"
    assert len(web.requests) == 6


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE://localhost/etc/passwd",
        "ftp://example.com/photo.png",
        "gopher://127.0.0.1:6379/_INFO",
        "dict://127.0.0.1:11211/stat",
        "jar://example.com!/x.png",
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun/x",
        "gs://bucket/key",
    ],
)
@pytest.mark.parametrize("form", [str, lambda url: {"url": url}])
def test_other_schemes(refusal, url, form):
    assert "https://" in refusal(form(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///photo.png",
        "http://[::1",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://example.com:0/",
        f"http://example.com/{SECRET}\nHost: 127.0.0.1",
        f"http://example.com/{SECRET}\r\n\r\nGET /admin",
        "http://example.com/a b",
        "http://exa\tmple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/\0",
        "http://" + "a" * 20_000,
    ],
)
def test_what_is_no_url(refusal, url):
    assert "URL" in refusal(url)


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", "LOCALHOST.", "①②⑦.⓪.⓪.①", "xn--\u20ac", "..", "-", "%00", "\u202e.example"]
)
def test_hosts_that_can_not_be(refusal, host):
    refusal(f"http://{host}/x", error=(InputRejected, InputUnavailable))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "metadata"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"CONNECTION": "close"},
        {"Proxy-Authorization": SECRET},
        {"X-A": f"1\r\nX-B: {SECRET}"},
        {"X-A": f"{SECRET}\n"},
        {"X-A": f"{SECRET}\0"},
        {"X-A\r\nX-B": SECRET},
        {"X-A:": SECRET},
        {"": SECRET},
        {"X-A\n": SECRET},
        {"X-A": f"{SECRET}\u2713"},
        {"X-A": 7},
        {"X-A": SECRET * 5000},
        {f"X-{number}": SECRET for number in range(40)},
        [SECRET],
        SECRET,
    ],
)
def test_headers_that_reach_into_the_connection(refusal, web, headers):
    url = web.serve("/x.png", media.picture())
    assert "`headers" in refusal({"url": url, "headers": headers})
    assert web.requests == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"url": ""},
        {"url": 7},
        {"url": "photo.png"},
        {"url": "@/etc/passwd"},
        {"uri": "https://example.com/x"},
        {"url": "https://example.com/x", "filename": 7},
        {"url": "data:,x", "headers": {"X-A": SECRET}},
    ],
)
def test_objects_that_are_none(refusal, value):
    refusal(value)


def test_a_length_that_is_too_much_is_believed(refusal, web):
    url = web.answer("/x", lambda handler: reply(handler, b"\0", 200, {"Content-Length": "10000000000"}))
    assert refusal(url, "file", max_file_bytes=1000) == "is larger than the 1000 bytes that are allowed"


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 10000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\n\r\n",
    ],
)
def test_a_stream_that_is_longer_than_it_says(refusal, start):
    def talk(connection, stopping):
        connection.sendall(start)
        while not stopping.is_set():
            connection.sendall(bytes(65536))

    with serve_raw(talk) as url:
        refusal(f"{url}/x", "file", error=(InputRejected, InputUnavailable), max_file_bytes=300_000)


def test_chunks_without_end(refusal):
    def talk(connection, stopping):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not stopping.is_set():
            connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")

    with serve_raw(talk) as url:
        assert "larger than the 300000 bytes" in refusal(f"{url}/x", "file", max_file_bytes=300_000)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"HTTP/1.1 200 OK\r\nX-A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"\x89"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"\x89"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n", b"X-A: b\r\n"),
    ],
)
def test_a_server_that_drips(refusal, web, start, more):
    url = web.answer("/x", drip(start, more))
    said = refusal(url, error=InputUnavailable, fetch_image_seconds=0.4)
    assert said == "could not be fetched within the 0.4 seconds that are allowed"


def test_a_server_that_never_answers(refusal):
    with serve_raw(lambda _, stopping: stopping.wait()) as url:
        assert "within the 0.4 seconds" in refusal(url, error=InputUnavailable, fetch_image_seconds=0.4)


def test_a_server_that_never_shakes_hands(refusal):
    with serve_raw(lambda _, stopping: stopping.wait()) as url:
        said = refusal(url.replace("http:", "https:"), error=InputUnavailable, fetch_image_seconds=0.4)
        assert "within the 0.4 seconds" in said


def test_time_is_counted_over_redirects(refusal, web):
    def answer(handler):
        handler.server.stopping.wait(0.15)
        reply(handler, b"", 302, {"Location": "/slow"})

    said = refusal(web.answer("/slow", answer), error=InputUnavailable, fetch_image_seconds=0.4)
    assert "within the 0.4 seconds" in said


def test_a_server_that_is_not_there(refusal, unused_port):
    said = refusal(f"http://127.0.0.1:{unused_port}/{SECRET}?k={SECRET}", error=InputUnavailable)
    assert said == "names the host 127.0.0.1, which does not answer"


def test_a_gzip_bomb(refusal, web):
    bomb = gzip.compress(gzip.compress(bytes(100_000_000)))
    url = web.serve("/x", gzip.decompress(bomb), Content_Encoding="gzip")
    assert "larger than the 1000000 bytes" in refusal(url, "file", max_file_bytes=1_000_000)


@pytest.mark.parametrize(
    ("content", "encoding", "error", "said"),
    [
        (b"x", "br", InputRejected, "compressed form that is not read"),
        (b"x", "gzip, gzip", InputRejected, "compressed form that is not read"),
        (b"no gzip", "gzip", InputUnavailable, "compressed form that is broken"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], "gzip", InputUnavailable, "compressed form that is cut off"),
        (zlib.compress(b"x" * 99)[:-2], "deflate", InputUnavailable, "compressed form that is cut off"),
        (b"", "gzip", InputRejected, "is an empty file"),
    ],
)
def test_compression_that_is_none(refusal, web, content, encoding, error, said):
    assert said in refusal(web.serve("/x", content, Content_Encoding=encoding), "file", error=error)


COMPRESSED = st.sampled_from([("gzip", 31), ("deflate", 15), ("deflate", -15)])


@given(st.binary(max_size=3000), st.integers(1, 400), COMPRESSED)
def test_compressed_bodies_come_out_whole_however_they_are_cut(content, length, form):
    name, window = form
    packing = zlib.compressobj(wbits=window)
    packed = packing.compress(content) + packing.flush()
    pieces = (packed[start : start + length] for start in range(0, len(packed), length))
    assert b"".join(decoded(pieces, name)) == content


def test_a_picture_that_unpacks_to_a_very_large_one(refusal, web):
    url = web.serve("/x.png", media.png_that_claims(60_000, 60_000))
    assert "at most 64000000 are allowed" in refusal(url)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(100), "must be an image, but the file is of no known type"),
        (b"MZ\x90\0" + bytes(100), "must be an image, but the file is of no known type"),
        (b"#!/bin/sh\nrm -rf /\n", "must be an image, but the file is text/plain"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "must be an image, but the file is a web page (HTML)"),
        (b"<html><body>404", "must be an image, but the file is a web page (HTML)"),
        (b"<!---->" * 500, "must be an image, but the file is text/plain"),
        (b'{"error": "expired"}', "must be an image, but the file is application/json"),
        (b"", "is an empty file: it has no bytes"),
        (media.picture((50, 50))[:60], "is broken or cut off; the picture can't be decoded"),
    ],
)
def test_what_is_no_picture_whatever_it_says(refusal, web, content, said):
    url = web.serve("/photo.png", content, Content_Type="image/png", Content_Disposition="inline; filename=photo.png")
    pictures = "; PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF and HEIC are read"
    assert refusal(url) == said + (pictures if said.startswith("must be") else "")


def test_a_disk_that_is_full_is_not_told_as_a_fault_of_the_file():
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(EngineError) as caught:
        Sink(full, 1000).write(b"x")
    assert caught.value.code == "internal_error"


def test_a_body_that_is_cut_off(refusal, web):
    def answer(handler):
        reply(handler, media.picture(), 200, {"Content-Length": "5000"})
        handler.close_connection = True

    said = refusal(web.answer("/x.png", answer), error=InputUnavailable)
    assert said == "could not be fetched: the connection to 127.0.0.1 broke off"
    assert len(web.requests) == 2


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (204, "answered 204 No Content"),
        (206, "answered 206 Partial Content"),
        (300, "answered 300 Multiple Choices"),
        (302, "answered 302 Found"),
        (403, "answered 403 Forbidden"),
        (500, "answered 500 Internal Server Error"),
        (503, "answered 503 Service Unavailable"),
        (799, "answered 799"),
    ],
)
def test_other_answers_than_ok(refusal, web, status, said):
    url = web.answer("/x.png", lambda handler: reply(handler, b"" if status == 204 else b"no", status, {}))
    assert refusal(f"{url}?sig={SECRET}", error=InputUnavailable) == f"could not be fetched: 127.0.0.1 {said}"


NO_HTTP = [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500]


@pytest.mark.parametrize("talk", NO_HTTP)
def test_what_is_no_http(refusal, talk):
    with serve_raw(lambda connection, _: connection.sendall(talk)) as url:
        assert "broke off" in refusal(f"{url}/x", error=InputUnavailable)


NAMES = [
    "../secrets.txt",
    "a/../../secrets.txt",
    "..",
    "/etc/passwd.txt",
    "a\\..\\b.txt",
    "a.txt\0.png",
    "a.txt\n.png",
    "./a.txt",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form", [str, lambda name: f"s3://mine/uploads/{name}" if not name.startswith("/") else f"s3://mine/{name}"]
)
def test_names_that_would_leave_the_prefix(refusal, name, form):
    settings = {"s3_input_bucket": "mine", "s3_input_prefix": "uploads", "s3_endpoint_url": "http://127.0.0.1:9"}
    said = refusal(form(name), "file", **settings)
    assert said.startswith("may not leave its folder")


@pytest.mark.parametrize("name", ["é" * 700 + ".png", "😀.png", "a" * 300 + ".png", "..png", "@.png", "\ud800.png"])
def test_odd_names_are_asked_for_or_refused(refusal, name):
    settings = {"s3_input_bucket": "mine", "s3_endpoint_url": "http://127.0.0.1:9", "fetch_image_seconds": 0.4}
    settings |= {"s3_access_key_id": "AKID", "s3_secret_access_key": SECRET}
    refusal(name, error=(InputRejected, InputUnavailable), **settings)


@pytest.mark.parametrize(
    ("url", "changes"),
    [
        ("s3://other/key.png", {"s3_input_buckets": ("mine",)}),
        ("s3://mine-too/key.png", {"s3_input_bucket": "mine"}),
        ("s3://mine/key.png", {}),
        ("s3://mine", {"s3_input_buckets": ("*",)}),
        ("s3://mine/", {"s3_input_buckets": ("*",)}),
        ("s3:///key.png", {"s3_input_buckets": ("*",)}),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/x", {"s3_input_buckets": ("*",)}),
        ("s3://user@mine/key.png", {"s3_input_buckets": ("*",)}),
        ("s3://results/key.png", {"s3_bucket": "results", "s3_input_buckets": ("mine",)}),
        ("s3://results/key.png", {"s3_bucket": "results", "s3_input_prefix": ""}),
        ("s3://mine/key.png", {"s3_input_bucket": "mine"}),
        ("s3://results/other/secret.png", {"s3_bucket": "results", "s3_input_prefix": "inputs"}),
        ("s3://results/inputs", {"s3_bucket": "results", "s3_input_prefix": "inputs/"}),
        ("s3://results/inputs-of-another/x.png", {"s3_bucket": "results", "s3_input_prefix": "inputs"}),
        ("s3://results//inputs/x.png", {"s3_bucket": "results", "s3_input_prefix": "inputs"}),
        ("s3://results/inputs/../other/secret.png", {"s3_bucket": "results", "s3_input_prefix": "inputs"}),
        ("s3://results/key.png", {"s3_bucket": "results", "s3_input_bucket": "mine", "s3_input_prefix": "inputs"}),
    ],
)
def test_buckets_that_callers_may_not_name(refusal, url, changes):
    said = refusal(url, s3_endpoint_url="http://127.0.0.1:9", **changes)
    refused = (
        "names a bucket that is not among",
        "is no object in a bucket",
        "names an object outside",
        "may not leave",
    )
    assert said.startswith(refused)


HOSTILE_NAMES = ["../x.png", "/etc/passwd", "a\0b.png", "n" * 300 + ".png", "😀.png", "C:\\x.png", "\ud800", " "]


@pytest.mark.parametrize("name", HOSTILE_NAMES[:-1])
def test_files_sent_along_under_hostile_names(tmp_path, name):
    sent = {name: base64.b64encode(media.picture()).decode()}
    folder = tmp_path / "inputs"
    file = MediaReader(Settings()).read([Wanted(WHERE, "image", name)], folder=folder, job_id="../job", sent=sent)[
        WHERE
    ]
    assert file.path.parent == folder
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.png", file.filename)
    assert len(file.filename) < 180
    assert list(tmp_path.rglob("*.png")) == [file.path]


def test_hostile_names_are_told_in_one_line(refusal):
    said = refusal("photo.png", sent=dict.fromkeys(HOSTILE_NAMES, ""))
    assert said.isprintable()
    assert len(said) < 700


HELD = ["@/etc/passwd", "other.png", "/etc/passwd.txt", "file:///etc/passwd", "", None, 7, {"url": "b"}]


@pytest.mark.parametrize("held", HELD)
def test_what_is_sent_along_is_no_name_again(refusal, held):
    refusal("a.png", sent={"a.png": held, "other.png": "QUJD"}, s3_input_bucket="mine")


@pytest.mark.parametrize(
    "held",
    [
        "data:,\ud800abc",
        "data:;base64,QUJD\ud800",
        "s3://mine/\ud800",
        "QUJD\ud800",
        "\ud800",
    ],
)
def test_half_a_character_is_refused(refusal, held):
    refusal("a", "file", sent={"a": held}, s3_input_buckets=("mine",), s3_endpoint_url="http://127.0.0.1:9")


@pytest.mark.parametrize("value", ["@/etc/passwd", "@../x.png", "@\0", "@" + "n" * 300, "@😀.png", "@"])
def test_files_of_the_worker(refusal, value):
    assert "not allowed here" in refusal(value, error=InputUnavailable)


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "example.com", "127.0.0.1%eth0", "999.1.1.1", "1.1"])
def test_what_is_no_address_is_not_public(address):
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_what_it_wraps(address):
    number = int(address)
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::"):
        assert is_public(wrapped) == is_public(str(address))


# All characters there are, and the lone surrogates that JSON can hold.
ANY_TEXT = st.text(st.characters(), max_size=40)
DATA = st.builds("data:{}{},{}".format, st.text(max_size=5), st.sampled_from(["", ";base64"]), ANY_TEXT)
URLS = st.sampled_from(["http://127.0.0.1/b", "s3://a/b", "http://[", "https:///x", "s3://", "ftp://a/b"])
LEAVES = st.none() | st.booleans() | st.integers() | ANY_TEXT | DATA | URLS
KEYS = st.sampled_from(["url", "filename", "headers", "x"])


def nested(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner)


@given(
    st.recursive(LEAVES, nested, max_leaves=6),
    st.dictionaries(st.text(st.characters(), max_size=5), ANY_TEXT | DATA, max_size=3),
    st.booleans(),
)
def test_any_value_is_understood_or_refused(value, sent, takes_names):
    try:
        form = interpret(value, Context(sent, takes_names=takes_names)).form
    except MediaProblem as problem:
        form = problem.message
    assert form


@given(
    st.lists(st.recursive(LEAVES, nested, max_leaves=6), min_size=1, max_size=3),
    st.dictionaries(st.text(st.characters(), max_size=5), st.recursive(LEAVES, nested, max_leaves=4), max_size=3),
    st.sampled_from(["image", "mask", "video", "audio", "file"]),
)
@example(values=["a"], sent={"a": "data:,\ud800abc"}, kind="file")
def test_any_value_is_read_or_refused(values, sent, kind):
    # Only public hosts may be called, and none of these is one.
    reader = MediaReader(Settings(fetch_image_seconds=5))
    wanted = [Wanted(f"files[{place}]", kind, value) for place, value in enumerate([*values, *sent])]
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = set(reader.read(wanted, folder=Path(folder), job_id="job", sent=sent))
        except (InputRejected, InputUnavailable) as refused:
            found = {problem.where for problem in refused.problems}
        assert found <= {each.where for each in wanted}
        assert found
