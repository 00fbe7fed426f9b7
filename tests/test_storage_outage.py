"""The bucket is away when a job's results are ready: they reach the caller if they fit, and the bucket in the end."""

from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from support.gcs import scripted, serving
from support.outputs import of_job, output_file, text_output
from support.s3 import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, serve_s3_with_outages
from support.wire import wire_to

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, StorageError
from engine.s3 import S3Options, build_client
from engine.settings import load_settings
from engine.storage import DeliveryRequest, Storages

LARGE = bytes(range(256)) * 40  # 10 kB, above what the reply takes here
FILM = bytes(range(256)) * (9 * 4096)  # 9 MiB, which goes up in parts


@pytest.fixture
def outages(tmp_path):
    with serve_s3_with_outages(tmp_path / "s3") as running:
        yield running


@pytest.fixture
def environment(outages, tmp_path, monkeypatch):
    """Of an operator whose reply takes little, and whose worker has no patience."""
    found = {
        "S3_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": outages.server.endpoint_url,
        "S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "S3_PREFIX": "made",
        "UPLOAD_RETRY_SECONDS": "0",
        "RESPONSE_LIMIT_BYTES": "5000",
        "SPOOL_PATH": str(tmp_path / "spool"),
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def storages_with(environment, monkeypatch):
    made = []

    def make(**changes):
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        made.append(Storages(load_settings(), default="inline"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def put(storages, outputs, wishes=None, s3_config=None, cancel=None, **naming):
    delivery = storages.delivery(DeliveryRequest(**(wishes or {})), s3_config=s3_config)
    return storages.put(
        outputs, naming=of_job(**naming)["naming"], delivery=delivery, s3_config=s3_config, cancel=cancel
    )


def put_failure(*arguments, **more):
    with pytest.raises(StorageError) as caught:
        put(*arguments, **more)
    return caught.value


def in_bucket(outages, key):
    path = outages.server.folder / BUCKET / key
    return path.read_bytes() if path.is_file() else None


def described(outages, key):
    client = build_client(S3Options(**outages.server.options()))
    try:
        return client.head_object(Bucket=BUCKET, Key=key)
    finally:
        client.close()


def logged(caplog):
    return [(record.getMessage(), record.__dict__.get("fields", {})) for record in caplog.records]


def entries(tmp_path):
    kept = tmp_path / "spool" / "kept"
    return sorted(kept.iterdir()) if kept.exists() else []


def test_small_results_come_in_the_reply_and_reach_the_bucket_later(outages, storages_with, tmp_path, wait_until):
    storages = storages_with()
    outages.stop()
    outputs = [output_file(tmp_path, "a.png", b"picture"), text_output("a caption")]
    [stored, text], [warning] = put(storages, outputs)
    assert stored.base64 == "cGljdHVyZQ=="
    assert stored.uri == "s3://results/made/txt2img/job-1/a.png"
    assert (stored.url, text.file.text) == (None, "a caption")
    assert "no answer from 127.0.0.1" in warning
    assert "s3://results/made/txt2img/job-1/a.png came in the reply, and will be in the bucket" in warning
    outages.start()
    wait_until(lambda: in_bucket(outages, "made/txt2img/job-1/a.png") == b"picture")
    wait_until(lambda: entries(tmp_path) == [])


def test_large_results_are_named_and_reach_the_bucket_later(outages, storages_with, tmp_path, wait_until):
    storages = storages_with()
    outages.stop()
    outputs = [
        output_file(tmp_path, "film.mp4", FILM, content_type="video/mp4"),
        output_file(tmp_path, "large.webp", LARGE, content_type="image/webp", index=1),
    ]
    error = put_failure(storages, outputs, {"prefix": "shop", "cache_control": "max-age=60"})
    for output in outputs:
        output.path.unlink()  # as whoever made them does now
    assert error.results_kept
    assert not error.retryable
    uris = [f"s3://results/made/shop/txt2img/job-1/{name}" for name in ("film.mp4", "large.webp")]
    assert [problem.where for problem in error.problems] == uris
    assert uris[0] in error.message
    outages.start()
    wait_until(lambda: entries(tmp_path) == [])
    for output, content, kind in zip(outputs, (FILM, LARGE), ("video/mp4", "image/webp"), strict=True):
        key = f"made/shop/txt2img/job-1/{output.filename}"
        assert in_bucket(outages, key) == content
        answer = described(outages, key)
        assert (answer["ContentType"], answer["CacheControl"]) == (kind, "max-age=60")


def test_names_that_tell_the_time_are_settled_once(outages, storages_with, tmp_path, wait_until):
    storages = storages_with(FILENAME_TEMPLATE="{uuid}-{timestamp}")
    outages.stop()
    [stored], _ = put(storages, [output_file(tmp_path)])
    outages.start()
    wait_until(lambda: in_bucket(outages, stored.uri.removeprefix("s3://results/")) is not None)


def test_what_waited_is_delivered_at_the_next_start(outages, storages_with, environment, tmp_path, wait_until):
    """Its process was killed meanwhile."""
    outages.stop()
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from support.outputs import of_job, output_file
from engine.errors import StorageError
from engine.settings import load_settings
from engine.storage import Storages
storages = Storages(load_settings(), default="inline")
try:
    storages.put([output_file(Path({str(tmp_path)!r}), content=bytes(9000))], naming=of_job()["naming"],
                 delivery=storages.delivery(None))
except StorageError as error:
    print("kept" if error.results_kept else error, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"kept\n"
        process.kill()
    outages.start()
    storages_with().warm()
    wait_until(lambda: in_bucket(outages, "made/txt2img/job-1/ComfyUI_00001_.png") == bytes(9000))
    wait_until(lambda: entries(tmp_path) == [])


def test_the_next_job_that_goes_well_wakes_the_delivery(outages, storages_with, tmp_path, wait_until):
    storages = storages_with()
    outages.stop()
    for number in range(3):
        put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id=f"job-{number}")
    outages.start()
    put(storages, [output_file(tmp_path, content=b"well")], job_id="job-3")
    wait_until(lambda: entries(tmp_path) == [])
    assert [in_bucket(outages, f"made/txt2img/job-{number}/ComfyUI_00001_.png") for number in range(4)] == [
        *[LARGE] * 3,
        b"well",
    ]


def test_nothing_secret_is_on_disk_and_nobody_else_reads_it(outages, storages_with, tmp_path):
    storages = storages_with()
    outages.stop()
    put(storages, [output_file(tmp_path)])
    [entry] = entries(tmp_path)
    assert {path.name for path in entry.iterdir()} == {"entry.json", "0"}
    for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        if path.is_file():
            assert SECRET_ACCESS_KEY.encode() not in path.read_bytes()
            assert ACCESS_KEY_ID.encode() not in path.read_bytes()


def test_a_spool_that_is_full_refuses_the_newest(outages, storages_with, tmp_path):
    storages = storages_with(SPOOL_MAX_BYTES="25000")
    outages.stop()
    first = put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id="job-1")
    second = put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id="job-2")
    third = put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id="job-3")
    assert (first.results_kept, second.results_kept, third.results_kept) == (True, True, False)
    assert third.retryable
    assert "not kept for later" in third.hint
    assert "at most 25000 may" in third.hint
    assert len(entries(tmp_path)) == 2


