from __future__ import annotations

import dataclasses
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

import pytest
import requests
from support.outputs import of_job, output_file, text_output
from support.s3 import SECRET_ACCESS_KEY, free_port, serve_s3

from engine.errors import StorageError
from engine.storage import S3Options, S3Storage


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def storage_with(server):
    made = []

    def make(**changes):
        made.append(S3Storage(S3Options(**{**server.options(), **changes}), retry_seconds=0.5))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch, tmp_path):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def put_failure(storage, outputs, **job):
    with pytest.raises(StorageError) as caught:
        storage.put(outputs, **of_job(**job))
    error = caught.value
    said = f"{error.message} {error.hint} {error.detail}"
    assert SECRET_ACCESS_KEY not in said
    assert "TESTACCESSKEY" not in said
    assert "Signature=" not in said
    return error


def test_bytes_and_type_come_back_through_the_link(storage_with, tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    [stored] = storage_with(url_expires_seconds=60).put([output_file(tmp_path, content=b"picture")], **of_job())

    answer = requests.get(stored.url, timeout=10)

    assert answer.status_code == 200
    assert answer.content == b"picture"
    assert answer.headers["Content-Type"] == "image/png"
    assert urlsplit(stored.url).path.endswith("/results/txt2img/job-1/ComfyUI_00001_.png")
    assert before <= stored.expires_at <= datetime.now(UTC) + timedelta(seconds=60)
    assert stored.base64 is None
    assert stored.path is None


def test_a_link_says_when_it_expires_as_the_contract_writes_it(storage_with, tmp_path):
    [stored] = storage_with().put([output_file(tmp_path)], **of_job())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stored.as_dict()["expires_at"])
    assert "X-Amz-Expires=604800" in stored.url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in stored.url


def test_a_tampered_link_is_refused(storage_with, tmp_path):
    [stored] = storage_with().put([output_file(tmp_path)], **of_job())
    other = stored.url.replace("ComfyUI_00001_.png", "ComfyUI_00002_.png")
    assert requests.get(other, timeout=10).status_code == 403


def test_a_large_file_goes_up_whole(storage_with, tmp_path):
    content = bytes(range(256)) * (20 * 4096)  # 20 MiB
    [stored] = storage_with(prefix="large").put(
        [output_file(tmp_path, "film.mp4", content, content_type="video/mp4")], **of_job()
    )
    answer = requests.get(stored.url, timeout=30)
    assert answer.content == content
    assert answer.headers["Content-Type"] == "video/mp4"


@pytest.mark.parametrize(
    "filename",
    [
        "übergröße 灯台.png",
        "a b+c&d=e?f#g%20.png",
        "../../etc/passwd",
        "..",
        "",
        "🗼.png",
        "x" * 400 + ".png",
        "quo'te\"s.png",
        "new\nline.png",
        "\ud800lone.png",
    ],
)
def test_any_filename_makes_a_link_that_works(storage_with, tmp_path, filename):
    content = filename.encode(errors="replace") or b"nameless"
    [stored] = storage_with().put([output_file(tmp_path, filename, content)], **of_job(workflow="odd", job_id="j"))
    assert requests.get(stored.url, timeout=10).content == content
    assert "/results/odd/j/" in unquote(urlsplit(stored.url).path)


def test_results_of_the_same_name_do_not_overwrite_each_other(storage_with, tmp_path):
    outputs = [output_file(tmp_path, content=f"{i}".encode(), index=i) for i in range(5)]
    stored = storage_with().put(outputs, **of_job())
    assert [requests.get(s.url, timeout=10).content for s in stored] == [b"0", b"1", b"2", b"3", b"4"]


def test_texts_keep_their_place_and_are_not_uploaded(storage_with, tmp_path):
    first, text, second = output_file(tmp_path, "a.png"), text_output(), output_file(tmp_path, "b.png")
    stored = storage_with().put([first, text, second], **of_job())
    assert [s.file for s in stored] == [first, text, second]
    assert stored[1].url is None
    assert all(stored[i].url for i in (0, 2))


