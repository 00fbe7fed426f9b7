"""What a bucket refuses for a moment is tried again, what it refuses for good is not, and no try goes on for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.gcs import scripted, serve_gcs, serving
from support.outputs import of_job, output_file
from support.s3 import BUCKET, serve_s3_with_outages
from support.web import serve_raw
from support.wire import wire_to

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, StorageError
from engine.s3 import build_client
from engine.storage import GCSStorage, S3Options, S3Storage
from engine.storage.gcs_options import GCSOptions
from engine.storage.parcels import Parcel
from engine.storage.retrying import Patience
from engine.storage.s3_sending import S3Sender

FILM = bytes(range(256)) * (20 * 4096)  # 20 MiB, which goes up in parts


@pytest.fixture(scope="module")
def outages(tmp_path_factory):
    with serve_s3_with_outages(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def wire(outages):
    with wire_to(outages.server.endpoint_url) as wire:
        yield wire


@pytest.fixture
def storage(outages, wire):
    """A storage whose way to the bucket is the wire."""
    storage = S3Storage(S3Options(**{**outages.server.options(), "endpoint_url": wire.url}), retry_seconds=20)
    yield storage
    storage.close()


@pytest.fixture
def scripted_storage(monkeypatch):
    """A storage of either kind whose server answers as told."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def make(kind, url, **options):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        if kind == "gcs":
            return GCSStorage(GCSOptions(BUCKET, url_kind="none", retry_base_sleep=0.01), **options)
        return S3Storage(S3Options(BUCKET, endpoint_url=url, access_key_id="k", secret_access_key="s"), **options)

    return make


def content(outages, uri):
    return (outages.server.folder / BUCKET / uri.removeprefix(f"s3://{BUCKET}/")).read_bytes()


def half_way(outages, key):
    """Uploads in parts that were begun and not ended."""
    client = build_client(S3Options(**outages.server.options()))
    try:
        begun = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [each for each in begun if each["Key"].endswith(key)]
    except client.exceptions.NoSuchUpload:  # rclone's word for none at all
        return []
    finally:
        client.close()


GOOD = {"s3": (204, {}), "gcs": (200, {"name": "x", "bucket": BUCKET})}


@pytest.mark.parametrize("kind", ["s3", "gcs"])
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_tried_again(scripted_storage, tmp_path, kind, status):
    server = scripted((status, {}), (status, {}), GOOD[kind])
    with serving(server) as url:
        storage = scripted_storage(kind, url)
        [stored] = storage.put([output_file(tmp_path)], **of_job(mode=kind))
        storage.close()
    assert stored.uri.endswith("txt2img/job-1/ComfyUI_00001_.png")
    assert len(server.seen) == 3


