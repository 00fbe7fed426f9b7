"""The spool itself: its documents, who has an entry, what a crash leaves, and what Google's buckets get from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.gcs import serve_gcs_with_outages
from support.outputs import of_job, output_file

from engine.cancellation import CancellationToken
from engine.delivery import Delivery
from engine.errors import Cancelled, StorageError
from engine.settings import load_settings
from engine.storage import DirectoryStorage, Storages
from engine.storage.courier import Courier
from engine.storage.found import Found
from engine.storage.parcels import Parcel
from engine.storage.spool import NotKeptError, Spool
from engine.storage.spool_entry import Document, Kept, NotAnEntryError

texts = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable())
kept = st.builds(
    Kept,
    st.integers(0, 999_999).map(str),
    texts,
    st.integers(0, 2**50),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.dictionaries(texts, st.text(max_size=20), max_size=4),
)
documents = st.builds(Document, texts, st.floats(0, 2**40, exclude_max=True), st.lists(kept, max_size=4).map(tuple))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


@given(documents)
def test_a_document_comes_back_as_it_was(document):
    assert Document.from_json(document.to_json()) == document


@given(documents, st.data())
def test_a_document_that_was_cut_or_changed_is_known(document, data):
    content = document.to_json()
    with pytest.raises(NotAnEntryError):
        Document.from_json(content[: data.draw(st.integers(0, len(content) - 1))])
    changed = json.loads(content)
    place = changed
    if changed["objects"] and data.draw(st.booleans()):
        place = changed["objects"][0]
    name = data.draw(st.sampled_from(sorted(place)))
    place[name] = data.draw(json_values)
    try:
        found = Document.from_json(json.dumps(changed).encode())
    except NotAnEntryError:
        return
    # What is taken is of the kind that it says, and leads nowhere else.
    assert all(each.file.isdecimal() and isinstance(each.key, str) for each in found.objects)
    assert Document.from_json(found.to_json()) == found


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_as_such(content):
    with pytest.raises(NotAnEntryError):
        Document.from_json(content)


@pytest.mark.parametrize("file", ["../0", "/etc/passwd", "0/..", "", "a", "0\n", "1234567"])
def test_a_document_names_files_of_its_own_folder_alone(file):
    document = Document("results", 1.0, (Kept(file, "a.png", 1, "0" * 64, {}),))
    with pytest.raises(NotAnEntryError):
        Document.from_json(document.to_json())


def parcel(folder, content=b"picture", key="a.png"):
    output = output_file(folder, key, content)
    return Parcel(output.path, key, output.size_bytes, output.sha256, {"ContentType": "image/png"})


def test_entries_come_in_the_order_of_their_making(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    for number in range(5):
        spool.keep("results", [parcel(tmp_path, key=f"{number}.png")])
        time.sleep(0.002)  # names tell milliseconds
    assert [each.key for entry in spool.entries() for each in entry.waiting()] == [f"{n}.png" for n in range(5)]


def test_only_one_has_an_entry(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path)])
    [mine], [theirs] = spool.entries(), Spool(tmp_path / "spool", 10_000).entries()
    with mine.claimed() as first, theirs.claimed() as second:
        assert (first, second) == (True, False)
    with theirs.claimed() as later:
        assert later


def test_what_had_an_entry_and_was_killed_has_it_no_longer(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path)])
    script = f"""
import sys
import threading
from pathlib import Path
from engine.storage.spool import Spool
[entry] = Spool(Path({str(tmp_path / "spool")!r}), 10_000).entries()
with entry.claimed() as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""
    [entry] = spool.entries()
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"True\n"
        with entry.claimed() as is_ours:
            assert not is_ours
        process.kill()
    with entry.claimed() as is_ours:
        assert is_ours


def test_an_entry_that_was_delivered_is_nobodys(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path, key="a.png"), parcel(tmp_path, b"more", "b.png")])
    [entry], [other] = spool.entries(), spool.entries()
    first, second = entry.waiting()
    entry.done(first)
    assert [each.key for each in other.waiting()] == ["b.png"]
    entry.done(second)
    with other.claimed() as is_ours:
        assert not is_ours
    assert spool.is_empty()


def test_a_key_waits_once(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path, b"old"), parcel(tmp_path, b"other", "b.png")])
    spool.keep("elsewhere", [parcel(tmp_path, b"of another bucket")])
    spool.keep("results", [parcel(tmp_path, b"new")])
    waiting = [each.path.read_bytes() for entry in spool.entries("results") for each in entry.waiting()]
    assert waiting == [b"other", b"new"]
    assert len(spool.entries("elsewhere")) == 1


