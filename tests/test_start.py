"""The start of a worker in a process of its own: what it waits for, finds, says, and ends with."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import run_handler, running_worker, worker_environment
from support.workflows import ROOT

from engine.errors import ComfyUnavailable
from engine.starting.gpu import Probe

LISTING = '{"input": {"action": "list"}}'


def environment(tmp_path, **more):
    """What a worker on RunPod sees, its volume in a folder; one of these that is None is not set."""
    own = {
        "VOLUME_PATH": str(tmp_path / "volume"),
        "COMFY_LOG": str(tmp_path / "comfyui.log"),
        "COMFY_URL": None,
        "HF_HOME": str(tmp_path / "hugging-face"),
    }
    return {name: str(value) for name, value in (worker_environment("") | own | more).items() if value is not None}


def start(tmp_path, **more):
    return run_handler(environment(tmp_path, **more), "--test_input", LISTING)


def lines_of(text):
    """The screen, by its headings."""
    screen = text[text.index("--- comfyui-workflow-engine") :].splitlines()[1:]
    return dict(re.split(r"\s+", line, maxsplit=1) for line in screen if re.match(r"\w+ {2,}", line))


def reason(done):
    """Why it did not start, in one line."""
    assert done.returncode == 1, done.stderr
    assert "Traceback (most" not in re.sub(r' detail=".*', "", done.stderr)
    (line,) = [each for each in done.stderr.splitlines() if "the worker can't start" in each]
    return line


def test_a_volume_that_comes_five_seconds_late_is_waited_for(tmp_path, wait_until):
    log = tmp_path / "log"
    with serve_runpod_queue() as queue:
        settings = environment(tmp_path, VOLUME_REQUIRED="true", **queue.environment())
        with running_worker(settings, log) as process:
            wait_until(lambda: "waiting up to 60 s for VOLUME_REQUIRED" in log.read_text())
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(5)
            simulated_home(tmp_path / "elsewhere" / "ComfyUI")
            (tmp_path / "elsewhere").rename(tmp_path / "volume")
            posted = queue.wait(queue.submit({"workflow": "resize", "payload": {"width": 16}}), 60)
    assert posted["output"]["outputs"]
    assert re.search(r"the volume is there after \d+\.\d s", log.read_text())
    assert "(ComfyUI on the volume" in lines_of(log.read_text())["ComfyUI"]


def test_a_required_volume_that_never_comes_ends_the_worker(tmp_path):
    why = reason(start(tmp_path, VOLUME_REQUIRED="1", VOLUME_WAIT_SECONDS="0.3"))
    assert "VOLUME_REQUIRED" in why
    assert str(tmp_path / "volume") in why
    assert "attach a network volume to the endpoint" in why


def test_a_volume_that_runpod_speaks_of_may_be_mounted_elsewhere(tmp_path):
    done = start(tmp_path, RUNPOD_VOLUME_ID="v1", VOLUME_WAIT_SECONDS="0.3", COMFY_SIMULATE="1")
    assert done.returncode == 0
    assert "the worker starts without" in done.stderr


def test_an_empty_required_volume_may_be_the_place_of_a_mount_and_is_used_in_the_end(tmp_path):
    (tmp_path / "volume").mkdir()
    done = start(tmp_path, VOLUME_REQUIRED="1", VOLUME_WAIT_SECONDS="0.3", COMFY_SIMULATE="1")
    assert done.returncode == 0
    assert "waiting up to 0.3 s" in done.stderr
    assert (tmp_path / "volume" / "models" / "checkpoints").is_dir()


def test_without_a_comfyui_the_worker_says_where_it_looked_and_what_to_set(tmp_path):
    why = reason(start(tmp_path))
    for part in ("there is no ComfyUI", str(tmp_path / "volume" / "ComfyUI"), "/comfyui", "COMFY_HOME", "COMFY_URL"):
        assert part in why


def test_the_folder_above_comfyui_does_as_well_with_the_venv_that_is_in_it(tmp_path):
    home = simulated_home(tmp_path / "there" / "ComfyUI")
    python = tmp_path / "there" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    done = start(tmp_path, COMFY_HOME=tmp_path / "there")
    assert done.returncode == 0, done.stderr
    assert lines_of(done.stderr)["ComfyUI"] == f"{home} (COMFY_HOME), run by {python}"


def test_a_broken_comfyui_ends_the_worker_with_its_own_words_in_the_log(tmp_path):
    home = tmp_path / "volume" / "ComfyUI"
    home.mkdir(parents=True)
    (home / "main.py").write_text("import torch_that_is_missing")
    done = start(tmp_path)
    assert "ComfyUI was started and ended at once with status 1" in reason(done)
    assert "No module named 'torch_that_is_missing'" in done.stderr
    assert str(home) in lines_of(done.stderr)["ComfyUI"]


def test_a_log_of_comfyui_that_can_not_be_written_is_named(tmp_path):
    why = reason(start(tmp_path, COMFY_HOME=simulated_home(tmp_path / "comfyui"), COMFY_LOG=tmp_path / ("x" * 300)))
    assert "its log can't be written: File name too long" in why
    assert "set COMFY_LOG" in why


@pytest.mark.parametrize("variable", ["COMFY_HOME", "VOLUME_PATH", "MODELS_DIR", "WORKFLOWS_PATH"])
def test_a_path_that_the_system_refuses_ends_the_worker_with_its_words(tmp_path, variable):
    # As a volume does whose mount is broken.
    path = f"{tmp_path}/{'too-long.' * 40}"
    why = reason(start(tmp_path, **({"COMFY_SIMULATE": "1"} | {variable: path})))
    assert "File name too long" in why
    assert "that what it lies on is mounted" in why


def test_paths_may_be_relative(tmp_path):
    simulated_home(tmp_path / "comfyui")
    python = tmp_path / "comfyui" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    settings = environment(tmp_path, COMFY_HOME="comfyui")
    command = [sys.executable, str(ROOT / "handler.py"), "--test_input", LISTING]
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_variables_in_small_letters_count_for_the_start_too(tmp_path):
    home = tmp_path / "volume" / "ComfyUI"
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 9\n")
    (home / ".venv" / "bin" / "python").chmod(0o755)
    (home / "main.py").write_text("raise SystemExit('that of the volume')")
    done = start(tmp_path, comfy_home=simulated_home(tmp_path / "comfyui"))
    assert done.returncode == 0, done.stderr
    late = start(
        tmp_path, VOLUME_PATH=None, volume_path=tmp_path / "none", volume_required="1", volume_wait_seconds="0"
    )
    assert f"VOLUME_REQUIRED: {tmp_path / 'none'} is not there" in reason(late)


def test_the_screen_says_what_is_not_there_and_why_nothing_goes_to_the_bucket(tmp_path):
    more = {"MODELS_DIR": tmp_path / "none", "WORKFLOWS": "resize,resise", "STORAGE": "inline", "S3_BUCKET": "pictures"}
    done = start(tmp_path, COMFY_SIMULATE="1", **more)
    assert done.returncode == 0, done.stderr
    lines = lines_of(done.stderr)
    assert lines["models"] == f"MODELS_DIR is not there: {tmp_path / 'none'}"
    assert lines["workflows"] == f"resize (from {ROOT}); WORKFLOWS names more, which are not there: resise"
    assert lines["results"] == "in the reply, up to 9.5 MB (STORAGE is inline)"


def test_the_level_of_comfyuis_own_log_is_handed_on(tmp_path):
    home = tmp_path / "comfyui"
    home.mkdir()
    (home / "main.py").write_text("import sys\nraise SystemExit(f'told: {sys.argv[1:]}')")
    done = start(tmp_path, COMFY_HOME=home, COMFY_LOG_LEVEL="debug", COMFY_ARGS="--lowvram")
    assert re.search(r"told: .*'--verbose', 'DEBUG', '--lowvram'\]", done.stderr)


def has_gpu():
    try:
        return Probe().result() is not None
    except ComfyUnavailable:
        return False


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_without_a_gpu_the_worker_ends_at_once_and_says_what_to_do(tmp_path):
    home = tmp_path / "comfyui"
    home.mkdir()
    (home / "main.py").write_text("import time\ntime.sleep(100)")  # as one that has yet to find it out
    why = reason(start(tmp_path, COMFY_HOME=home, RUNPOD_SKIP_GPU_CHECK=None))
    assert "there is no GPU that works: " in why
    assert "choose a GPU type" in why
    assert "COMFY_ARGS=--cpu" in why


@pytest.mark.parametrize("more", [{"COMFY_ARGS": "--cpu"}, {"RUNPOD_SKIP_GPU_CHECK": "true"}])
def test_without_a_gpu_the_worker_runs_on_the_cpu_when_told_to(tmp_path, more):
    home = simulated_home(tmp_path / "comfyui")
    done = start(tmp_path, **({"RUNPOD_SKIP_GPU_CHECK": None} | {"COMFY_HOME": home} | more))
    assert done.returncode == 0, done.stderr


DRIVER = """
#include <string.h>
int cuInit(unsigned flags) {{ return {status}; }}
int cuGetErrorString(int status, const char **text) {{ *text = "no CUDA-capable device is detected"; return 0; }}
int cuDeviceGetCount(int *count) {{ *count = {count}; return 0; }}
int cuDriverGetVersion(int *version) {{ *version = 12080; return 0; }}
int cuDeviceGet(int *device, int index) {{ *device = index; return 0; }}
int cuDeviceGetName(char *name, int size, int device) {{ strncpy(name, "A Driver's GPU", size); return 0; }}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {{ *bytes = 24000000000; return 0; }}
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Compile a driver that answers so, since few machines have one that is broken."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("needs a C compiler")

    def install(status=0, count=1, text=DRIVER):
        (tmp_path / "cuda.c").write_text(text.format(status=status, count=count))
        library = tmp_path / "libcuda.so.1"
        subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", library, tmp_path / "cuda.c"], check=True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return install


