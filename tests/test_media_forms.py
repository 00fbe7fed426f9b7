"""Every form in which a caller may send a file, for every kind of file, really fetched."""

from __future__ import annotations

import base64
import re
import threading
import zlib
from collections.abc import Callable
from typing import NamedTuple

import pytest
from support import media
from support.s3 import BUCKET, S3Server, serve_s3
from support.web import make_certificate, reply, serve_raw, serve_web

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, InputRejected, InputUnavailable, SettingsError
from engine.media import MediaReader, Wanted
from engine.s3 import S3Options, build_client
from engine.settings import Settings

CONTENT = {
    # Bytes whose base64 differs between the two alphabets, needs padding, and is too long to be taken for a name.
    "image": (media.picture((7, 5)), "image/png"),
    "mask": (media.picture((4, 4), "WEBP"), "image/webp"),
    "video": (media.iso_media(b"isom") + b"\xff\xfe\xfb\xef\xbe?", "video/mp4"),
    "audio": (media.riff(b"WAVEfmt ") + b"\xff\xfe\xfb\xef\xbe?>", "audio/wav"),
    "file": (b"%PDF-1.7\n" + b"\xff\xfe\xfb\xef\xbe?>\0" * 3 + b"!", "application/pdf"),
}
NAME = "holiday-photo-with-a-long-name.bin"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def https(certificate):
    with serve_web(certificate) as server:
        yield server


@pytest.fixture
def web():
    with serve_web() as server:
        yield server


class S3(NamedTuple):
    server: S3Server
    put: Callable[[str, str, bytes], object]


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with serve_s3(tmp_path_factory.mktemp("s3")) as server:
        client = build_client(S3Options(**server.options()))
        for bucket in ("assets", "mine"):
            client.create_bucket(Bucket=bucket)
        # Files are put through the server, which remembers what is in a folder.
        yield S3(server, lambda bucket, key, content: client.put_object(Bucket=bucket, Key=key, Body=content))
        client.close()


def s3_settings(s3, **more):
    chosen = {
        "s3_bucket": BUCKET,
        "s3_endpoint_url": s3.server.endpoint_url,
        "s3_access_key_id": s3.server.access_key_id,
        "s3_secret_access_key": s3.server.secret_access_key,
    }
    return Settings(**{**chosen, **more})


