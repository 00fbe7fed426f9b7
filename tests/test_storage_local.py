from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.outputs import of_job, output_file, text_output

from engine.errors import ResultTooLarge, StorageError
from engine.replies import fitting
from engine.results import JobResult
from engine.storage import DirectoryStorage, InlineStorage


def test_inline_gives_the_bytes(tmp_path):
    [stored, text] = InlineStorage(limit_bytes=1000).put(
        [output_file(tmp_path, content=b"picture"), text_output()], **of_job()
    )
    assert base64.b64decode(stored.base64) == b"picture"
    assert stored.url is None
    assert text.base64 is None


@pytest.mark.parametrize(("size", "fits"), [(0, True), (1, True), (30, True), (31, False)])
def test_the_limit_counts_base64(tmp_path, size, fits):
    outputs = [output_file(tmp_path, content=bytes(size))]
    storage = InlineStorage(limit_bytes=40)
    if fits:
        assert len(storage.put(outputs, **of_job())[0].base64) <= 40
    else:
        with pytest.raises(ResultTooLarge):
            storage.put(outputs, **of_job())


def test_the_limit_counts_all_outputs_together_and_says_the_remedy(tmp_path):
    outputs = [output_file(tmp_path, f"{i}.png", bytes(300_000), index=i) for i in range(3)]
    with pytest.raises(ResultTooLarge) as caught:
        InlineStorage(limit_bytes=1_000_000).put(outputs, **of_job())
    assert caught.value.message == "the 3 results take 1200000 bytes in the reply, and at most 1000000 fit"
    assert "configure a bucket" in caught.value.hint


def test_the_limit_counts_thumbnails(tmp_path):
    output = dataclasses.replace(output_file(tmp_path, content=bytes(30)), thumbnail="data:image/webp;base64,AAAA")
    with pytest.raises(ResultTooLarge):
        InlineStorage(limit_bytes=60).put([output], **of_job())


@pytest.mark.parametrize("text", ["a lighthouse", "é" * 40, "🗼" * 20, 'a\n"b"\n' * 20, "\ud83d"])
def test_the_limit_counts_a_text_as_the_reply_writes_it(text):
    output = dataclasses.replace(text_output(), text=text)
    size = len(json.dumps({"text": text})) - len(json.dumps({"text": 0})) + 1
    [stored] = InlineStorage(limit_bytes=size).put([output], **of_job())
    assert stored.as_dict()["text"] == text
    with pytest.raises(ResultTooLarge):
        InlineStorage(limit_bytes=size - 1).put([output], **of_job())