def test_only_texts_need_no_server(tmp_path):
    storage = S3Storage(
        S3Options("b", endpoint_url=f"http://127.0.0.1:{free_port()}", access_key_id="k", secret_access_key="s")
    )
    [stored] = storage.put([text_output("hello")], **of_job())
    assert stored.as_dict()["text"] == "hello"


def test_a_public_base_url_gives_plain_links_that_do_not_expire(storage_with, tmp_path):
    storage = storage_with(prefix="/made/today/", public_base_url="https://cdn.example.com/files/")
    [stored] = storage.put([output_file(tmp_path, "灯台 1.png")], **of_job())
    assert stored.url == "https://cdn.example.com/files/made/today/txt2img/job-1/%E7%81%AF%E5%8F%B0_1.png"
    assert stored.expires_at is None


def test_jobs_share_one_storage_from_many_threads(storage_with, tmp_path):
    storage = storage_with(prefix="threads")

    def job(number):
        outputs = [output_file(tmp_path / str(number), f"{i}.png", f"{number}/{i}".encode(), index=i) for i in range(3)]
        stored = storage.put(outputs, **of_job(workflow="w", job_id=f"job-{number}"))
        return [requests.get(s.url, timeout=30).text for s in stored]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(job, range(16)))
    assert got == [[f"{number}/{i}" for i in range(3)] for number in range(16)]


def test_path_style_and_a_name_of_the_requests(storage_with, tmp_path):
    storage = storage_with(addressing_style="path", prefix="made")
    storage.warm()
    job = of_job(values={"seed": 7}, prefix="shop", filename="{job_id}/{name}-{seed}")
    stored = storage.put([output_file(tmp_path, "x.png", b"x"), output_file(tmp_path, "y.png", b"y", index=1)], **job)
    assert [each.uri for each in stored] == [
        "s3://results/made/shop/job-1/image-7.png",
        "s3://results/made/shop/job-1/image-7_2.png",
    ]
    assert [requests.get(each.url, timeout=10).content for each in stored] == [b"x", b"y"]


def test_a_request_says_what_kind_of_link(storage_with, tmp_path):
    storage = storage_with(public_base_url="https://cdn.example.com")
    output = output_file(tmp_path)
    [public] = storage.put([output], **of_job())
    [none] = storage.put([output], **of_job(url="none"))
    [signed] = storage.put([output], **of_job(url="presigned", expires_in=60))
    uri = "s3://results/txt2img/job-1/ComfyUI_00001_.png"
    assert public.url == "https://cdn.example.com/txt2img/job-1/ComfyUI_00001_.png"
    assert (none.url, none.expires_at) == (None, None)
    assert {public.uri, none.uri, signed.uri} == {uri}
    assert "X-Amz-Expires=60" in signed.url
    assert requests.get(signed.url, timeout=10).status_code == 200


def test_the_operator_says_what_kind_of_link_unless_the_request_does(storage_with, tmp_path):
    storage = storage_with(url_kind="none")
    assert storage.put([output_file(tmp_path)], **of_job())[0].url is None
    assert storage.put([output_file(tmp_path)], **of_job(url="presigned"))[0].url


def test_a_public_link_without_a_public_address(storage_with, tmp_path):
    with pytest.raises(StorageError, match="has no public address") as caught:
        storage_with().put([output_file(tmp_path)], **of_job(url="public"))
    assert not caught.value.retryable


def test_a_link_ends_when_it_says(storage_with, tmp_path, wait_until):
    [stored] = storage_with().put([output_file(tmp_path)], **of_job(expires_in=1))
    wait_until(lambda: requests.get(stored.url, timeout=10).status_code in (400, 403))
    assert datetime.now(UTC) >= stored.expires_at


