"""A cancelled job stores nothing more: what has not begun does not begin, and no wait goes on."""

from __future__ import annotations

import pytest
from support.gcs import scripted, serving
from support.outputs import of_job, output_file, text_output

from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.settings import load_settings
from engine.storage import DirectoryStorage, GCSStorage, InlineStorage, S3Options, S3Storage, Storages
from engine.storage.gcs_options import GCSOptions


class CancelsAtTheFirst(list):
    """What a server has seen; the first request cancels the job."""

    def __init__(self, token):
        super().__init__()
        self._token = token

    def append(self, request):
        super().append(request)
        self._token.cancel()


@pytest.fixture
def token():
    return CancellationToken()


@pytest.fixture
def server(token, monkeypatch):
    """A server that cancels the job as soon as it is asked for anything; answers as its `answers` say."""
    found = scripted((200, {"name": "x", "bucket": "results"}))
    found.seen = CancelsAtTheFirst(token)
    with serving(found) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        found.url = url
        yield found


@pytest.fixture
def s3_options(server):
    # With any other success the body would have to be XML.
    server.answers = [(204, {})]
    return {"endpoint_url": server.url, "access_key_id": "k", "secret_access_key": "s"}


@pytest.fixture
def outputs(tmp_path):
    return [output_file(tmp_path, f"{index}.png", index=index) for index in range(4)]


def test_uploads_to_s3_that_have_not_begun_do_not_begin(server, s3_options, outputs, token):
    storage = S3Storage(S3Options("results", **s3_options), uploads_at_once=1)
    with pytest.raises(Cancelled):
        storage.put(outputs, **of_job(), cancel=token)
    storage.close()
    assert len(server.seen) == 1


def test_uploads_to_google_that_have_not_begun_do_not_begin(server, outputs, token):
    storage = GCSStorage(GCSOptions("results", url_kind="none"), uploads_at_once=1)
    with pytest.raises(Cancelled):
        storage.put(outputs, **of_job(), cancel=token)
    storage.close()
    assert len(server.seen) == 1


def test_the_wait_before_another_try_ends(server, outputs, token):
    server.answers = [(503, {})]
    storage = GCSStorage(GCSOptions("results", url_kind="none", retries=1, retry_base_sleep=5), uploads_at_once=1)
    with pytest.raises(Cancelled):
        storage.put(outputs[:1], **of_job(), cancel=token)
    storage.close()
    assert len(server.seen) == 1


@pytest.mark.parametrize("whose", ["operator's", "caller's"])
def test_the_token_reaches_the_bucket(server, s3_options, outputs, token, monkeypatch, whose):
    monkeypatch.setenv("UPLOADS_AT_ONCE", "1")
    config = None
    if whose == "caller's":
        monkeypatch.setenv("ALLOW_S3_CONFIG", "1")
        monkeypatch.setenv("ALLOW_PRIVATE_URLS", "1")
        config = {"accessId": "k", "accessSecret": "s", "bucketName": "results", "endpointUrl": server.url}
    else:
        for name, value in {"bucket": "results", **s3_options}.items():
            monkeypatch.setenv(f"S3_{name.upper()}", value)
    storages = Storages(load_settings(), default="inline")
    delivery = storages.delivery(None, s3_config=config)
    with pytest.raises(Cancelled):
        storages.put(outputs, naming=of_job()["naming"], delivery=delivery, s3_config=config, cancel=token)
    storages.close()
    assert len(server.seen) == 1


def test_the_token_reaches_the_bucket_that_takes_what_is_too_large(server, s3_options, outputs, token, monkeypatch):
    for name, value in {"bucket": "results", **s3_options}.items():
        monkeypatch.setenv(f"S3_{name.upper()}", value)
    monkeypatch.setenv("RESPONSE_LIMIT_BYTES", "20")
    monkeypatch.setenv("STORAGE", "inline")
    token.cancel()
    storages = Storages(load_settings(), default="inline")
    with pytest.raises(Cancelled):
        storages.put(outputs, naming=of_job()["naming"], delivery=storages.delivery(None), cancel=token)
    storages.close()
    assert server.seen == []


def test_a_folder_keeps_nothing_of_a_cancelled_job(tmp_path, outputs):
    class AfterTwo(CancellationToken):
        """Cancelled while the second result is copied."""

        looks = 0

        def raise_if_cancelled(self):
            self.looks += 1
            if self.looks == 3:
                self.cancel()
            super().raise_if_cancelled()

    folder = tmp_path / "outputs"
    with pytest.raises(Cancelled):
        DirectoryStorage(folder).put(outputs, **of_job(), cancel=AfterTwo())
    assert list(folder.iterdir()) == []


def test_nothing_is_encoded_for_a_cancelled_job(outputs, token):
    token.cancel()
    with pytest.raises(Cancelled):
        InlineStorage(limit_bytes=1000).put(outputs, **of_job(), cancel=token)


def test_a_token_that_nobody_uses_changes_nothing(tmp_path, outputs, token):
    stored = DirectoryStorage(tmp_path / "outputs").put([*outputs, text_output()], **of_job(), cancel=token)
    assert len([each for each in stored if each.path]) == 4