@pytest.mark.parametrize("kind", ["s3", "gcs"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_does_not_pass_is_not(scripted_storage, tmp_path, kind, status):
    server = scripted((status, {}))
    with serving(server) as url:
        storage = scripted_storage(kind, url)
        with pytest.raises(StorageError) as caught:
            storage.put([output_file(tmp_path)], **of_job(mode=kind))
        storage.close()
    assert not caught.value.retryable
    assert len(server.seen) == 1


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_a_result_that_vanished_is_not_waited_for(scripted_storage, tmp_path, kind):
    output = output_file(tmp_path)
    output.path.unlink()
    server = scripted(GOOD[kind])
    with serving(server) as url:
        storage = scripted_storage(kind, url, retry_seconds=600)  # longer than a test may take
        with pytest.raises(StorageError, match="could not be read"):
            storage.put([output], **of_job(mode=kind))
        storage.close()


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_patience_ends(scripted_storage, tmp_path, kind):
    server = scripted((503, {}))
    with serving(server) as url:
        storage = scripted_storage(kind, url, retry_seconds=0)
        with pytest.raises(StorageError) as caught:
            storage.put([output_file(tmp_path)], **of_job(mode=kind))
        storage.close()
    assert caught.value.retryable
    assert len(server.seen) == 1


@pytest.mark.parametrize("size", [5_000_000, len(FILM)], ids=["whole", "in parts"])
def test_a_connection_that_breaks_in_the_middle_costs_no_byte(outages, wire, storage, tmp_path, size):
    wire.cuts = [1000, 400_000, 1_000_000]
    output = output_file(tmp_path, f"cut-{size}.mp4", FILM[:size])
    [stored] = storage.put([output], **of_job())
    assert content(outages, stored.uri) == FILM[:size]
    assert half_way(outages, output.filename) == []


def test_a_server_that_comes_back_in_time_is_waited_for(outages, wire, storage, tmp_path, wait_until):
    outages.stop()
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(storage.put, [output_file(tmp_path, "back.png", b"late")], **of_job())
        wait_until(lambda: wire.connected >= 2)
        outages.start()
        [stored] = put.result()
    assert content(outages, stored.uri) == b"late"


@pytest.mark.timeout(25)  # the server would be waited for longer than that
@pytest.mark.parametrize("silence", ["silent", "mute"])
@pytest.mark.parametrize("size", [1000, 5_000_000, len(FILM)], ids=["tiny", "whole", "in parts"])
def test_a_cancelled_upload_ends_though_the_server_says_nothing(
    outages, wire, storage, tmp_path, wait_until, silence, size
):
    token = CancellationToken()
    setattr(wire, silence, True)
    output = output_file(tmp_path, f"{silence}-{size}.mp4", FILM[:size])
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(storage.put, [output], **of_job(), cancel=token)
        wait_until(lambda: wire.connected >= 1)
        token.cancel()
        with pytest.raises(Cancelled):
            put.result()


@pytest.mark.parametrize("size", [5_000_000, len(FILM)], ids=["whole", "in parts"])
def test_nothing_is_left_of_an_upload_that_was_cancelled_half_way(outages, wire, storage, tmp_path, wait_until, size):
    token = CancellationToken()
    wire.pause = 0.05
    first, film = output_file(tmp_path, "first.png"), output_file(tmp_path, "film.mp4", FILM[:size], index=1)
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(storage.put, [first, film], **of_job(job_id=f"cancelled-{size}"), cancel=token)
        place = outages.server.folder / BUCKET / "txt2img" / f"cancelled-{size}"
        wait_until(lambda: (place / "first.png").is_file() and wire.passed > 1_000_000)
        wire.pause = 0.01
        token.cancel()
        with pytest.raises(Cancelled):
            put.result()
    wait_until(lambda: not place.exists() or list(place.iterdir()) == [])
    assert half_way(outages, film.filename) == []


def impatient(url, tmp_path, *, size):
    """Sends a file with patience for half a second of silence."""
    options = S3Options(BUCKET, endpoint_url=url, access_key_id="k", secret_access_key="s")
    path = tmp_path / "film"
    path.write_bytes(FILM[:size])
    cancel = CancellationToken()
    client = build_client(options, attempts=1)
    try:
        S3Sender(options).send(
            client,
            Parcel(path, "film", size, "", {}),
            Patience(0.1, cancel, silence_seconds=0.5),
            cancel,
        )
    finally:
        client.close()


def drip_an_answer(connection, stopping):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not stopping.wait(0.05):
        connection.sendall(b"x")


def drip_a_body(connection, stopping):
    connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n")
    while not stopping.wait(0.05):
        connection.sendall(b"x")


def never_answer(connection, stopping):
    stopping.wait()


def take_little(connection, stopping):
    while not stopping.wait(0.05):
        connection.recv(100)


@pytest.mark.timeout(25)  # each would go on for a minute at least, some for ever
@pytest.mark.parametrize("talk", [drip_an_answer, drip_a_body, never_answer, take_little])
@pytest.mark.parametrize("size", [1000, 5_000_000, len(FILM)], ids=["tiny", "whole", "in parts"])
def test_a_server_that_drips_or_says_nothing_is_given_up(tmp_path, talk, size):
    with serve_raw(talk) as url, pytest.raises(StorageError) as caught:
        impatient(url, tmp_path, size=size)
    assert caught.value.retryable


def test_uploads_that_wait_at_the_same_time_share_the_bound(scripted_storage, tmp_path):
    """Sixteen that fail lose no more together than one does alone, and none goes on by itself."""
    server = scripted((503, {}))
    outputs = [output_file(tmp_path, f"{index}.png", index=index) for index in range(16)]
    with serving(server) as url:
        storage = scripted_storage("s3", url, retry_seconds=1, uploads_at_once=2)
        with pytest.raises(StorageError):
            storage.put(outputs, **of_job())
        storage.close()
    assert len({path for _, path, _ in server.seen}) <= 3


def test_no_thread_is_left(scripted_storage, tmp_path, wait_until):
    before = threading.active_count()
    with serve_gcs() as url:
        storage = scripted_storage("gcs", url)
        storage.put([output_file(tmp_path)], **of_job(mode="gcs"))
        storage.close()
    wait_until(lambda: threading.active_count() <= before)