@pytest.fixture
def reader():
    """Makes readers, and closes them."""
    made = []

    def make(settings=None, **more):
        made.append(MediaReader(settings or Settings(allow_private_urls=True), **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def by_https(content, kind, *, https, monkeypatch, certificate, **_):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return https.serve(f"/{kind}/{NAME}", content)


def by_http(content, kind, *, web, **_):
    return web.serve(f"/{NAME}", content)


def with_query_credentials(content, kind, *, web, **_):
    def answer(handler):
        signed = handler.path.endswith("?sig=s3cret%2F&expires=9")
        reply(handler, content if signed else b"no", 200 if signed else 403, {})

    return f"{web.answer(f'/{NAME}', answer)}?sig=s3cret%2F&expires=9"


def as_object_with_headers(content, kind, *, web, **_):
    def answer(handler):
        knows = handler.headers["Authorization"] == "Bearer s3cret"
        reply(handler, content if knows else b"no", 200 if knows else 401, {})

    url = web.answer("/download", answer)
    return {"url": url, "filename": NAME, "headers": {"Authorization": "Bearer s3cret"}}


def as_data_uri(content, kind, **_):
    return f"data:application/x-claimed;base64,{base64.b64encode(content).decode()}"


def as_base64(content, kind, **_):
    return base64.b64encode(content).decode()


def without_padding(content, kind, **_):
    return base64.b64encode(content).decode().rstrip("=")


def with_line_breaks(content, kind, **_):
    return base64.encodebytes(content).decode().replace("\n", "\r\n")


def as_base64url(content, kind, **_):
    return base64.urlsafe_b64encode(content).decode()


def as_s3_url(content, kind, *, s3, **_):
    s3.put("assets", f"{kind}/{NAME}", content)
    return f"s3://assets/{kind}/{NAME}"


def as_bare_name(content, kind, *, s3, **_):
    s3.put(BUCKET, f"uploads/{kind}/{NAME}", content)
    return f"{kind}/{NAME}"


def sent_along(content, kind, *, sent, **_):
    sent[NAME] = base64.b64encode(content).decode()
    return NAME


def as_path(content, kind, *, tmp_path, **_):
    (tmp_path / NAME).write_bytes(content)
    return f"@{tmp_path / NAME}"


FORMS = [
    by_https,
    by_http,
    with_query_credentials,
    as_object_with_headers,
    as_data_uri,
    as_base64,
    without_padding,
    with_line_breaks,
    as_base64url,
    as_s3_url,
    as_bare_name,
    sent_along,
    as_path,
]
NAMELESS = (as_data_uri, as_base64, without_padding, with_line_breaks, as_base64url)


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_of_every_kind(form, kind, reader, web, https, s3, certificate, monkeypatch, tmp_path):
    content, content_type = CONTENT[kind]
    sent = {}
    value = form(
        content,
        kind,
        web=web,
        https=https,
        s3=s3,
        sent=sent,
        certificate=certificate,
        monkeypatch=monkeypatch,
        tmp_path=tmp_path,
    )
    settings = s3_settings(s3, s3_input_prefix="uploads/", s3_input_buckets=("assets",), allow_private_urls=True)
    wanted = Wanted("frames[0].source", kind, value)
    folder = tmp_path / "inputs"
    files = reader(settings).read([wanted], folder=folder, job_id="job/7", sent=sent, allow_files=form is as_path)
    file = files["frames[0].source"]
    assert file.path.read_bytes() == content
    assert file.content_type == content_type
    assert file.size_bytes == len(content)
    assert list(folder.iterdir()) == [file.path]
    name = "frames_0_source" if form in NAMELESS else "holiday-photo-with-a-long-name"
    assert re.fullmatch(rf"job_7_[0-9a-f]{{8}}_{name}\.\w+", file.filename)
    assert (file.width is not None) == (kind in ("image", "mask"))


@pytest.fixture
def read(reader, tmp_path):
    def reading(value, kind="image", *, by=None, **more):
        wanted = [Wanted("image", kind, value)]
        return (by or reader()).read(wanted, folder=tmp_path / "inputs", job_id="job", **more)["image"]

    return reading


def test_a_file_is_fetched_once_for_all_parameters_that_name_it(reader, web, tmp_path):
    url = web.serve("/photo.png", media.picture())
    wanted = [Wanted("image", "image", url), Wanted("mask", "mask", url), Wanted("proof", "file", url)]
    wanted.append(Wanted("copy", "image", base64.b64encode(media.picture()).decode()))
    files = reader().read(wanted, folder=tmp_path, job_id="job")
    assert len(web.requests) == 1
    assert list(files) == ["image", "mask", "proof", "copy"]
    assert files["image"].path == files["mask"].path == files["copy"].path
    # Not looked at as a picture, it is a file of its own.
    assert files["proof"].path != files["image"].path
    assert files["proof"].width is None
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_has_several_names_is_fetched_once(reader, web, tmp_path):
    url = web.serve("/photo.png", media.picture())
    values = [url, {"url": url, "filename": "cat.png"}, {"url": url, "filename": "dog.png"}, {"url": url}]
    wanted = [Wanted(f"images[{place}]", "image", value) for place, value in enumerate(values)]
    files = reader().read(wanted, folder=tmp_path, job_id="job")
    assert len(web.requests) == 1
    names = [re.fullmatch(r"job_[0-9a-f]{8}_(\w+)\.png", file.filename)[1] for file in files.values()]
    assert names == ["cat", "cat", "dog", "cat"]
    assert {file.path.read_bytes() for file in files.values()} == {media.picture()}
    assert len(list(tmp_path.iterdir())) == 2


def test_files_of_other_kinds_keep_the_names_they_were_given(reader, web, tmp_path):
    url = web.serve("/photo.png", media.picture())
    wanted = [
        Wanted("image", "image", {"url": url, "filename": "cat.png"}),
        Wanted("proof", "file", {"url": url, "filename": "proof.png"}),
        Wanted("plain", "file", url),
    ]
    files = reader().read(wanted, folder=tmp_path, job_id="job")
    assert len(web.requests) == 1
    assert "_cat." in files["image"].filename
    assert "_proof." in files["proof"].filename
    assert files["plain"].path == files["proof"].path


def test_the_same_url_with_other_headers_is_another_file(reader, web, tmp_path):
    tenants = {"a": media.picture((1, 1)), "b": media.picture((2, 2))}
    url = web.answer("/mine", lambda handler: reply(handler, tenants[handler.headers["X-Tenant"]], 200, {}))
    wanted = [Wanted(name, "image", {"url": url, "headers": {"X-Tenant": name}}) for name in tenants]
    files = reader().read(wanted, folder=tmp_path, job_id="job")
    assert {name: file.width for name, file in files.items()} == {"a": 1, "b": 2}


def test_the_lesser_bound_counts_for_each_parameter(reader, web, tmp_path):
    url = web.serve("/file", bytes(1000))
    wanted = [Wanted("big", "file", url, 2000), Wanted("small", "file", url, 999)]
    with pytest.raises(InputRejected) as caught:
        reader().read(wanted, folder=tmp_path, job_id="job")
    assert caught.value.message == "small: is larger than the 999 bytes that are allowed"
    wanted[0] = Wanted("big", "file", url, 500)
    with pytest.raises(InputRejected) as caught:
        reader().read(wanted, folder=tmp_path, job_id="job")
    assert [problem.message for problem in caught.value.problems] == [
        "is larger than the 500 bytes that are allowed",
        "is larger than the 999 bytes that are allowed",
    ]


def test_the_operators_bound_is_that_of_the_kind(reader, web, tmp_path):
    url = web.serve("/file", media.riff(b"WAVEfmt "))
    settings = Settings(allow_private_urls=True, max_audio_bytes=50)
    files = reader(settings).read([Wanted("a", "file", url)], folder=tmp_path / "a", job_id="job")
    assert files["a"].content_type == "audio/wav"
    with pytest.raises(InputRejected, match="larger than the 50 bytes"):
        reader(settings).read([Wanted("a", "audio", url)], folder=tmp_path / "b", job_id="job")


def test_all_that_is_wrong_is_said_at_once(reader, web, tmp_path):
    good = web.serve("/good.png", media.picture())
    wanted = [
        Wanted("good", "image", good),
        Wanted("gone", "image", f"{web.url}/gone.png"),
        Wanted("words", "image", web.serve("/words", b"only words")),
        Wanted("scheme", "image", "ftp://example.com/x"),
    ]
    with pytest.raises(InputRejected) as caught:
        reader().read(wanted, folder=tmp_path, job_id="job")
    assert {problem.where: problem.message for problem in caught.value.problems} == {
        "gone": "could not be fetched: 127.0.0.1 answered 404 Not Found",
        "words": "must be an image, but the file is text/plain; PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF and HEIC are "
        "read",
        "scheme": "is a URL of the scheme ftp, which is not fetched; https://, http://, s3:// and data: are",
    }
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputUnavailable):
        reader().read(wanted[:2], folder=tmp_path, job_id="job")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Content_Disposition": 'attachment; filename="my cat.jpeg"'}, "my_cat"),
        ({"Content_Disposition": "attachment; filename*=UTF-8''na%C3%AFve%20cat.png"}, "na_ve_cat"),
        ({"Content_Disposition": 'attachment; filename="../../etc/passwd"'}, "passwd"),
        ({"Content_Disposition": "attachment; filename*=no-such-charset''x%ff.png"}, "x"),
        ({"Content_Disposition": "attachment"}, "caf_1"),
        ({}, "caf_1"),
    ],
)
def test_a_file_is_called_what_the_server_calls_it(read, web, headers, name):
    web.serve("/caf%C3%A9%201.png", media.picture(), **headers)
    file = read(f"{web.url}/caf%C3%A9%201.png?x=/y.gif")
    assert re.fullmatch(rf"job_[0-9a-f]{{8}}_{name}\w*\.png", file.filename)


