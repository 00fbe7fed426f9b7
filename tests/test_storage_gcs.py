"""Google Cloud Storage, against an emulator and against servers that say no."""

from __future__ import annotations

import json
import subprocess
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from support.gcs import BUCKET, EMAIL, TOKEN, key_file, scripted, serve_gcs, serving
from support.outputs import of_job, output_file, text_output

from engine.errors import SettingsError, StorageError
from engine.storage.gcs import GCSStorage
from engine.storage.gcs_options import GCSOptions

OBJECT = {"name": "x", "bucket": BUCKET}


@pytest.fixture(scope="module")
def emulator():
    with serve_gcs() as url:
        yield url


@pytest.fixture
def storage_at(monkeypatch):
    """A storage whose Google is at a URL of this machine."""
    made = []

    def make(url, **options):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        made.append(GCSStorage(GCSOptions(**{"bucket": BUCKET, "retry_base_sleep": 0.001, **options})))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def account(tmp_path):
    """The key file of a service account whose tokens come from this machine."""
    with serving(scripted(TOKEN)) as url:
        yield key_file(tmp_path, f"{url}/token")


def content_of(emulator, key):
    return requests.get(f"{emulator}/{BUCKET}/{key}", timeout=10)


def described(emulator, key):
    return requests.get(f"{emulator}/storage/v1/b/{BUCKET}/o/{key.replace('/', '%2F')}", timeout=10).json()


