"""Two hundred jobs in a row leave folders, open files, threads and memory as they were."""

import base64
import gc
import os
import threading
from pathlib import Path

from support.media import picture
from support.runners import asked, runner_on

MEBIBYTE = 1024 * 1024


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def contents(base):
    return {path.relative_to(base) for part in ("input", "output", "temp") for path in (base / part).rglob("*")}


def test_two_hundred_jobs_leave_nothing_behind(sharing_comfy, comfy_base, tmp_path):
    runner = runner_on(sharing_comfy, tmp_path, default="inline")
    image = base64.b64encode(picture((64, 48))).decode()

    def run(number):
        request = {"workflow": "resize", "payload": {"image": image, "width": 8 + number % 40}, "previews": True}
        assert asked(runner, request, job_id=f"job-{number}")["outputs"][0]["width"] == 8 + number % 40

    before = contents(comfy_base)
    for number in range(60):  # what is made once is made by then
        run(number)
    gc.collect()
    open_files, threads, memory = len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), resident_bytes()

    for number in range(200):
        run(number)
    gc.collect()

    assert contents(comfy_base) <= before
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_files
    assert threading.active_count() <= threads
    assert resident_bytes() < memory + 16 * MEBIBYTE
    running, pending = sharing_comfy.client.queue()
    assert not running | pending
    runner.close()