def test_what_the_caller_calls_it_comes_first(read, web):
    url = web.serve("/x.png", media.picture(), Content_Disposition="attachment; filename=y.png")
    assert "_mine.png" in read({"url": url, "filename": "mine.gif"}).filename


def test_user_and_password_of_a_url_are_sent(read, web):
    web.serve("/x.png", media.picture())
    read(f"http://user:pass%20word@127.0.0.1:{web.server_port}/x.png")
    assert web.requests[0][1]["authorization"] == "Basic " + base64.b64encode(b"user:pass word").decode()


def test_redirects_are_followed_and_secrets_stay_with_their_origin(read, web):
    with serve_web() as other:
        target = other.serve("/there.png", media.picture())
        web.serve("/second", b"", status=307, Location=target)
        url = web.serve("/first", b"", status=302, Location="/second")
        read({"url": url, "headers": {"Authorization": "Bearer s3cret", "X-Key": "s3cret"}})
        assert [headers.get("x-key") for _, headers in web.requests] == ["s3cret", "s3cret"]
        path, headers = other.requests[0]
        assert path == "/there.png"
        assert "s3cret" not in str(headers)


@pytest.mark.parametrize(("encoding", "window"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_server_that_compresses_unasked(read, web, encoding, window):
    content = bytes(600_000) + b"the end"
    packing = zlib.compressobj(wbits=window)
    packed = packing.compress(content) + packing.flush()
    url = web.serve("/zeros", packed, Content_Encoding=encoding)
    assert read(url, "file").path.read_bytes() == content
    assert web.requests[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_overloaded_server_is_asked_twice(read, web, status):
    answers = [status, 200]
    url = web.answer("/x.png", lambda handler: reply(handler, media.picture(), answers.pop(0), {}))
    assert read(url).width == 6
    assert len(web.requests) == 2


def test_a_broken_connection_is_tried_again_from_the_start(read, web):
    content = media.picture()
    lengths = [len(content) + 1000, len(content)]

    def answer(handler):
        reply(handler, content, 200, {"Content-Length": str(lengths.pop(0))})
        handler.close_connection = True

    assert read(web.answer("/x.png", answer)).path.read_bytes() == content


def unavailable(read, value, **more):
    with pytest.raises(InputUnavailable) as caught:
        read(value, **more)
    return caught.value


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(404, False), (403, False), (408, True), (429, True), (502, True), (503, True), (504, True)],
)
def test_a_retry_is_advised_where_it_can_help(read, web, status, retryable):
    assert unavailable(read, web.serve("/x.png", b"", status=status)).failure()["retryable"] is retryable


def test_a_retry_is_advised_for_what_does_not_answer(read, unused_port):
    assert unavailable(read, f"http://127.0.0.1:{unused_port}/x.png").failure()["retryable"] is True


def test_a_retry_is_advised_when_time_was_short(read, reader):
    with serve_raw(lambda _, stopping: stopping.wait()) as url:
        by = reader(Settings(allow_private_urls=True, fetch_image_seconds=0.3))
        assert unavailable(read, f"{url}/x.png", by=by).failure()["retryable"] is True


def test_a_retry_helps_only_where_it_helps_every_file(reader, web, tmp_path):
    wanted = [
        Wanted("busy", "image", web.serve("/busy.png", b"", status=503)),
        Wanted("gone", "image", f"{web.url}/gone.png"),
    ]
    with pytest.raises(InputUnavailable) as caught:
        reader().read(wanted, folder=tmp_path, job_id="job")
    assert caught.value.failure()["retryable"] is False


SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def test_a_retry_is_advised_where_a_bucket_is_overloaded(read, reader, s3, web, unused_port):
    web.serve("/mine/x.png", SLOW_DOWN, status=503, Content_Type="application/xml")
    by = reader(s3_settings(s3, s3_input_bucket="mine", s3_endpoint_url=web.url))
    overloaded = unavailable(read, "x.png", by=by)
    assert "is overloaded" in overloaded.message
    assert overloaded.retryable
    gone = reader(s3_settings(s3, s3_input_bucket="mine", s3_endpoint_url=f"http://127.0.0.1:{unused_port}"))
    assert unavailable(read, "x.png", by=gone).retryable
    there = reader(s3_settings(s3, s3_input_bucket="mine"))
    assert not unavailable(read, "x.png", by=there).retryable


def test_a_missing_file_is_asked_for_once(read, web):
    with pytest.raises(InputUnavailable):
        read(f"{web.url}/gone.png")
    assert len(web.requests) == 1


def test_a_certificate_that_nobody_vouches_for(read, https):
    with pytest.raises(InputUnavailable, match=r"image: .* the certificate of 127\.0\.0\.1 could not be verified"):
        read(https.serve("/x.png", media.picture()))


def test_a_certificate_is_checked_against_the_name_in_the_url(read, https, certificate, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    url = https.serve("/x.png", media.picture())
    assert read(url.replace("127.0.0.1", "localhost")).width == 6
    of_another = make_certificate(tmp_path, "DNS:other.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(of_another))
    with serve_web(of_another) as other, pytest.raises(InputUnavailable, match="certificate of localhost could not"):
        read(other.serve("/x.png", media.picture()).replace("127.0.0.1", "localhost"))


def test_proxies_of_the_environment_are_used_only_where_private_addresses_are(reader, web, tmp_path, monkeypatch):
    with serve_web() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        url = web.serve("/x.png", media.picture())
        proxy.serve(url, media.picture((9, 9)))
        wanted = [Wanted("image", "image", url)]
        direct = reader(Settings(), public=lambda address, port: (address, port) == ("127.0.0.1", web.server_port))
        assert direct.read(wanted, folder=tmp_path, job_id="job")["image"].width == 6
        assert proxy.requests == []
        assert reader().read(wanted, folder=tmp_path, job_id="job")["image"].width == 9


def test_a_cancelled_job_lets_go_of_its_fetches(read, tmp_path):
    cancel = CancellationToken()
    asked = threading.Event()

    def talk(connection, stopping):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        asked.set()
        stopping.wait()

    with serve_raw(talk) as url:
        canceller = threading.Thread(target=lambda: asked.wait(20) and cancel.cancel())
        canceller.start()
        with pytest.raises(Cancelled):
            read(f"{url}/x.png", cancel=cancel)
        canceller.join()
    assert list((tmp_path / "inputs").iterdir()) == []


def test_a_job_that_was_cancelled_before_fetches_nothing(read, web):
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        read(web.serve("/x.png", media.picture()), cancel=cancel)
    assert web.requests == []


def test_a_file_sent_along_may_be_a_url_or_an_object(read, web):
    url = web.serve("/x", media.picture())
    assert "_a.png" in read("a.png", sent={"a.png": url}).filename
    assert "_mine.png" in read("b", sent={"b": {"url": url, "filename": "mine.jpg"}}).filename


def test_a_name_that_was_not_sent_along_is_guessed(read):
    sent = {f"frame-{number}.png": "" for number in range(8)}
    with pytest.raises(InputRejected) as caught:
        read("frame-3.jpg", sent=sent)
    assert '(did you mean "frame-3.png"?)' in caught.value.message
    assert caught.value.message.endswith(
        'sent along: "frame-0.png", "frame-1.png", "frame-2.png", "frame-3.png", "frame-4.png" and 3 more'
    )


@pytest.mark.parametrize("value", ["photo", "cat", "abcd", "QUJD", "QUI=", "====", "a" * 31])
@pytest.mark.parametrize("kind", ["image", "file"])
def test_a_plain_word_is_no_base64(read, value, kind):
    with pytest.raises(InputRejected) as caught:
        read(value, kind, sent={"Photo": "QUJD"})
    said = caught.value.problems[0].message
    assert said.startswith(
        "is none of the forms that a file may have: a URL, a data URI, base64 of 32 characters or more, the name of a "
        "file sent along"
    )
    assert ('(did you mean "Photo"?)' in said) == (value == "photo")


def test_a_short_file_may_be_sent_along(read):
    assert read("a", "file", sent={"a": "QUJD"}).path.read_bytes() == b"ABC"


def test_a_document_by_url(reader, web):
    url = web.serve("/graph.json", b'{"1": {}}')
    assert reader().fetch_document(url, where="workflow_url", max_bytes=100) == b'{"1": {}}'
    with pytest.raises(InputRejected, match=r"^workflow_url: is larger than the 5 bytes"):
        reader().fetch_document(url, where="workflow_url", max_bytes=5)
    with pytest.raises(InputUnavailable, match=r"^workflow_url: .* answered 404 Not Found"):
        reader().fetch_document(f"{web.url}/none?sig=s3cret", where="workflow_url", max_bytes=5)
    with pytest.raises(InputRejected, match=r"^workflow_url: must be|^workflow_url: is no URL"):
        reader().fetch_document("file:///etc/passwd", where="workflow_url", max_bytes=5)


def test_a_bare_name_is_a_name_when_it_is_short_or_holds_a_dot(read, reader, s3):
    s3.put(BUCKET, "QUJD", b"an object")
    by = reader(s3_settings(s3, s3_input_bucket=BUCKET))
    assert read("QUJD", "file", by=by).path.read_bytes() == b"an object"
    assert read("QUJD" * 8, "file", by=by).path.read_bytes() == b"ABC" * 8
    with pytest.raises(InputRejected, match="is none of the forms"):
        read("QUJD", "file")


def test_bare_names_on_the_command_line(read, reader, s3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s3.put(BUCKET, "uploads/cat", b"an object")
    by = reader(s3_settings(s3, s3_input_prefix="uploads"))
    assert read("cat", "file", by=by, allow_files=True).path.read_bytes() == b"an object"
    (tmp_path / "cat").write_bytes(b"a file here")
    assert read("cat", "file", by=by, allow_files=True).path.read_bytes() == b"a file here"
    assert read("@cat", "file", by=by, allow_files=True).path.read_bytes() == b"a file here"
    with pytest.raises(InputUnavailable, match="dog: no such file"):
        read("@dog", "file", by=by, allow_files=True)


def test_a_file_at_home(read, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cat").write_bytes(b"a file here")
    assert read("~/cat", "file", allow_files=True).path.read_bytes() == b"a file here"


def test_an_object_below_the_prefix_may_be_named_by_its_url(read, reader, s3):
    s3.put(BUCKET, "inputs/cats/1.txt", b"a cat")
    s3.put(BUCKET, "other/secret.txt", b"of another caller")
    by = reader(s3_settings(s3, s3_input_prefix="inputs"))
    assert read("s3://results/inputs/cats/1.txt", "file", by=by).path.read_bytes() == b"a cat"
    with pytest.raises(InputRejected, match="outside of the folder that files are read from"):
        read("s3://results/other/secret.txt", "file", by=by)


def test_a_prefix_without_a_bucket_is_told_at_once():
    with pytest.raises(SettingsError, match="S3_INPUT_BUCKET: is missing") as caught:
        MediaReader(Settings(s3_input_prefix="inputs", s3_input_buckets=("assets",)))
    assert "S3_BUCKET" in caught.value.hint


def test_inputs_have_credentials_of_their_own(read, reader, s3):
    s3.put("mine", "a.txt", b"words")
    settings = Settings(
        s3_bucket="results",
        s3_endpoint_url="http://127.0.0.1:9",
        s3_access_key_id="OTHERACCESSKEY",
        s3_secret_access_key="other-secret",
        s3_input_bucket="mine",
        s3_input_endpoint_url=s3.server.endpoint_url,
        s3_input_access_key_id=s3.server.access_key_id,
        s3_input_secret_access_key=s3.server.secret_access_key,
    )
    assert read("a.txt", "file", by=reader(settings)).path.read_bytes() == b"words"


def test_half_of_the_credentials_is_none(s3):
    with pytest.raises(SettingsError, match="S3_INPUT_SECRET_ACCESS_KEY: is missing"):
        MediaReader(s3_settings(s3, s3_input_bucket="mine", s3_input_access_key_id="AKID"))


@pytest.mark.parametrize(
    ("value", "changes", "said"),
    [
        ("s3://results/none.png", {}, "there is no such object"),
        ("none.png", {}, "there is no such object"),
        ("x.png", {"s3_secret_access_key": "wr0ng-secret"}, "the worker's credentials|was denied"),
        ("s3://results/x.png", {"s3_access_key_id": "WR0NGACCESSKEY"}, "the worker's credentials|was denied"),
        ("s3://results/x.png", {"s3_endpoint_url": "http://127.0.0.1:9"}, "no answer from the bucket's server"),
        ("s3://no-such-bucket/x.png", {"s3_input_buckets": ("*",)}, "no such object|bucket that does not exist"),
    ],
)
def test_an_object_that_can_not_be_had(read, reader, s3, value, changes, said):
    s3.put(BUCKET, "x.png", media.picture())
    by = reader(s3_settings(s3, **{"s3_input_bucket": BUCKET, "s3_input_buckets": (BUCKET,), **changes}))
    with pytest.raises(InputUnavailable, match=said) as caught:
        read(value, by=by)
    told = str(caught.value.failure()) + (caught.value.detail or "")
    assert caught.value.problems[0].where == "image"
    for secret in (s3.server.access_key_id, s3.server.secret_access_key, "wr0ng-secret", "WR0NGACCESSKEY"):
        assert secret not in told


def test_a_large_object_is_refused_by_its_length(read, reader, s3):
    s3.put(BUCKET, "large.bin", bytes(100_000))
    by = reader(s3_settings(s3, s3_input_prefix="", max_file_bytes=99_999))
    with pytest.raises(InputRejected, match="larger than the 99999 bytes"):
        read("large.bin", "file", by=by)


def test_a_bucket_that_never_answers_ends_in_time(read, reader, s3):
    with serve_raw(lambda _, stopping: stopping.wait()) as url:
        settings = s3_settings(s3, s3_endpoint_url=url, s3_input_bucket="mine", fetch_image_seconds=0.3)
        with pytest.raises(InputUnavailable, match=r"within the 0\.3 seconds"):
            read("x.png", by=reader(settings))
