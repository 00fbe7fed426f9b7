"""A HEIC is read by a process of its own, which ends with its job."""

from __future__ import annotations

import os
import threading

import pytest
from support.workflows import ROOT

from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.media.preparing import PictureBounds, prepare


def test_a_cancelled_job_does_not_wait_for_its_reader(tmp_path):
    # What reads a pipe waits until someone writes, as a reader does that works for long.
    pipe = tmp_path / "photo"
    os.mkfifo(pipe)
    cancel, ended, readers_left = CancellationToken(), threading.Event(), []

    def write():
        with pipe.open("wb") as first_look:
            first_look.write((ROOT / "tests" / "data" / "sideways.heic").read_bytes()[:64])
        with pipe.open("wb", buffering=0) as again:
            cancel.cancel()
            ended.wait()
            try:
                again.write(b"more")
                readers_left.append(True)
            except BrokenPipeError:
                readers_left.append(False)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(Cancelled):
            prepare(pipe, PictureBounds(1000), tokens=(CancellationToken(), cancel))
    finally:
        ended.set()
        writer.join()
    assert readers_left == [False]
