"""How much memory a worker needs for a large result, and for many jobs.

A job makes one file of 1 GiB; its worker, a process of its own, stores it in a bucket. ComfyUI is the simulator with
one node that writes a file of that size; the bucket is a real S3 server. Once ComfyUI's disk is the worker's too, and
once all goes through HTTP. These deliver a latent as it is; then a picture, into which the worker first puts the
workflow's values, goes to a folder: the way into a bucket is the same for every file, and takes long.

Then 10,000 trivial jobs, a few at a time: what the process of the worker has after every five hundred.
"""

import argparse
import gc
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reporting import Report, bounded, exit_with, options_of

MEBIBYTE = 1024 * 1024
SMALL = 1 * MEBIBYTE
CHUNK = 64 * 1024
AT_ONCE = 3


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


def work_often(options):
    """The worker of many jobs: print what it has after some, and after some more."""
    from support.workflows import write_workflow

    from engine import Catalog
    from engine.comfyui import ComfyUI, SharedFolders
    from engine.envelope import answer
    from engine.jobs import Runner
    from engine.settings import Settings
    from engine.storage import Storages

    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "many"}},
    }
    parameters = {"color": {"type": "integer", "bind": "$['1'].inputs.color"}}
    settings = Settings(storage="inline")
    with ComfyUI(options.url, folders=SharedFolders.below(Path(options.base))) as comfy:
        catalog = Catalog([write_workflow(Path(options.folder), "many", graph, {"parameters": parameters})])
        runner = Runner(catalog, lambda: comfy, Storages(settings, default="inline"), settings)

        def job(number):
            return answer({"workflow": "many", "payload": {"color": number}}, runner, job_id=f"many-{number}")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for begin in range(0, options.jobs, options.step):
                for reply in pool.map(job, range(begin, begin + options.step)):
                    assert reply["outputs"], reply
                gc.collect()
                print(begin + options.step, resting_memory(), flush=True)
        runner.close()


def resting_memory():
    """The MiB that this process has in the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


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


def measure_many(report, jobs):
    """Many jobs: what the worker has, over their number."""
    if not Path("/proc/self/statm").exists():
        report.say("Many jobs are measured on Linux alone.")
        return
    from under_test import simulator_under_test

    step = max(jobs // 20, 1)
    with tempfile.TemporaryDirectory() as folder, simulator_under_test() as comfy:
        arguments = ["--many", "--jobs", str(jobs), "--step", str(step), "--url", comfy.url, "--base", str(comfy.base)]
        command = [sys.executable, __file__, *arguments, "--folder", folder]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    points = [(int(number), float(mebibytes)) for number, mebibytes in map(str.split, output.splitlines())]
    tenth = next(mebibytes for number, mebibytes in points if number >= jobs / 10)
    report.figure(f"after {jobs // 10:,} trivial jobs a worker rests at", tenth, "MiB", digits=1)
    report.figure(f"after {jobs:,} it has grown by", points[-1][1] - tenth, "MiB", at_most=5, digits=1)

    def draw(axes):
        axes.plot([number for number, _ in points], [mebibytes for _, mebibytes in points], marker=".")
        axes.set_xlabel("jobs")
        axes.set_ylabel("MiB in memory, at rest")
        axes.set_ylim(0, max(mebibytes for _, mebibytes in points) * 1.2)

    report.plot("memory", "What a worker has in memory, over the jobs that it has run", draw)


def measure(report, size):
    """All ways, each against a job with a small result."""
    from support.s3 import serve_s3

    from engine.simulator import Outcome, Simulator

    def save(call):
        wanted = Path(call.inputs["filename_prefix"])
        place = call.folders.next_place(call.folders.output, call.inputs["filename_prefix"], (0, 0))
        path = place.take(0, wanted.suffix)
        with path.open("wb") as file:
            (write_picture if wanted.suffix == ".png" else write_latent)(file, int(wanted.stem))
        return Outcome((), {"latents": [{"filename": path.name, "subfolder": place.subfolder, "type": "output"}]})

    for way, suffix, shared, bucket in (
        ("from the shared disk", ".latent", True, True),
        ("over HTTP", ".latent", False, True),
        ("as a picture with its values in it", ".png", True, False),
    ):
        # Anew for each, so that what lies on the disk goes before the system has to write it all.
        with (
            tempfile.TemporaryDirectory() as folder,
            serve_s3(Path(folder) / "s3") as server,
            Simulator(operations={"SaveLatent": save}) as simulator,
        ):
            base = str(simulator.folders.base) if shared else None
            settings = {"storage": "directory", "output_folder": str(Path(folder) / "delivered")}
            if bucket:
                settings = {f"s3_{key}": value for key, value in server.options().items()}
            low, high = (peak(each, suffix, simulator.url, base, settings, folder) for each in (SMALL, size))
            what = f"{size // MEBIBYTE} MiB {way}: above a job of 1 MiB ({low} MiB)"
            report.figure(what, high - low, "MiB", at_most=63, digits=0)  # it must not pass through memory


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__))
    parser.add_argument(
        "--size",
        type=bounded(int, 0),
        default=1024 * MEBIBYTE,
        metavar="BYTES",
        help="of the large result; 0 leaves it out",
    )
    parser.add_argument(
        "--jobs",
        type=bounded(int, 0),
        default=10_000,
        metavar="N",
        help="how many trivial ones (%(default)s); 0 leaves them out",
    )
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--many", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, help=argparse.SUPPRESS)
    for name in ("--suffix", "--url", "--base", "--settings", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options)
    if options.many:
        return work_often(options)
    about = (
        "The memory of a worker's process, on the simulator in another: "
        "the most that it has with one large result, and what it has at rest after many jobs."
    )
    report = Report("memory", "Memory", about, options.report)
    if options.size:
        measure(report, options.size)
    if options.jobs:
        measure_many(report, options.jobs)
    return report.end()


if __name__ == "__main__":
    exit_with(main)
