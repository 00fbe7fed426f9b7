"""Fitness checks: what they say, and, through the SDK's own registry, that a failing one ends the process."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.runpod_queue import serve_runpod_queue
from support.worker import running_worker, worker_environment
from support.workflows import ROOT, sampler_graph, write_workflow

from engine import Catalog
from engine.fitness import Unfit, check_disk, check_gpu, check_workflows, checks
from engine.settings import Settings

CPU = {"name": "cpu", "type": "cpu", "index": None}
GPU = {"name": "cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "type": "cuda", "index": 0}


def stats(*devices, argv=("main.py",), pytorch="2.7.1+cu128"):
    return {"system": {"pytorch_version": pytorch, "argv": list(argv)}, "devices": list(devices)}


@contextlib.contextmanager
def system_stats_server(document, port=0):
    """A ComfyUI that tells of itself and does nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def told(caplog):
    return str([record.__dict__.get("fields") for record in caplog.records])


def broken_workflows(folder):
    return write_workflow(folder, "crooked", sampler_graph(), {"parameters": {"x": {"type": "integre"}}})


@pytest.mark.parametrize(
    ("told", "args"),
    [
        (stats(GPU), ()),
        (stats(CPU, GPU), ()),
        (stats({"name": "xpu", "type": "xpu"}), ()),
        (stats({"name": "mps", "type": "mps"}), ()),
        (stats(CPU, argv=["main.py", "--cpu"]), ()),
        (stats(CPU), ("--cpu", "--lowvram")),
        (stats(CPU, pytorch="simulated"), ()),
    ],
)
def test_a_gpu_is_one_or_nobody_wants_one(told, args):
    check_gpu(told, args)


@pytest.mark.parametrize("told", [stats(CPU), stats(), {}, stats(CPU, argv=["main.py", "--cpu-vae"])])
def test_a_comfyui_without_a_gpu_is_unfit(told):
    with pytest.raises(Unfit, match=r"no GPU.*COMFY_ARGS=--cpu"):
        check_gpu(told)


def test_a_full_disk_is_named_with_the_setting(tmp_path):
    check_disk([tmp_path, tmp_path / "not" / "there" / "yet"], 1)
    assert not (tmp_path / "not").exists()
    with pytest.raises(Unfit) as caught:
        check_disk([tmp_path], 10**18)
    assert str(tmp_path) in str(caught.value)
    assert "MIN_FREE_DISK_BYTES" in str(caught.value)


def test_a_full_volume_keeps_no_worker_from_delivering_what_fills_it(caplog):
    settings = Settings(comfy_start="first_job", spool_path="/proc/spool")  # a file system that never has room
    for check in checks(settings, Catalog([ROOT]), lambda: None):
        check()
    assert "no place to wait" in caplog.text


def test_one_workflow_that_loads_is_enough_and_no_more_are_loaded(tmp_path, caplog):
    check_workflows(Catalog([broken_workflows(tmp_path), ROOT]))
    assert "integre" not in told(caplog)


def test_no_workflow_that_loads_is_too_few_unless_none_is_needed(tmp_path, caplog):
    catalog = Catalog([broken_workflows(tmp_path)])
    with pytest.raises(Unfit, match="crooked"):
        check_workflows(catalog)
    assert "crooked" in told(caplog)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unfit, match="WORKFLOWS_PATH"):
        check_workflows(Catalog([tmp_path / "empty"]))
    check_workflows(catalog, needed=False)


def test_a_lazy_start_asks_nothing_of_comfyui():
    def comfy():
        raise AssertionError("a ComfyUI was asked for")

    for check in checks(Settings(comfy_start="first_job"), Catalog([ROOT]), comfy):
        check()


@pytest.fixture
def queue():
    with serve_runpod_queue() as queue:
        yield queue


def test_a_fit_worker_takes_jobs(comfy_url, queue, tmp_path):
    log = tmp_path / "log"
    variables = worker_environment(comfy_url, **queue.environment()) | {"RUNPOD_LOG_LEVEL": "DEBUG"}
    with running_worker(variables, log):
        queue.wait(queue.submit({"action": "list"}), 60)
    for name in ("disk", "workflows", "comfyui_answers", "gpu"):
        assert f"Fitness check passed: {name}" in log.read_text()


@pytest.mark.parametrize(
    ("settings", "check", "words"),
    [
        ({"MIN_FREE_DISK_BYTES": "1000000000000000000"}, "disk", "MIN_FREE_DISK_BYTES"),
        ({"WORKFLOWS_PATH": "{broken}"}, "workflows", "crooked"),
        ({"COMFY_URL": "{cpu}"}, "gpu", "no GPU"),
    ],
)
def test_an_unfit_worker_ends_before_it_takes_a_job(comfy_url, queue, tmp_path, settings, check, words):
    log = tmp_path / "log"
    with system_stats_server(stats(CPU)) as cpu:
        places = {"broken": broken_workflows(tmp_path / "w"), "cpu": cpu}
        settings = {name: value.format_map(places) for name, value in settings.items()}
        job = queue.submit({"action": "list"})
        with running_worker(worker_environment(comfy_url, **queue.environment()) | settings, log) as process:
            assert process.wait(60) == 1
    (line,) = [line for line in log.read_text().splitlines() if "Fitness check failed" in line]
    assert f"{check} |" in line
    assert words in line
    assert queue.waiting() == [job]


def test_a_worker_whose_comfyui_does_not_answer_ends_too(queue, tmp_path, unused_port):
    log, bounds = tmp_path / "log", {"COMFY_START_SECONDS": "0.2", "COMFY_WAIT_SECONDS": "0.2"}
    job = queue.submit({"action": "list"})
    variables = worker_environment(f"http://127.0.0.1:{unused_port}", **queue.environment(), **bounds)
    with running_worker(variables, log) as process:
        assert process.wait(60) == 1
    assert f"127.0.0.1:{unused_port}" in log.read_text()
    assert queue.waiting() == [job]
