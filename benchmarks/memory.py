"""How much memory a worker needs for a large result, above what it needs for a small one.

A job makes one file of 1 GiB; its worker, a process of its own, stores it in a bucket. ComfyUI is the simulator with
one node that writes a file of that size; the bucket is a real S3 server. Once ComfyUI's disk is the worker's too, and
once all goes through HTTP.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

MEBIBYTE = 1024 * 1024
SMALL = 1 * MEBIBYTE


def work(options):
    """The worker: run the job, print the most memory that this process ever had."""
    from support.workflows import write_workflow

    from engine import Catalog
    from engine.comfyui import ComfyUI, SharedFolders
    from engine.envelope import answer
    from engine.jobs import Runner
    from engine.settings import Settings
    from engine.storage import Storages

    graph = {
        "1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "2": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": str(options.size)}},
    }
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    settings = Settings(**json.loads(options.bucket))
    with ComfyUI(options.url, folders=SharedFolders.below(Path(options.base)) if options.base else None) as comfy:
        catalog = Catalog([write_workflow(folder, "large", graph, {"parameters": {}})])
        runner = Runner(catalog, lambda: comfy, Storages(settings, default="inline"), settings)
        reply = answer({"workflow": "large"}, runner, job_id="large")
        assert reply["outputs"][0]["size_bytes"] == options.size, reply
        runner.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def peak(size, url, base, bucket, folder):
    """The most MiB that a worker had."""
    arguments = ["--work", "--size", str(size), "--url", url, "--bucket", json.dumps(bucket), "--folder", folder]
    arguments += ["--base", base] if base else []
    output = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True).stdout
    return int(output.split()[-1])


def measure(size):
    """Both ways, each against a job with a small result."""
    from support.s3 import serve_s3

    from engine.simulator import Simulator, media
    from engine.simulator.calls import Outcome

    def save(call):
        wanted = int(call.inputs["filename_prefix"].rpartition("/")[2])
        place = call.folders.next_place(call.folders.output, call.inputs["filename_prefix"], (0, 0))
        path = place.take(0, ".latent")
        with path.open("wb") as file:
            file.truncate(wanted)
        return Outcome((), {"latents": [{"filename": path.name, "subfolder": place.subfolder, "type": "output"}]})

    from engine.simulator import executor

    executor.OPERATIONS = {**executor.OPERATIONS, "SaveLatent": save}
    assert media.OPERATIONS["SaveLatent"] is not save
    with tempfile.TemporaryDirectory() as folder, serve_s3(Path(folder) / "s3") as server, Simulator() as simulator:
        bucket = {f"s3_{key}": value for key, value in server.options().items()}
        for way, base in (("from the shared disk", str(simulator.folders.base)), ("over HTTP", None)):
            low, high = (peak(each, simulator.url, base, bucket, folder) for each in (SMALL, size))
            print(f"{size // MEBIBYTE} MiB {way}: peak {high} MiB, {high - low} MiB above a job of 1 MiB ({low} MiB)")
            assert high - low < 64, "a large result must not pass through memory"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024 * MEBIBYTE)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    for name in ("--url", "--base", "--bucket", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work(options) if options.work else measure(options.size)
