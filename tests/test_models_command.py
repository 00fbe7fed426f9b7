"""`engine models`, in processes of its own: what it prints, what it leaves behind, and what a crash leaves."""

import contextlib
import json
import os
import re
import signal
import subprocess

import pytest
from support.command import ENGINE, run_engine
from support.shelf import CONTENT, HALF, SHA256, Shelf, write_models
from support.web import reply, serve_web
from support.workflows import ROOT, write_workflow

PATH = "checkpoints/model.safetensors"


@pytest.fixture
def server():
    with serve_web() as server:
        yield server


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(tmp_path, models):
    return {
        "WORKFLOWS_PATH": str(tmp_path / "workflows"),
        "MODELS_DIR": str(models),
        "VOLUME_PATH": str(tmp_path / "no-volume"),
        "HOME": str(tmp_path),
        "COMFY_SIMULATE": "1",
    }


@pytest.fixture
def engine(tmp_path, environment):
    """Run `engine models …` on the workflows and models of the test."""

    def run(*arguments, **more):
        return run_engine(tmp_path, "models", *arguments, **(environment | more))

    return run


@pytest.fixture
def start(tmp_path, environment):
    """Start `engine models …` and leave it to run; its output can be read."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, before=(), **more):
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
            variables = {"PATH": os.environ["PATH"]} | environment
            command = [*before, ENGINE, "models", *arguments]
            process = stack.enter_context(subprocess.Popen(command, cwd=tmp_path, env=variables, **pipes))
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def workflows(tmp_path):
    return tmp_path / "workflows"


def entry(url, path=PATH, sha256=SHA256, **more):
    return {"path": path, "url": url, "sha256": sha256, "source": "this test", **more}


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_list_says_what_is_there_who_needs_it_and_what_can_be_had(engine, workflows, models):
    there, missing = entry(None, "text_encoders/t5.safetensors", None), entry("https://example.com/a")
    write_models(workflows, there, missing, name="poster")
    write_models(workflows, missing | {"size_bytes": 2_130_000_000}, name="banner")
    write_models(workflows, {"path": "loras/own.safetensors"}, name="own")
    (models / "clip").mkdir()
    (models / "clip" / "t5.safetensors").write_bytes(b"12345")
    done = engine("list")
    assert "there    text_encoders/t5.safetensors  5 bytes\n" in done.stdout
    assert f"{models}/clip/t5.safetensors" in done.stdout
    assert f"missing  {PATH}  2.13 GB\n         for banner, poster\n" in done.stdout
    assert "can't be fetched: no map names a url for it" in done.stdout
    assert "3 models of 3 workflows: 1 there, 2 missing; engine models fetch can get 1 (2.13 GB)" in done.stderr
    document = json.loads(engine("list", "own", "--json").stdout)
    (line,) = document["models"]
    assert (line["path"], line["status"], line["fetchable"]) == ("loras/own.safetensors", "missing", False)
    assert line["workflows"] == ["own"]
    assert document["folders"] == [str(models)]


def test_list_tells_a_file_of_another_size(engine, workflows, models):
    write_models(workflows, entry("https://example.com/a", size_bytes=100))
    (models / "checkpoints").mkdir()
    (models / PATH).write_bytes(b"12345")
    done = engine("list", "poster")
    assert f"{models / PATH}\n         it has 5 bytes, the map says 100\n" in done.stdout
    assert "1 model of 1 workflow: 1 there\n" in done.stderr


def test_list_names_what_lies_in_hugging_faces_cache(engine, workflows, tmp_path):
    write_models(workflows, entry("https://huggingface.co/O/N/resolve/main/a.bin", sha256=None))
    file = tmp_path / "hub" / "models--O--N" / "snapshots" / "c0ffee" / "a.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"model")
    assert str(file) in engine("list", HF_HUB_CACHE=str(tmp_path / "hub")).stdout


def test_fetch_gets_what_is_missing_and_says_it_in_lines(engine, workflows, models, server):
    write_models(workflows, entry(server.answer("/a", Shelf()), size_bytes=len(CONTENT)))
    done = engine("fetch")
    assert done.stdout == f"fetched  {PATH}  1.05 MB\n"
    assert done.stderr == f"{PATH}: comes from 127.0.0.1:{server.server_port}\n1 of 1 model there\n"
    assert (models / PATH).read_bytes() == CONTENT
    assert engine("fetch").stdout == f"there    {PATH}  1.05 MB\n"
    assert len(server.requests) == 1
    assert "ok" in engine("verify").stdout


def test_fetch_of_one_workflow_leaves_the_others(engine, workflows, models, server, tmp_path):
    write_models(workflows, entry(server.answer("/a", Shelf()), "loras/a.safetensors"), name="one")
    write_models(workflows, entry(f"{server.url}/a", "loras/b.safetensors", "b" * 64), name="two")
    document = json.loads(engine("fetch", "one", "--json", "--into", str(tmp_path / "baked")).stdout)
    assert document["ok"]
    (line,) = document["models"]
    assert (line["status"], line["sha256"], line["size_bytes"]) == ("fetched", SHA256, len(CONTENT))
    assert files_in(tmp_path / "baked") == ["loras/a.safetensors"]
    assert files_in(models) == []


def test_fetch_takes_the_workflows_that_are_offered(engine, workflows, models, server):
    for name in ("one", "two"):
        write_models(workflows, entry(server.answer("/a", Shelf()), f"loras/{name}.bin"), name=name)
    engine("fetch", WORKFLOWS="two")
    assert files_in(models) == ["loras/two.bin"]
    engine("fetch", "one", WORKFLOWS="two")
    assert files_in(models) == ["loras/one.bin", "loras/two.bin"]


def test_what_can_not_be_had_is_told_at_once_and_the_rest_is_fetched(engine, workflows, models, server):
    url = server.answer("/a", Shelf())
    own = [{"path": f"loras/own{number}.safetensors"} for number in range(2)]
    wrong = entry(url, "loras/wrong.safetensors", "f" * 64)
    write_models(workflows, *own, wrong, entry(url))
    done = engine("fetch", status=1)
    for number in range(2):
        assert (
            f"FAILED   loras/own{number}.safetensors\n         for poster\n         no map names a url" in done.stdout
        )
    assert f"wrong sha256: {SHA256} came from 127.0.0.1" in done.stdout
    assert "f" * 64 in done.stdout
    assert "1 of 4 models there, 3 failed" in done.stderr
    assert files_in(models) == [PATH]
    document = json.loads(engine("fetch", "--json", status=1).stdout)
    assert [line["status"] for line in document["models"]] == ["there", "failed", "failed", "failed"]
    assert not document["ok"]


def test_a_broken_workflow_fails_a_fetch_and_the_rest_is_fetched(engine, workflows, models, server):
    write_models(workflows, entry(server.answer("/a", Shelf())))
    write_workflow(workflows, "bad", {}, "{")
    done = engine("fetch", status=1)
    assert "bad is broken, so its models are not known:\n  templates/bad.json: " in done.stderr
    assert "  schemas/bad.json: not JSON" in done.stderr
    assert files_in(models) == [PATH]
    for command, status in (("list", 0), ("fetch", 1), ("verify", 1)):
        done = engine(command, "--json", status=status)
        assert json.loads(done.stdout)["broken_workflows"] == ["bad"]
        assert "  schemas/bad.json: not JSON" in done.stderr


def test_what_is_printed_stands_in_a_log_in_its_order(start, workflows, tmp_path):
    write_models(workflows, {"path": "loras/own.safetensors"}, name="own")
    write_workflow(workflows, "bad", {}, "{")
    for command in ("list", "fetch", "verify"):
        with (tmp_path / "log").open("w") as log:
            start(command, stdout=log, stderr=log).wait()
        lines = (tmp_path / "log").read_text().splitlines()
        assert "loras/own.safetensors" in lines[0]
        assert "bad is broken, so its models are not known:" in lines[1:]
        assert "1 model" in lines[-1]


def test_usage_is_told(engine, workflows):
    write_models(workflows, entry("https://example.com/a"))
    assert 'did you mean "poster"?' in engine("fetch", "postr", status=2).stderr
    assert "--into DIR" in engine("fetch", MODELS_DIR="", status=2).stderr


def test_verify_tells_wrong_sizes_wrong_hashes_missing_files_and_missing_hashes(engine, workflows, models):
    facts = {
        "right": {"sha256": SHA256, "size_bytes": len(CONTENT)},
        "short": {"sha256": SHA256, "size_bytes": len(CONTENT) + 1},
        "wrong": {"sha256": "f" * 64},
        "plain": {},
        "missing": {"sha256": SHA256},
    }
    write_models(workflows, *({"path": f"loras/{name}.bin", "source": "x", **more} for name, more in facts.items()))
    (models / "loras").mkdir()
    for name in facts:
        if name != "missing":
            (models / "loras" / f"{name}.bin").write_bytes(CONTENT)
    document = json.loads(engine("verify", "--json", status=1).stdout)
    found = {line["path"]: (line["status"], line["message"]) for line in document["models"]}
    assert found["loras/right.bin"] == ("ok", "")
    assert found["loras/short.bin"][1] == f"it has {len(CONTENT)} bytes, the map says {len(CONTENT) + 1}"
    assert found["loras/wrong.bin"] == ("wrong", f"its sha256 is {SHA256}, the map says {'f' * 64}")
    assert found["loras/plain.bin"] == ("no hash", f"no map has its sha256; that of the file is {SHA256}")
    assert found["loras/missing.bin"][0] == "missing"
    done = engine("verify", status=1)
    assert "WRONG    loras/wrong.bin" in done.stdout
    assert "MISSING  loras/missing.bin" in done.stdout
    assert "2 of 5 models as the maps say, of 1 of them no map has a sha256" in done.stderr


def test_a_process_that_is_killed_leaves_a_part_that_the_next_one_goes_on_with(
    engine, start, workflows, models, server, wait_until
):
    shelf = Shelf(pause_at=HALF)
    write_models(workflows, entry(server.answer("/a", shelf)))
    process = start("fetch")
    part = models / "checkpoints" / ".model.safetensors.part"
    wait_until(lambda: part.exists() and part.stat().st_size == HALF)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (models / PATH).exists()
    shelf.go.set()
    assert "goes on after 524 kB" in engine("fetch").stderr
    assert shelf.asked == ["", f"bytes={HALF}-"]
    assert (models / PATH).read_bytes() == CONTENT
    assert files_in(models) == [PATH]


def test_ctrl_c_ends_it_soon_and_keeps_what_came(engine, start, workflows, models, server, wait_until):
    shelf = Shelf(pause_at=HALF)
    write_models(workflows, entry(server.answer("/a", shelf)))
    process = start("fetch")
    part = models / "checkpoints" / ".model.safetensors.part"
    wait_until(lambda: part.exists() and part.stat().st_size == HALF)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert not shelf.go.is_set()  # the server had not answered
    assert not (models / PATH).with_name(".model.safetensors.lock").exists()  # another machine would wait for it
    shelf.go.set()
    engine("fetch")
    assert shelf.asked[1] == f"bytes={HALF}-"
    assert (models / PATH).read_bytes() == CONTENT


def test_two_processes_download_a_file_once(start, workflows, models, server, wait_until):
    shelf = Shelf(pause_at=HALF)
    write_models(workflows, entry(server.answer("/a", shelf)))
    first = start("fetch")
    wait_until(lambda: shelf.asked)
    second = start("fetch", "--json")
    assert second.stderr.readline() == f"{PATH}: another process fetches it; waiting\n"
    shelf.go.set()
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert outputs[0].startswith("fetched")
    assert json.loads(outputs[1])["models"][0]["status"] == "there"
    assert len(shelf.asked) == 1
    assert files_in(models) == [PATH]


def test_a_process_that_waits_takes_over_from_one_that_is_killed(start, workflows, models, server, wait_until):
    shelf = Shelf(pause_at=HALF)
    write_models(workflows, entry(server.answer("/a", shelf)))
    first = start("fetch")
    part = models / "checkpoints" / ".model.safetensors.part"
    wait_until(lambda: part.exists() and part.stat().st_size == HALF)
    second = start("fetch")
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    first.wait()
    shelf.go.set()
    assert second.communicate(timeout=60)[0].startswith("fetched")
    assert shelf.asked == ["", f"bytes={HALF}-"]
    assert (models / PATH).read_bytes() == CONTENT


def test_a_disk_that_is_full_is_told_and_nothing_is_left_on_it(start, workflows, models, server):
    write_models(workflows, entry(server.answer("/a", Shelf())))
    # No file may grow beyond 300 blocks of 1 kB: to the process as a disk that is full.
    process = start("fetch", before=("bash", "-c", 'ulimit -f 300 && exec "$@"', "bash"))
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"the disk of {models}/checkpoints is full; the 262 kB that had come were removed" in told
    assert files_in(models) == []


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_small_disk_is_looked_at_before_and_told_when_it_is_full(engine, workflows, server, small_disk):
    shelf = Shelf(length=0)
    write_models(workflows, entry(server.answer("/a", shelf)))
    told = engine("fetch", "--into", str(small_disk), status=1).stdout
    assert "is full" in told
    assert files_in(small_disk) == []
    shelf.length = None
    told = engine("fetch", "--into", str(small_disk), status=1).stdout
    assert re.search(r"it needs 1\.05 MB, and 5\d\d kB are free", told)
    assert files_in(small_disk) == []


def test_tokens_come_from_the_settings_and_are_not_shown(engine, workflows, models, server):
    with serve_web() as other:
        target = other.answer("/cdn", Shelf())
        server.answer("/O/N/resolve/main/a.bin", lambda each: reply(each, b"", 302, {"Location": target}))
        write_models(workflows, entry("https://huggingface.co/O/N/resolve/main/a.bin"))
        done = engine("fetch", HF_ENDPOINT=server.url, HF_TOKEN="hf-secret")
        assert server.requests[0][1]["authorization"] == "Bearer hf-secret"
        assert "authorization" not in other.requests[0][1]
        assert "hf-secret" not in done.stdout + done.stderr


def test_the_sites_page_of_a_refused_model_is_told(engine, workflows, server):
    server.serve("/O/N/resolve/main/a.bin", b"no", status=403)
    write_models(workflows, entry("https://huggingface.co/O/N/resolve/main/a.bin"))
    told = engine("fetch", HF_ENDPOINT=server.url, status=1).stdout
    assert "answered 403 Forbidden" in told
    assert "set HF_TOKEN" in told
    assert "accept them at https://huggingface.co/O/N" in told


def test_the_page_shows_what_is_printed(engine):
    block = re.search(
        r"```console\n\$ engine models (.*?)\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.DOTALL
    )
    done = engine(*block[1].split(), WORKFLOWS_PATH=str(ROOT))
    assert done.stdout + done.stderr == block[2]