def test_a_disk_that_is_full_leaves_nothing_half_way(outages, environment, tmp_path):
    outages.stop()
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from support.outputs import of_job, output_file
from engine.errors import StorageError
from engine.settings import load_settings
from engine.storage import Storages
outputs = [output_file(Path({str(tmp_path)!r}), f"{{size}}.png", bytes(size), index=size) for size in (9000, 90000)]
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
storages = Storages(load_settings(), default="inline")
try:
    storages.put(outputs, naming=of_job()["naming"], delivery=storages.delivery(None))
except StorageError as error:
    print(error.results_kept, error.retryable, error.hint)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("False True ")
    assert "the disk that results wait on is full" in ran.stdout
    assert entries(tmp_path) == []
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []


def test_without_a_spool_the_job_fails_as_one_to_send_again(outages, storages_with, tmp_path):
    storages = storages_with(SPOOL_PATH="off")
    outages.stop()
    [stored], [warning] = put(storages, [output_file(tmp_path)])
    error = put_failure(storages, [output_file(tmp_path, content=LARGE)])
    assert stored.base64
    assert "in the reply alone" in warning
    assert (error.results_kept, error.retryable) == (False, True)
    assert "SPOOL_PATH" in error.hint


def test_what_is_refused_for_good_does_not_wait(storages_with, tmp_path):
    error = put_failure(storages_with(S3_SECRET_ACCESS_KEY="wrong-secret"), [output_file(tmp_path)])
    assert (error.results_kept, error.retryable) == (False, False)
    assert entries(tmp_path) == []


def test_nothing_of_a_callers_own_bucket_waits(outages, storages_with, tmp_path):
    config = {
        "accessId": ACCESS_KEY_ID,
        "accessSecret": SECRET_ACCESS_KEY,
        "bucketName": BUCKET,
        "endpointUrl": outages.server.endpoint_url,
    }
    storages = storages_with(ALLOW_S3_CONFIG="1", ALLOW_PRIVATE_URLS="1")
    outages.stop()
    [stored], [warning] = put(storages, [output_file(tmp_path)], s3_config=config)
    error = put_failure(storages, [output_file(tmp_path, content=LARGE)], s3_config=config)
    assert stored.base64
    assert "in the reply alone" in warning
    assert not error.results_kept
    assert "caller's own bucket" in error.hint
    assert entries(tmp_path) == []