def test_the_rest_of_the_disk_is_not_the_spools(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000, reserve_bytes=2**62)
    with pytest.raises(NotKeptError, match="has no room"):
        spool.keep("results", [parcel(tmp_path)])
    assert spool.is_empty()


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(NotKeptError, match="can't be written to"):
        Spool(tmp_path / "spool", 10_000).keep("results", [parcel(tmp_path)])


def test_a_result_that_vanished_leaves_nothing_half_way(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    gone = parcel(tmp_path / "gone", key="b.png")
    gone.path.unlink()
    with pytest.raises(NotKeptError):
        spool.keep("results", [parcel(tmp_path), gone])
    assert spool.is_empty()
    assert list((tmp_path / "spool" / "incoming").iterdir()) == []


def test_what_a_crash_left_is_removed_after_a_day(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path)])
    old, young = (tmp_path / "spool" / "incoming" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "0").write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    spool.sweep()
    assert (old.exists(), young.exists(), len(spool.entries())) == (False, True, 1)


@pytest.mark.parametrize(
    ("found", "needless"),
    [
        (Found(7, "e5cbfd3d2a5ba8b5b5bd5b2ccf9d2fe8", 5000.0, None), False),  # another content, and older
        (Found(7, "", 10.0, None), True),  # put there since
        (Found(7, "", 99.0, None), False),  # too close to tell
        (Found(7, "", 0.0, "1"), False),  # came late, and was made before
        (Found(7, "", 0.0, "99999999999"), True),
        (Found(7, "", 0.0, "no time"), False),
    ],
)
def test_whether_what_is_there_is_newer(tmp_path, found, needless):
    assert found.makes_needless(parcel(tmp_path), time.time() - 100) is needless


def test_the_same_object_is_not_sent_again(tmp_path):
    import hashlib

    digest = hashlib.md5(b"picture").hexdigest()
    assert Found(7, digest, 5000.0, None).makes_needless(parcel(tmp_path), time.time())


class ChoosyBucket:
    """Refuses one key for good, and notes what it was asked for."""

    place = "results"

    def __init__(self):
        self.asked = []

    def deliver(self, parcel, *, made_at, cancel):  # noqa: ARG002 - as every bucket is asked
        self.asked.append(parcel.key)
        if parcel.key == "refused.png":
            raise StorageError("no right", retryable=False)
        return True


def test_what_is_refused_for_good_is_not_tried_with_every_job(tmp_path, wait_until):
    spool, bucket = Spool(tmp_path / "spool", 10_000), ChoosyBucket()
    courier = Courier(spool, [bucket])
    spool.keep("results", [parcel(tmp_path, key="refused.png")])
    courier.start()
    for number in range(4):
        spool.keep("results", [parcel(tmp_path, key=f"{number}.png")])
        courier.uploaded("results", [])
        wait_until(lambda: len(spool.entries()) == 1)
    courier.close()
    assert bucket.asked.count("refused.png") == 1
    assert sorted(set(bucket.asked)) == ["0.png", "1.png", "2.png", "3.png", "refused.png"]


def test_where_no_thread_can_be_started_a_job_keeps_its_results_and_the_next_one_delivers(tmp_path, wait_until):
    spool, bucket = Spool(tmp_path / "spool", 10_000), ChoosyBucket()
    courier = Courier(spool, [bucket])
    spool.keep("results", [parcel(tmp_path, key="a.png")])
    usual = threading.stack_size(1 << 46)  # more than any machine has
    try:
        courier.uploaded("results", [])
    finally:
        threading.stack_size(usual)
    assert bucket.asked == []
    courier.uploaded("results", [])
    wait_until(spool.is_empty)
    courier.close()
    assert bucket.asked == ["a.png"]


def test_a_file_that_was_changed_keeps_no_other_of_its_job_back(tmp_path, wait_until):
    spool, bucket = Spool(tmp_path / "spool", 10_000), ChoosyBucket()
    courier = Courier(spool, [bucket])
    spool.keep("results", [parcel(tmp_path, key=key) for key in ("changed.png", "sound.png")])
    (entry,) = spool.entries()
    (entry.folder / "0").write_bytes(b"painted")
    courier.start()
    wait_until(lambda: [each.key for each in entry.waiting()] == ["changed.png"])
    courier.close()
    assert bucket.asked == ["sound.png"]


