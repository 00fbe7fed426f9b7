"""Two hundred jobs in a row leave folders, open files, threads and memory as they were."""

import base64
import gc
import io
import os
import threading
from pathlib import Path

from PIL import Image
from support.media import picture
from support.runners import asked, refused, runner_on
from support.workflows import write_workflow

from engine import Catalog

MEBIBYTE = 1024 * 1024


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def contents(base):
    return {path.relative_to(base) for part in ("input", "output", "temp") for path in (base / part).rglob("*")}


def previewing(folder):
    """A workflow that scales a picture, saves it and previews it."""
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {
            "class_type": "ImageScale",
            "inputs": {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"},
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "small"}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
        "5": {"class_type": "LoadImageMask", "inputs": {"image": "a.png", "channel": "red"}},
        "6": {"class_type": "MaskToImage", "inputs": {"mask": ["5", 0]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "mask"}},
    }
    parameters = {
        "image": {"type": "image", "required": True, "bind": ["$['1'].inputs.image", "$['5'].inputs.image"]},
        "width": {"type": "integer", "bind": "$['2'].inputs.width"},
        "method": {"type": "string", "choices": False, "bind": "$['2'].inputs.upscale_method"},
        "channel": {"type": "string", "choices": False, "bind": "$['5'].inputs.channel"},
    }
    outputs = {"image": {"node": "3"}, "mask": {"node": "7"}}
    return write_workflow(folder, "small", graph, {"parameters": parameters, "outputs": outputs})


def test_two_hundred_jobs_leave_nothing_behind(sharing_comfy, comfy_base, tmp_path):
    """Most of them go well; some are refused by ComfyUI, some make more than a reply takes."""
    catalog = Catalog([previewing(tmp_path)])
    runner = runner_on(sharing_comfy, tmp_path, catalog, default="inline", response_limit_bytes=30_000)
    image = base64.b64encode(picture((64, 48))).decode()

    def run(number):
        payload = {"image": image, "width": 8 + number % 40}
        request = {"workflow": "small", "payload": payload, "previews": True}
        match number % 10:
            case 8:
                payload |= {"channel": "ultraviolet", "method": "magic"}
                assert refused(runner, request)["code"] == "graph_rejected"
            case 9:
                payload["image"] = noise
                assert refused(runner, request)["code"] == "result_too_large"
            case _:
                outputs = asked(runner, request, job_id=f"job-{number}")["outputs"]
                assert [each["name"] for each in outputs] == ["image", "mask", "4"]
                assert outputs[0]["width"] == outputs[2]["width"] == 8 + number % 40

    buffer = io.BytesIO()
    Image.effect_noise((256, 256), 90).save(buffer, "PNG")
    noise = base64.b64encode(buffer.getvalue()).decode()

    runner.nodes(None)  # ComfyUI (0.3.64) makes the folder input/3d when it is first asked for its classes
    before = contents(comfy_base)
    for number in range(60):  # what is made once is made by then
        run(number)
    gc.collect()
    open_files, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    for _ in range(3):  # what is kept once is chance; a leak grows each time
        held = resident_bytes()
        for number in range(200):
            run(number)
        gc.collect()
        if resident_bytes() < held + 16 * MEBIBYTE:
            break
    else:
        raise AssertionError(f"two hundred jobs more took {(resident_bytes() - held) / MEBIBYTE:.0f} MiB each time")

    assert contents(comfy_base) <= before
    # A kept connection more, with both of its ends, or a thread, is chance; what twenty jobs leave behind is not.
    assert len(list(Path("/proc/self/fd").iterdir())) < open_files + 20
    assert threading.active_count() < threads + 20
    running, pending = sharing_comfy.client.queue()
    assert not running | pending
    runner.close()