def test_a_newer_result_of_the_same_name_stays(outages, storages_with, tmp_path, wait_until):
    storages = storages_with(FILENAME_TEMPLATE="latest")
    outages.stop()
    put(storages, [output_file(tmp_path, content=b"first")])
    put(storages, [output_file(tmp_path, content=b"second")])
    outages.start()
    put(storages, [output_file(tmp_path, content=b"third")])
    wait_until(lambda: entries(tmp_path) == [])
    assert in_bucket(outages, "made/latest.png") == b"third"


def test_a_newer_result_of_another_worker_stays(outages, storages_with, tmp_path, wait_until):
    storages = storages_with(FILENAME_TEMPLATE="latest")
    outages.stop()
    put(storages, [output_file(tmp_path, content=b"first")])
    storages.close()
    [entry] = entries(tmp_path)
    document = json.loads((entry / "entry.json").read_bytes())
    # A bucket tells its times in whole seconds, so that what is a moment younger can't be told.
    (entry / "entry.json").write_text(json.dumps({**document, "kept_at": document["kept_at"] - 60}))
    outages.start()
    put(storages_with(SPOOL_PATH="off"), [output_file(tmp_path, content=b"second")])
    storages_with(SPOOL_PATH=str(tmp_path / "spool")).warm()
    wait_until(lambda: entries(tmp_path) == [])
    assert in_bucket(outages, "made/latest.png") == b"second"


def test_an_older_result_of_the_same_name_is_replaced(outages, storages_with, tmp_path, wait_until):
    storages = storages_with(FILENAME_TEMPLATE="latest")
    put(storages, [output_file(tmp_path, content=b"first")])
    outages.stop()
    put(storages, [output_file(tmp_path, content=b"second")])
    outages.start()
    wait_until(lambda: in_bucket(outages, "made/latest.png") == b"second")


def test_what_can_not_be_delivered_stays_and_is_said_once(outages, storages_with, tmp_path, wait_until, caplog):
    storages = storages_with()
    outages.stop()
    put(storages, [output_file(tmp_path, "a.png")], job_id="lost")
    (outages.server.folder / BUCKET).rename(outages.server.folder / "elsewhere")
    with caplog.at_level(logging.WARNING):
        outages.start()
        wait_until(lambda: "`results` does not exist" in str(logged(caplog)))
        storages.warm()
        storages.warm()
    assert len(entries(tmp_path)) == 1
    assert str(logged(caplog)).count("`results` does not exist") == 1


def test_a_file_that_was_changed_is_not_delivered(outages, storages_with, tmp_path, wait_until, caplog):
    storages = storages_with()
    outages.stop()
    put(storages, [output_file(tmp_path, "a.png", b"picture")], job_id="changed")
    put(storages, [output_file(tmp_path, "a.png", b"picture")], job_id="sound")
    changed, _ = entries(tmp_path)
    (changed / "0").write_bytes(b"painted")
    outages.start()
    wait_until(lambda: in_bucket(outages, "made/txt2img/sound/a.png") == b"picture")
    wait_until(lambda: "was changed while it waited" in str(logged(caplog)))
    assert in_bucket(outages, "made/txt2img/changed/a.png") is None
    wait_until(lambda: entries(tmp_path) == [changed])


@pytest.mark.parametrize("document", [b"", b"{}", b"[1, 2", b'{"format": 2}', b'"\xff"'])
def test_an_entry_that_is_none_stops_nobody(outages, storages_with, tmp_path, wait_until, document):
    storages = storages_with()
    outages.stop()
    put(storages, [output_file(tmp_path, "a.png")], job_id="odd")
    put(storages, [output_file(tmp_path, "a.png")], job_id="sound")
    odd, _ = entries(tmp_path)
    (odd / "entry.json").write_bytes(document)
    outages.start()
    wait_until(lambda: in_bucket(outages, "made/txt2img/sound/a.png") is not None)
    wait_until(lambda: entries(tmp_path) == [odd])


def test_what_waits_for_another_bucket_is_left_alone(outages, storages_with, tmp_path, wait_until, caplog):
    storages = storages_with()
    outages.stop()
    put(storages, [output_file(tmp_path)])
    storages.close()
    (outages.server.folder / "other").mkdir()
    outages.start()
    storages_with(S3_BUCKET="other").warm()
    wait_until(lambda: "results at http" in str(logged(caplog)))
    assert len(entries(tmp_path)) == 1