def test_what_a_process_left_of_a_delivered_entry_is_removed(tmp_path, wait_until):
    spool = Spool(tmp_path / "spool", 10_000)
    spool.keep("results", [parcel(tmp_path)])
    (entry,) = spool.entries()
    (entry.folder / "0").unlink()  # and there it was killed
    courier = Courier(spool, [ChoosyBucket()])
    courier.start()
    wait_until(spool.is_empty)
    courier.close()


def test_a_folder_without_a_document_is_removed_after_a_day(tmp_path):
    spool = Spool(tmp_path / "spool", 10_000)
    for key in ("old.png", "new.png"):
        spool.keep("results", [parcel(tmp_path, key=key)])
    old, new = spool.entries()
    for entry in (old, new):
        (entry.folder / "entry.json").unlink()
    yesterday = time.time() - 25 * 3600
    os.utime(old.folder, (yesterday, yesterday))
    spool.sweep()
    assert (old.folder.exists(), new.folder.exists()) == (False, True)


@pytest.fixture
def google(tmp_path, monkeypatch):
    with serve_gcs_with_outages() as outages:
        for name, value in {
            "STORAGE_EMULATOR_HOST": outages.url,
            "NO_PROXY": "127.0.0.1",
            "GCS_BUCKET": "results",
            "GCS_PREFIX": "made",
            "URL_KIND": "none",
            "UPLOAD_RETRY_SECONDS": "0",
            "RESPONSE_LIMIT_BYTES": "5000",
        }.items():
            monkeypatch.setenv(name, value)
        storages = Storages(load_settings(), default="inline")
        yield outages, storages
        storages.close()


@pytest.mark.parametrize("size", [7, 9000, 9 * 1024 * 1024], ids=["in the reply", "kept", "in chunks"])
def test_googles_bucket_gets_what_it_missed(google, tmp_path, wait_until, size):
    outages, storages = google
    content = (b"picture" * (size // 7 + 1))[:size]
    output = output_file(tmp_path, "a.webp", content, content_type="image/webp")
    outages.stop()
    job = {"naming": of_job()["naming"], "delivery": storages.delivery(None)}
    if size == 7:
        [stored], [_] = storages.put([output], **job)
        assert stored.uri == "gs://results/made/txt2img/job-1/a.webp"
    else:
        with pytest.raises(StorageError) as caught:
            storages.put([output], **job)
        assert caught.value.results_kept
        assert caught.value.problems[0].where == "gs://results/made/txt2img/job-1/a.webp"
    outages.start()
    wait_until(lambda: list((tmp_path / "spool" / "kept").iterdir()) == [])
    answer = requests.get(f"{outages.url}/results/made/txt2img/job-1/a.webp", timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (content, "image/webp")


def test_a_newer_result_in_googles_bucket_stays(google, tmp_path, wait_until, monkeypatch):
    outages, storages = google
    monkeypatch.setenv("FILENAME_TEMPLATE", "latest")
    outages.stop()
    first = Storages(load_settings(), default="inline")
    job = {"naming": of_job()["naming"], "delivery": first.delivery(None)}
    first.put([output_file(tmp_path, content=b"first")], **job)
    first.close()
    outages.start()
    storages.put([output_file(tmp_path, content=b"second")], **job)
    wait_until(lambda: list((tmp_path / "spool" / "kept").iterdir()) == [])
    assert requests.get(f"{outages.url}/results/made/latest.png", timeout=10).content == b"second"


def test_a_folder_on_a_full_disk_is_said(tmp_path):
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from support.outputs import of_job, output_file
from engine.errors import StorageError
from engine.storage import DirectoryStorage
outputs = [output_file(Path({str(tmp_path)!r}), f"{{size}}.png", bytes(size), index=size) for size in (900, 90000)]
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
try:
    DirectoryStorage({str(tmp_path / "out")!r}).put(outputs, **of_job(mode="directory"))
except StorageError as error:
    print(error.message)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == f"the results could not be written to {tmp_path / 'out'}: File too large\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_can_not_be_written_to_is_no_use_trying_again(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="could not be written to") as caught:
        DirectoryStorage(tmp_path / "out").put([output_file(tmp_path)], **of_job(mode="directory"))
    assert not caught.value.retryable


def test_a_cancelled_job_is_not_kept(tmp_path, google):
    outages, storages = google
    outages.stop()
    token = CancellationToken()
    token.cancel()
    with pytest.raises(Cancelled):
        storages.put([output_file(tmp_path)], naming=of_job()["naming"], delivery=Delivery("gcs"), cancel=token)
    assert not (tmp_path / "spool").exists()