def test_a_gpu_is_told_with_its_memory(driver):
    driver(count=2)
    gpus = Probe().result()
    assert [(each.name, each.memory_bytes) for each in gpus.gpus] == [("A Driver's GPU", 24_000_000_000)] * 2
    assert gpus.cuda == "12.8"


@pytest.mark.parametrize(
    ("status", "count", "words"),
    [(100, 1, "no CUDA-capable device is detected (cuInit, status 100)"), (0, 0, "shows no GPU to this container")],
)
def test_a_driver_without_a_gpu_says_why(driver, status, count, words):
    driver(status, count)
    with pytest.raises(ComfyUnavailable) as caught:
        Probe().result()
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("body", "words"), [("*(int *) 0 = 1;", "crashed"), ("for (;;) sleep(1);", "not answered within 0.5 s")]
)
def test_a_driver_that_crashes_or_hangs_costs_no_worker(driver, body, words):
    driver(text=f"#include <unistd.h>\nint cuInit(unsigned flags) {{{{ {body} }}}}")
    with pytest.raises(ComfyUnavailable) as caught:
        Probe().result(0.5 if "hang" in words or "within" in words else 30)
    assert words in caught.value.message


def test_the_screen_says_what_was_found(tmp_path):
    volume = tmp_path / "volume"
    home = simulated_home(volume / "ComfyUI")
    (home / "comfyui_version.py").write_text('__version__ = "0.8.0"\n')
    for name in ("checkpoints/a.safetensors", "checkpoints/b.safetensors", "loras/c.safetensors"):
        (home / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "models" / name).write_text("")
    (volume / "huggingface-cache/hub/models--black-forest--flux/snapshots/1").mkdir(parents=True)
    bucket = {"S3_BUCKET": "pictures", "S3_PREFIX": "made", "S3_SECRET_ACCESS_KEY": "hush-hush"}
    done = start(tmp_path, WORKFLOWS="resize,txt2img", S3_ACCESS_KEY_ID="k", **bucket)
    assert done.returncode == 0, done.stderr
    lines = lines_of(done.stderr)
    assert lines["mode"] == "serverless (--test_input)"
    assert lines["volume"].startswith(f"{volume}, ")
    assert lines["ComfyUI"] == f"{home} (ComfyUI on the volume, 0.8.0)"
    assert lines["models"] == f"{home / 'models'}: 2 in checkpoints, 1 in loras"
    assert "black-forest/flux" in lines["cache"]
    assert lines["workflows"] == f"resize, txt2img (from {ROOT})"
    assert lines["results"] == "s3://pictures/made"
    assert "hush-hush" not in done.stderr
    assert (tmp_path / "hugging-face" / "hub" / "models--black-forest--flux" / "snapshots" / "1").is_dir()


