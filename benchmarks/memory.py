"""How much memory a worker needs for a large result, above what it needs for a small one.

A job makes one file of 1 GiB; its worker, a process of its own, stores it in a bucket. ComfyUI is the simulator with
one node that writes a file of that size; the bucket is a real S3 server. Once ComfyUI's disk is the worker's too, and
once all goes through HTTP. These deliver a latent as it is; then a picture, into which the worker first puts the
workflow's values, goes to a folder: the way into a bucket is the same for every file, and takes long.
"""

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

MEBIBYTE = 1024 * 1024
SMALL = 1 * MEBIBYTE
CHUNK = 64 * 1024


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
        "2": {
            "class_type": "SaveLatent",
            "inputs": {"samples": ["1", 0], "filename_prefix": f"{options.size}{options.suffix}"},
        },
    }
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    settings = Settings(**json.loads(options.settings))
    with ComfyUI(options.url, folders=SharedFolders.below(Path(options.base)) if options.base else None) as comfy:
        catalog = Catalog([write_workflow(folder, "large", graph, {"parameters": {}})])
        runner = Runner(catalog, lambda: comfy, Storages(settings, default="inline"), settings)
        reply = answer({"workflow": "large"}, runner, job_id="large")
        grown = reply["outputs"][0]["size_bytes"] - options.size
        assert (0 < grown < 4096) if options.suffix == ".png" else not grown, reply
        assert not reply["warnings"], reply
        runner.close()
    print(most_memory())


def most_memory():
    """The most MiB that this process ever had, pages of mapped files among them."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    # Counts on Linux what the process had that started this one.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def write_latent(file, size):
    """A file of no known kind."""
    file.truncate(size)


def write_picture(file, size):
    """A PNG in its parts, each of its chunks of picture data all zeros: nothing here decodes it."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16_384, 10_000, 8, 2, 0, 0, 0))
    end = chunk(b"IEND", b"")
    file.write(head)
    left = size - len(head) - len(end)
    while left:
        length = min(CHUNK, left - 12)
        length -= 12 if 0 < left - 12 - length < 12 else 0  # what is left must hold a chunk
        file.write(struct.pack(">I4s", length, b"IDAT"))
        file.seek(length + 4, 1)  # without a checksum, which is looked at where a picture is decoded
        left -= length + 12
    file.write(end)


def peak(size, suffix, url, base, settings, folder):
    """The most MiB that a worker had."""
    arguments = ["--work", "--size", str(size), "--suffix", suffix, "--url", url, "--settings", json.dumps(settings)]
    arguments += ["--folder", folder]
    arguments += ["--base", base] if base else []
    output = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True).stdout
    return int(output.split()[-1])


def measure(size):
    """All ways, each against a job with a small result."""
    from support.s3 import serve_s3

    from engine.simulator import Simulator, media
    from engine.simulator.calls import Outcome

    def save(call):
        wanted = Path(call.inputs["filename_prefix"])
        place = call.folders.next_place(call.folders.output, call.inputs["filename_prefix"], (0, 0))
        path = place.take(0, wanted.suffix)
        with path.open("wb") as file:
            (write_picture if wanted.suffix == ".png" else write_latent)(file, int(wanted.stem))
        return Outcome((), {"latents": [{"filename": path.name, "subfolder": place.subfolder, "type": "output"}]})

    from engine.simulator import executor

    executor.OPERATIONS = {**executor.OPERATIONS, "SaveLatent": save}
    assert media.OPERATIONS["SaveLatent"] is not save
    for way, suffix, shared, bucket in (
        ("from the shared disk", ".latent", True, True),
        ("over HTTP", ".latent", False, True),
        ("as a picture with its values in it", ".png", True, False),
    ):
        # Anew for each, so that what lies on the disk goes before the system has to write it all.
        with tempfile.TemporaryDirectory() as folder, serve_s3(Path(folder) / "s3") as server, Simulator() as simulator:
            base = str(simulator.folders.base) if shared else None
            settings = {"storage": "directory", "output_folder": str(Path(folder) / "delivered")}
            if bucket:
                settings = {f"s3_{key}": value for key, value in server.options().items()}
            low, high = (peak(each, suffix, simulator.url, base, settings, folder) for each in (SMALL, size))
            print(f"{size // MEBIBYTE} MiB {way}: peak {high} MiB, {high - low} MiB above a job of 1 MiB ({low} MiB)")
            assert high - low < 64, "a large result must not pass through memory"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024 * MEBIBYTE)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    for name in ("--suffix", "--url", "--base", "--settings", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work(options) if options.work else measure(options.size)
