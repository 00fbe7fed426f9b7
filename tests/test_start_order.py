"""What a start does first, and what it leaves for later: ComfyUI, then the first job, then what only the log wants."""

import pytest
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import running_script, running_worker, worker_environment
from support.workflows import ROOT, sampler_graph, write_workflow

# Python tells of each module that is imported for the first time, and of each process that is begun.
TELLING = """
import sys

def tell(event, arguments):
    if event == "import":
        sys.stderr.write(f"first import of {arguments[0]}\\n")
    elif event == "subprocess.Popen":
        sys.stderr.write(f"process {list(map(str, arguments[1]))}\\n")

sys.addaudithook(tell)
sys.argv = ["handler.py"]
from engine.cli import worker
worker([])
"""

# No job of most workers ever needs them, or none does before it has results.
NOT_NEEDED = {
    *("boto3", "botocore", "google.cloud", "PIL", "numpy", "fastapi", "uvicorn", "dulwich", "jsonschema", "rich"),
    *("cpuinfo", "paramiko", "cryptography", "tomlkit"),
    *("engine.authoring", "engine.server", "engine.simulator", "engine.local_queue", "engine.mcp", "engine.ui_format"),
}


# Python tells of each time that it looks for garbage, once the SDK is imported.
COLLECTING = """
import gc, sys
sys.argv = ["handler.py"]
gc.callbacks.append(lambda *_: "runpod" in sys.modules and sys.stderr.write("looks for garbage\\n"))
from engine.cli import worker
worker([])
"""


def own_comfyui(folder, queue):
    """The variables of a worker with a ComfyUI of its own, and that ComfyUI's folder."""
    home = simulated_home(folder / "comfyui")
    own = {"VOLUME_PATH": str(folder / "volume"), "COMFY_HOME": str(home), "COMFY_LOG": str(folder / "comfyui.log")}
    environment = worker_environment("", **queue.environment()) | own
    del environment["COMFY_URL"]
    return environment, home


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The log of a worker with a ComfyUI of its own, until it asks for its first job."""
    folder = tmp_path_factory.mktemp("start")
    log = folder / "log"
    with serve_runpod_queue() as queue:
        environment, _ = own_comfyui(folder, queue)
        with running_script(TELLING, environment, log):
            queue.wait_asked(60)
            return log.read_text().splitlines()


def imported(lines):
    """The modules, with the packages that they are in."""
    names = {line.removeprefix("first import of ") for line in lines if line.startswith("first import of ")}
    return names | {name.rpartition(".")[0] for name in names} | {name.partition(".")[0] for name in names}


def test_comfyuis_process_is_begun_before_anything_else_is_loaded(told):
    begun = next(index for index, line in enumerate(told) if line.startswith("process ") and "main.py" in line)
    before, after = imported(told[:begun]), imported(told[begun:])
    for later in ("runpod", "aiohttp", "engine.jobs", "engine.storage", "engine.starting.screen", "jinja2"):
        assert later not in before
        assert later in after


def test_until_the_first_job_is_asked_for_nothing_is_loaded_that_it_does_not_need(told):
    loaded = imported(told)
    assert "runpod" in loaded
    assert not loaded & NOT_NEEDED


def test_garbage_is_collected_while_a_comfyui_that_takes_long_is_waited_for(tmp_path, wait_until):
    log, may_answer = tmp_path / "log", tmp_path / "may-answer"
    with serve_runpod_queue() as queue:
        environment, home = own_comfyui(tmp_path, queue)
        main = home / "main.py"
        waits = f"import pathlib, time\nwhile not pathlib.Path({str(may_answer)!r}).exists(): time.sleep(0.05)\n"
        main.write_text(waits + main.read_text())
        with running_script(COLLECTING, environment, log):
            wait_until(lambda: "looks for garbage" in log.read_text())
            may_answer.touch()
            queue.wait_asked(60)


def test_beside_a_comfyui_that_runs_what_the_workflows_lack_is_told_once_jobs_are_taken(
    comfy_url, tmp_path, wait_until
):
    write_workflow(tmp_path, "crooked", sampler_graph(), {"parameters": {"x": {"type": "integre"}}})
    log = tmp_path / "log"
    with serve_runpod_queue() as queue:
        variables = {"WORKFLOWS_PATH": f"{tmp_path}:{ROOT}"}
        with running_worker(worker_environment(comfy_url, **queue.environment(), **variables), log):
            queue.wait_asked(60)
            wait_until(lambda: "--- the workflows ---" in log.read_text())
    screen, _, later = log.read_text().partition("--- the workflows ---")
    assert "workflows  audio, controlnet" in screen
    assert "have their models" not in screen
    assert "a workflow does not load name=crooked" in screen
    assert "have their models" in later
    assert "what audio, controlnet" in later