@pytest.mark.parametrize(("count", "fits"), [(50, True), (2000, False)])
def test_the_limit_counts_what_is_said_of_many_outputs(tmp_path, count, fits):
    """Else the reply would turn out too long when the results are gone, though a bucket would have taken them."""
    limit = 2_000_000
    outputs = [output_file(tmp_path, f"{index}.png", bytes(1_300_000 // count), index=index) for index in range(count)]
    try:
        stored = tuple(InlineStorage(limit - 100_000).put(outputs, **of_job()))
    except ResultTooLarge:
        stored = ()
    assert bool(stored) == fits
    result = JobResult("txt2img", "1.0", stored, {}, {})
    assert fitting(result.as_dict(), limit)["warnings"] == []


def test_a_result_that_can_not_be_read(tmp_path):
    output = output_file(tmp_path)
    output.path.unlink()
    with pytest.raises(StorageError, match=r"ComfyUI_00001_\.png could not be read") as caught:
        InlineStorage(limit_bytes=1000).put([output], **of_job())
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(
    ("filename", "becomes"),
    [
        ("ComfyUI_00001_.png", "txt2img_00001_.png"),
        ("ComfyUI_temp_abcde_00001_.png", "txt2img_00001_.png"),
        ("txt2img_00007_.png", "txt2img_00007_.png"),
        ("portrait_00001_.png", "txt2img_portrait_00001_.png"),
        ("../../escape.png", "txt2img_.._.._escape.png"),
        ("film.mp4", "txt2img_film.mp4"),
    ],
)
def test_a_file_is_named_after_its_workflow(tmp_path, filename, becomes):
    folder = tmp_path / "outputs"
    [stored] = DirectoryStorage(folder).put([output_file(tmp_path, filename, b"x")], **of_job())
    assert stored.path == str(folder / becomes)
    assert Path(stored.path).read_bytes() == b"x"


def test_no_file_is_ever_overwritten(tmp_path):
    folder = tmp_path / "outputs"
    storage = DirectoryStorage(folder)
    for content in (b"0", b"1", b"2"):
        storage.put([output_file(tmp_path, content=content), output_file(tmp_path, "film.mp4", content)], **of_job())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "txt2img_00001_.png": b"0",
        "txt2img_00002_.png": b"1",
        "txt2img_00003_.png": b"2",
        "txt2img_film.mp4": b"0",
        "txt2img_film_2.mp4": b"1",
        "txt2img_film_3.mp4": b"2",
    }


def test_no_file_is_overwritten_from_many_threads(tmp_path):
    storage = DirectoryStorage(tmp_path / "outputs")

    def job(number):
        output = output_file(tmp_path / str(number), content=str(number).encode())
        return storage.put([output], **of_job(workflow="w", job_id=str(number)))[0].path

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(job, range(40)))
    assert [Path(path).read_text() for path in paths] == [str(number) for number in range(40)]
    assert len(list((tmp_path / "outputs").iterdir())) == 40


@pytest.mark.parametrize(
    ("made", "there", "next_one"),
    [
        ("ComfyUI_00001_.png", [f"txt2img_{n:05}_.png" for n in range(1, 2001)], "txt2img_02001_.png"),
        ("film.mp4", ["txt2img_film.mp4", *(f"txt2img_film_{n}.mp4" for n in range(2, 2001))], "txt2img_film_2001.mp4"),
    ],
)
def test_among_many_files_a_free_name_is_found_in_few_looks(tmp_path, made, there, next_one):
    folder, output = tmp_path / "outputs", output_file(tmp_path, made)
    folder.mkdir()
    for name in there:
        (folder / name).write_text("of another job")
    looks = []

    def note(_frame, event, function):
        if event == "c_call" and function.__name__ in ("open", "stat", "lstat", "lexists"):
            looks.append(function.__name__)

    sys.setprofile(note)
    try:
        [stored] = DirectoryStorage(folder).put([output], **of_job())
    finally:
        sys.setprofile(None)
    assert stored.path == str(folder / next_one)
    assert 0 < len(looks) < 100
    assert all((folder / name).read_text() == "of another job" for name in there)


@given(st.sets(st.integers(1, 12)))
def test_no_file_is_overwritten_where_some_numbers_are_missing(taken):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "outputs"
        folder.mkdir()
        names = [f"txt2img_{number:05}_.png" for number in taken]
        for name in names:
            (folder / name).write_text("of another job")
        paths = [DirectoryStorage(folder).put([output_file(Path(made))], **of_job())[0].path for _ in range(3)]
        assert len(set(paths)) == 3
        assert all(Path(path).read_bytes() == b"not really a picture" for path in paths)
        assert all((folder / name).read_text() == "of another job" for name in names)


def test_a_relative_folder_gives_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [stored] = DirectoryStorage("outputs").put([output_file(tmp_path / "made")], **of_job())
    assert stored.path == "outputs/txt2img_00001_.png"


def test_a_request_names_the_file_and_its_folders(tmp_path):
    storage = DirectoryStorage(tmp_path / "outputs")
    job = of_job(values={"seed": 7}, prefix="/shop//a b", filename="{workflow}/{seed}.{ext}")
    paths = [storage.put([output_file(tmp_path)], **job)[0].path for _ in range(3)]
    folder = tmp_path / "outputs" / "shop" / "a_b" / "txt2img"
    assert paths == [str(folder / name) for name in ("7.png", "7_2.png", "7_3.png")]
    assert all(Path(path).read_bytes() == b"not really a picture" for path in paths)


def test_a_prefix_alone_keeps_the_names(tmp_path):
    [stored] = DirectoryStorage(tmp_path / "outputs").put([output_file(tmp_path)], **of_job(prefix="shop"))
    assert Path(stored.path) == tmp_path / "outputs" / "shop" / "txt2img_00001_.png"


@pytest.mark.parametrize("delivery", [{"prefix": "../../x"}, {"filename": "{up}/x"}, {"filename": "/etc/{seed}"}])
def test_no_file_leaves_the_folder(tmp_path, delivery):
    job = of_job(values={"up": "../..", "seed": 7}, **delivery)
    [stored] = DirectoryStorage(tmp_path / "outputs").put([output_file(tmp_path / "made")], **job)
    assert Path(stored.path).resolve().is_relative_to(tmp_path / "outputs")
    assert Path(stored.path).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "made"}


def test_a_file_where_a_folder_is_wanted(tmp_path):
    storage = DirectoryStorage(tmp_path / "outputs")
    storage.put([output_file(tmp_path)], **of_job(filename="a.png"))
    with pytest.raises(StorageError, match="could not be written to"):
        storage.put([output_file(tmp_path)], **of_job(filename="a.png/b"))


def test_only_texts_make_no_folder(tmp_path):
    [stored] = DirectoryStorage(tmp_path / "outputs").put([text_output("hello")], **of_job())
    assert stored.as_dict()["text"] == "hello"
    assert not (tmp_path / "outputs").exists()


def test_a_failure_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "outputs"
    good, gone = output_file(tmp_path, "a.png"), output_file(tmp_path, "b.png")
    gone.path.unlink()
    with pytest.raises(StorageError, match="could not be written to"):
        DirectoryStorage(folder).put([good, gone], **of_job())
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "outputs").write_text("in the way")
    with pytest.raises(StorageError, match="outputs") as caught:
        DirectoryStorage(tmp_path / "outputs").put([output_file(tmp_path / "made")], **of_job())
    assert caught.value.hint


def test_importing_the_engine_imports_nothing_heavy():
    heavy = {"boto3", "botocore", "PIL", "requests", "google.auth", "google.cloud.storage"}
    script = f"import sys, engine.storage, engine.media; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"