def test_a_model_that_runpod_has_cached_is_linked_where_comfyui_finds_it(tmp_path):
    home = simulated_home(tmp_path / "comfyui")
    commit = "1d0c4ebf6ff58a5caecab40fa1406526bca4b5b9"
    repository = tmp_path / "volume/huggingface-cache/hub/models--org--model"
    file = repository / "snapshots" / commit / "weights.safetensors"
    file.parent.mkdir(parents=True)
    file.write_text("weights")
    url = f"https://huggingface.co/org/model/resolve/{commit}/weights.safetensors"
    model = {"path": "checkpoints/mine.safetensors", "url": url, "source": "https://huggingface.co/org/model"}
    document = json.loads((ROOT / "schemas" / "resize.json").read_text()) | {"requires": {"models": [model]}}
    own = tmp_path / "own"
    for name in ("templates", "schemas"):
        (own / name).mkdir(parents=True)
    shutil.copy(ROOT / "templates" / "resize.json", own / "templates")
    (own / "schemas" / "resize.json").write_text(json.dumps(document))
    done = start(tmp_path, COMFY_HOME=home, WORKFLOWS_PATH=own)
    assert done.returncode == 0, done.stderr
    assert "linked as checkpoints/mine.safetensors" in lines_of(done.stderr)["cache"]
    assert (home / "models" / "checkpoints" / "mine.safetensors").read_text() == "weights"


def test_as_json_the_screen_is_one_line_of_the_log(tmp_path):
    done = start(tmp_path, COMFY_SIMULATE="1", LOG_FORMAT="json")
    lines = [json.loads(each) for each in done.stderr.splitlines()]  # each of them: nothing else is written there
    (line,) = [each for each in lines if each["message"] == "the worker starts"]
    assert line["comfyui"] == "none: the simulator draws the pictures"
    assert "--- comfyui-workflow-engine" not in done.stderr


def test_the_command_and_the_handler_are_the_same(tmp_path):
    settings = environment(tmp_path, COMFY_SIMULATE="1")
    command = [sys.executable, "-m", "engine.cli", "worker", "--test_input", LISTING]
    done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert lines_of(done.stderr)["mode"] == "serverless (--test_input)"
