"""Large results are described and stamped within a few megabytes of memory, whatever their format."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.finishing import STAMP, comfy_jpeg, comfy_png, comfy_webp, saved, speckled

from engine.containers import jpeg, png, webp

MEBIBYTE = 1024 * 1024
PART = 64 * 1024

# The most that the process ever had, which counts mapped pages as well. What getrusage says would count in the
# process that started it.
WORKER = """
import json, pathlib, sys
from engine.delivery import Delivery
from engine.media import describe, finish
from engine.results import RawOutput

def peak():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

answers = []
for path in map(pathlib.Path, sys.argv[2:]):
    output = describe(RawOutput("image", 0, "image", "9", filename=path.name), path)
    new, warnings = finish(output, delivery=Delivery("inline"), stamp=json.loads(sys.argv[1]), folder=path.parent / "f")
    answers.append([output.width, output.height, output.duration_seconds, new is not output, warnings, peak()])
print(json.dumps(answers))
"""


def large_png(file, size):
    content = comfy_png()
    data = next(chunk for chunk in png.chunks(content) if chunk.name == b"IDAT")
    file.write(content[: data.whole.stop])
    for _ in range(size // PART):
        file.write(struct.pack(">I4s", PART, b"IDAT"))
        file.seek(PART + 4, 1)
    file.write(content[data.whole.stop :])


def large_jpeg(file, size):
    content = comfy_jpeg()
    end = list(jpeg.segments(content))[-1].whole.start
    file.write(content[:end])
    file.seek(size, 1)
    file.write(content[end:])


def large_webp(file, size):
    content = comfy_webp(frames=3)
    last = [chunk for chunk in webp.chunks(content) if chunk.name == b"ANMF"][-1].whole.stop
    more = size // PART * (PART + 8)
    file.write(b"RIFF" + struct.pack("<I", len(content) - 8 + more) + content[8:last])
    for _ in range(size // PART):
        file.write(struct.pack("<4sI", b"ANMF", PART))
        file.seek(PART, 1)
    file.write(content[last:])


def large_gif(file, size):
    content = saved(speckled(), "GIF", save_all=True, append_images=[speckled().rotate(90)], duration=70)
    file.write(content[:-1] + b"\x21\xfe")
    for _ in range(size // MEBIBYTE):
        file.write((b"\xff" + bytes(255)) * 4096)
    file.write(b"\0;")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most memory of a process")
@pytest.mark.parametrize(
    ("write", "facts"),
    [
        (large_png, [24, 18, None, True, []]),
        (large_jpeg, [24, 18, None, True, []]),
        (large_webp, [24, 18, 0.12, True, []]),
        (large_gif, [24, 18, 0.14, False, []]),
    ],
)
def test_a_large_picture_takes_little_memory(write, facts, tmp_path):
    paths = []
    for size in (0, 128 * MEBIBYTE):
        paths.append(tmp_path / f"{write.__name__}_{size}")
        with paths[-1].open("wb") as file:
            write(file, size)
    stamp = json.dumps(STAMP)
    run = subprocess.run(
        [sys.executable, "-c", WORKER, stamp, *map(str, paths)], check=True, capture_output=True, text=True
    )
    small, large = json.loads(run.stdout)
    assert small[:-1] == facts
    assert large[:-1] == facts
    assert large[-1] - small[-1] < 24