def test_a_cancelled_job_leaves_nothing_to_deliver(outages, storages_with, tmp_path):
    storages = storages_with(UPLOAD_RETRY_SECONDS="600")
    outages.stop()
    token = CancellationToken()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(Cancelled):
        put(storages, [output_file(tmp_path)], cancel=token)
    assert entries(tmp_path) == []


@pytest.mark.timeout(25)  # a try at this server would last longer
def test_closing_ends_a_delivery_under_way(outages, storages_with, tmp_path, wait_until):
    storages = storages_with()
    with wire_to(outages.server.endpoint_url) as wire:
        outages.stop()
        storages = storages_with(S3_ENDPOINT_URL=wire.url)
        put(storages, [output_file(tmp_path)])
        wire.silent = True
        outages.start()
        seen = wire.connected
        wait_until(lambda: wire.connected > seen)
        storages.close()
        assert "spool" not in {thread.name for thread in threading.enumerate()}
    assert len(entries(tmp_path)) == 1


def test_two_processes_on_one_spool_deliver_all_of_it(outages, storages_with, environment, tmp_path):
    storages = storages_with()
    outages.stop()
    for number in range(12):
        put(storages, [output_file(tmp_path, content=f"{number}".encode())], job_id=f"job-{number}")
    storages.close()
    outages.start()
    script = """
import sys
from engine.settings import load_settings
from engine.storage import Storages
storages = Storages(load_settings(), default="inline")
storages.warm()
sys.stdin.read()
storages.close()
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    deadline = time.monotonic() + 30
    while entries(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    said = [worker.communicate("")[1] for worker in workers]
    assert said == ["", ""]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert entries(tmp_path) == []
    for number in range(12):
        assert in_bucket(outages, f"made/txt2img/job-{number}/ComfyUI_00001_.png") == f"{number}".encode()


def test_a_result_of_which_a_part_is_in_the_bucket(outages, storages_with, tmp_path, wait_until):
    """The bucket goes away between the first result and the second."""
    with wire_to(outages.server.endpoint_url) as wire:
        storages = storages_with(S3_ENDPOINT_URL=wire.url, UPLOADS_AT_ONCE="1")
        first, second = output_file(tmp_path, "a.png", b"a"), output_file(tmp_path, "b.png", LARGE, index=1)
        wire.cuts = [5000] * 2  # one for the connection that both share, and one for the first delivery
        error = put_failure(storages, [first, second])
        assert [(problem.where[-5:], problem.message) for problem in error.problems] == [
            ("b.png", "is kept, and will be there when the bucket is back"),
            ("a.png", "is there already"),
        ]
        wait_until(lambda: in_bucket(outages, "made/txt2img/job-1/b.png") == LARGE)
        assert in_bucket(outages, "made/txt2img/job-1/a.png") == b"a"


def test_a_link_to_what_came_late_works(outages, storages_with, tmp_path, wait_until):
    storages = storages_with()
    outages.stop()
    [stored], _ = put(storages, [output_file(tmp_path, "a.png", b"picture")])
    outages.start()
    wait_until(lambda: entries(tmp_path) == [])
    client = build_client(S3Options(**outages.server.options()))
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": stored.uri.split("/", 3)[3]})
    client.close()
    answer = requests.get(url, timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (b"picture", "image/png")
    assert json.dumps(stored.as_dict())


@pytest.fixture
def refusing():
    """A bucket's server that asks for patience, always."""
    server = scripted((503, {}))
    with serving(server) as url:
        server.url = url
        yield server


def uploads(server, job_id):
    return [path for method, path, _ in server.seen if method == "PUT" and f"/{job_id}/" in path]


def test_while_the_bucket_is_known_to_be_away_a_job_tries_once(refusing, storages_with, tmp_path, wait_until):
    storages = storages_with(S3_ENDPOINT_URL=refusing.url, UPLOAD_RETRY_SECONDS="1.5")
    put(storages, [output_file(tmp_path)], job_id="first")
    assert len(uploads(refusing, "first")) > 1
    put(storages, [output_file(tmp_path)], job_id="second")
    put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id="third")
    # What the spool sends comes after a look whether it is there already, which fails.
    assert [len(uploads(refusing, job)) for job in ("second", "third")] == [1, 1]
    assert len(entries(tmp_path)) == 3


def test_what_nothing_but_the_bucket_can_save_is_tried_with_patience(refusing, storages_with, tmp_path):
    storages = storages_with(S3_ENDPOINT_URL=refusing.url, UPLOAD_RETRY_SECONDS="1.5", SPOOL_MAX_BYTES="1000")
    put(storages, [output_file(tmp_path)], job_id="first")
    failure = put_failure(storages, [output_file(tmp_path, content=LARGE)], job_id="second")
    assert not failure.results_kept
    assert len(uploads(refusing, "second")) > 2