@pytest.mark.parametrize(
    "size", [0, 20, 5 * 1024 * 1024, 9 * 1024 * 1024 + 1], ids=["empty", "small", "5 MiB", "9 MiB"]
)
def test_bytes_and_type_arrive(emulator, storage_at, tmp_path, size):
    content = (b"0123456789abcdef\r\n\n" * (size // 18 + 1))[:size]
    output = output_file(tmp_path, f"{size}.mp4", content, content_type="video/mp4")
    [stored] = storage_at(emulator, url_kind="none", prefix="made").put([output], **of_job(mode="gcs"))
    key = f"made/txt2img/job-1/{size}.mp4"
    assert stored.uri == f"gs://results/{key}"
    assert (stored.url, stored.expires_at) == (None, None)
    answer = content_of(emulator, key)
    assert answer.content == content
    assert answer.headers["Content-Type"] == "video/mp4"


def test_a_public_bucket_gives_plain_links(emulator, storage_at, tmp_path):
    [stored, text] = storage_at(emulator, public=True).put(
        [output_file(tmp_path, "灯台 1.png"), text_output("hello")], **of_job()
    )
    assert stored.url == "https://storage.googleapis.com/results/txt2img/job-1/%E7%81%AF%E5%8F%B0_1.png"
    assert stored.expires_at is None
    assert text.as_dict()["text"] == "hello"


def test_a_request_names_the_object_and_what_goes_with_it(emulator, storage_at, tmp_path):
    job = of_job(
        values={"seed": 7},
        prefix="shop",
        filename="{prefix}/{seed}-{index:03}",
        cache_control="max-age=60",
        storage_class="NEARLINE",
        url="none",
    )
    [stored] = storage_at(emulator).put([output_file(tmp_path)], **job)
    assert stored.uri == "gs://results/shop/7-000.png"
    kept = described(emulator, "shop/7-000.png")
    assert kept["cacheControl"] == "max-age=60"
    assert kept["storageClass"] == "NEARLINE"


@pytest.mark.parametrize(("acl", "sent"), [("public-read", "publicRead"), ("projectPrivate", "projectPrivate")])
def test_an_acl_is_sent_by_googles_name(storage_at, tmp_path, acl, sent):
    server = scripted((200, OBJECT))
    with serving(server) as url:
        storage_at(url, url_kind="none").put([output_file(tmp_path)], **of_job(acl=acl))
    assert parse_qs(urlsplit(server.seen[0][1]).query)["predefinedAcl"] == [sent]


def test_a_key_file_signs_links_of_the_right_form_which_the_emulator_can_not_verify(
    emulator, storage_at, tmp_path, account
):
    storage = storage_at(emulator, credentials_file=account, url_expires_seconds=3600)
    [stored] = storage.put([output_file(tmp_path)], **of_job(expires_in=120))
    query = parse_qs(urlsplit(stored.url).query)
    assert unquote(urlsplit(stored.url).path) == "/results/txt2img/job-1/ComfyUI_00001_.png"
    assert query["X-Goog-Algorithm"] == ["GOOG4-RSA-SHA256"]
    assert query["X-Goog-Expires"] == ["120"]
    assert query["X-Goog-Credential"][0].startswith(f"{EMAIL}/")
    assert len(query["X-Goog-Signature"][0]) == 512  # 2048 bits, as hex
    assert stored.expires_at is not None
    assert requests.get(stored.url, timeout=10).content == b"not really a picture"


def test_credentials_without_a_key_say_what_to_do_before_anything_is_sent(storage_at, tmp_path):
    server = scripted((200, OBJECT))
    with serving(server) as url, pytest.raises(StorageError) as caught:
        storage_at(url).put([output_file(tmp_path)], **of_job())
    assert caught.value.message == "these Google credentials can't sign links"
    assert "GCS_PUBLIC=1" in caught.value.hint
    assert not caught.value.retryable
    assert server.seen == []


@pytest.mark.parametrize(
    ("status", "said", "retryable"),
    [
        (403, "lacks storage.objects.create on `results`", False),
        (404, "the bucket `results` does not exist", False),
        (400, "refused the upload to the bucket `results` (HTTP 400)", False),
        (503, "refused the upload to the bucket `results` (HTTP 503)", True),
    ],
)
@pytest.mark.parametrize("size", [10, 9 * 1024 * 1024], ids=["small", "in chunks"])
def test_a_refusal_is_said_in_words_and_without_the_servers_own(storage_at, tmp_path, status, said, retryable, size):
    server = scripted((status, {"error": {"code": status, "message": f"{EMAIL} may not"}}))
    with serving(server) as url, pytest.raises(StorageError) as caught:
        storage_at(url, url_kind="none", retries=2).put([output_file(tmp_path, content=bytes(size))], **of_job())
    error = caught.value
    assert said in error.message
    assert error.failure()["retryable"] is retryable
    assert EMAIL not in f"{error.message} {error.hint} {error.detail}"
    assert len(server.seen) == (3 if retryable else 1)


def test_a_token_that_is_not_accepted(storage_at, tmp_path, account):
    with serving(scripted((401, {}))) as url, pytest.raises(StorageError) as caught:
        storage_at(url, credentials_file=account).put([output_file(tmp_path)], **of_job())
    assert caught.value.message == "Google Cloud Storage does not accept the credentials"
    assert not caught.value.retryable


def test_what_passes_is_tried_again(storage_at, tmp_path):
    server = scripted((503, {}), (429, {}), (200, OBJECT))
    with serving(server) as url:
        [stored] = storage_at(url, url_kind="none", retries=2).put([output_file(tmp_path)], **of_job())
    assert stored.uri
    assert len(server.seen) == 3


def test_no_server_is_tried_again_and_then_said(storage_at, tmp_path, unused_port):
    with pytest.raises(StorageError, match="no answer from Google Cloud Storage") as caught:
        storage_at(f"http://127.0.0.1:{unused_port}", url_kind="none", retries=1).put(
            [output_file(tmp_path)], **of_job()
        )
    assert caught.value.retryable


def test_a_key_that_google_does_not_know_any_more(storage_at, tmp_path):
    token = scripted((400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}))
    with serving(token) as url, pytest.raises(StorageError) as caught:
        storage_at(url, credentials_file=key_file(tmp_path, f"{url}/token"), retries=2).put(
            [output_file(tmp_path)], **of_job()
        )
    assert caught.value.message == "Google gave no access token for the bucket `results`"
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.hint
    assert not caught.value.retryable


def test_a_key_file_that_is_none(storage_at, tmp_path):
    wrong = tmp_path / "account.json"
    wrong.write_text("{}")
    with pytest.raises(StorageError, match="there are no credentials") as caught:
        storage_at("http://127.0.0.1:1", credentials_file=wrong).warm()
    assert str(tmp_path) not in f"{caught.value.message} {caught.value.hint}"


def test_a_bucket_is_asked_for_at_the_start(emulator, storage_at):
    storage_at(emulator).check()
    with pytest.raises(StorageError, match="the bucket `nowhere` does not exist"):
        storage_at(emulator, bucket="nowhere").check()
    with serving(scripted((200, {"permissions": []}))) as url, pytest.raises(StorageError, match="lacks storage"):
        storage_at(url).check()


def test_a_file_that_vanished(emulator, storage_at, tmp_path):
    output = output_file(tmp_path)
    output.path.unlink()
    with pytest.raises(StorageError, match="could not be read"):
        storage_at(emulator, url_kind="none").put([output], **of_job())


def test_a_closed_storage_opens_again(emulator, storage_at, tmp_path):
    storage = storage_at(emulator, url_kind="none")
    storage.close()
    storage.put([output_file(tmp_path)], **of_job())
    storage.close()
    assert storage.put([output_file(tmp_path)], **of_job())[0].uri


def test_options_that_can_not_be_right(tmp_path):
    with pytest.raises(SettingsError) as caught:
        GCSOptions("", prefix="x/" * 400, credentials_file=tmp_path / "none.json", url_kind="public")
    assert {problem.where for problem in caught.value.problems} == {"bucket", "prefix", "credentials_file", "public"}


def test_without_googles_package_the_settings_say_how_to_get_it():
    """A Python that sees everything but Google's packages."""
    script = """
import json, sys
import importlib.abc

class NoGoogle(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "google":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoGoogle())
from engine.errors import SettingsError
from engine.storage.gcs_options import GCSOptions
try:
    GCSOptions("results")
except SettingsError as error:
    print(json.dumps(str(error)))
"""
    said = json.loads(subprocess.check_output([sys.executable, "-c", script], text=True))
    assert "pip install 'google-cloud-storage>=3.1'" in said