def test_large_files_go_up_in_parts_and_are_never_held_in_memory(storage_with, server, tmp_path):
    """Two of 120 MiB at once; what Python holds meanwhile stays far below one of them."""
    outputs = [sparse_file(tmp_path, f"{name}.mp4", 120 * 1024 * 1024) for name in ("a", "b")]
    storage = storage_with(prefix="huge")
    storage.warm()
    tracemalloc.start()
    try:
        stored = storage.put(outputs, **of_job())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
    for each in stored:
        kept = server.folder / "results" / each.uri.removeprefix("s3://results/")
        assert kept.stat().st_size == 120 * 1024 * 1024
        kept.unlink()


def sparse_file(folder, filename, size):
    output = output_file(folder, filename, content_type="video/mp4")
    with output.path.open("r+b") as file:
        file.truncate(size)
    return dataclasses.replace(output, size_bytes=size)


def test_a_wrong_secret(storage_with, tmp_path):
    error = put_failure(storage_with(secret_access_key="wrong-secret-key"), [output_file(tmp_path)])
    assert "wrong secret key" in error.message
    assert "127.0.0.1" in error.message
    assert "wrong-secret-key" not in f"{error.message} {error.hint} {error.detail}"
    assert error.failure()["retryable"] is False


def test_a_wrong_key(storage_with, tmp_path):
    error = put_failure(storage_with(access_key_id="SOMEOTHERKEY"), [output_file(tmp_path)])
    assert "does not know the access key id" in error.message or "access denied" in error.message
    assert "SOMEOTHERKEY" not in f"{error.message} {error.hint} {error.detail}"


def test_a_missing_bucket(storage_with, tmp_path):
    error = put_failure(storage_with(bucket="nowhere"), [output_file(tmp_path)])
    assert "the bucket `nowhere` does not exist at 127.0.0.1" in error.message
    assert error.hint == "check the bucket's name, the endpoint and the region"


def test_a_missing_bucket_with_a_large_file(storage_with, tmp_path):
    error = put_failure(storage_with(bucket="nowhere"), [output_file(tmp_path, content=bytes(9 * 1024 * 1024))])
    assert "the bucket `nowhere` does not exist" in error.message


def test_a_bucket_name_that_can_be_none(storage_with, tmp_path):
    error = put_failure(storage_with(bucket="No Such/Bucket"), [output_file(tmp_path)])
    assert error.message.startswith("`No Such/Bucket` at 127.0.0.1")


def test_no_server(storage_with, tmp_path):
    port = free_port()
    error = put_failure(storage_with(endpoint_url=f"http://127.0.0.1:{port}"), [output_file(tmp_path)])
    assert error.message == f"no answer from 127.0.0.1:{port}"
    assert error.failure()["retryable"] is True


def test_no_credentials_at_all(storage_with, tmp_path):
    error = put_failure(storage_with(access_key_id=None, secret_access_key=None), [output_file(tmp_path)])
    assert "there are no credentials" in error.message


def test_a_profile_that_does_not_exist(storage_with, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    storage = storage_with()
    with pytest.raises(StorageError, match="there are no credentials"):
        storage.warm()


def test_a_result_that_vanished(storage_with, tmp_path):
    small, large = output_file(tmp_path, "small"), output_file(tmp_path, "large", bytes(9 * 1024 * 1024))
    for output in (small, large):
        output.path.unlink()
        assert "could not be read" in put_failure(storage_with(), [output]).message


def test_one_failure_fails_the_job(storage_with, tmp_path):
    outputs = [output_file(tmp_path, f"{i}.png", index=i) for i in range(6)]
    outputs[3].path.unlink()
    put_failure(storage_with(), outputs)


def test_a_closed_storage_opens_again(storage_with, tmp_path):
    storage = storage_with()
    storage.put([output_file(tmp_path)], **of_job())
    storage.close()
    storage.close()
    assert storage.put([output_file(tmp_path)], **of_job())[0].url
