"""What all tests share: which ComfyUI they run against, and an environment wiped clean.

`COMFY_URL`: one that runs. `COMFY_HOME`: one that is started for the tests, with the Python `COMFY_PYTHON`
and the arguments `COMFY_ARGS` (`--cpu`). Neither: the simulator. The same tests run on all three.
"""

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest
from support import waiting
from support.levels import LevelsReport
from support.operator_workflows import CONTROL_NET, LORAS
from support.proxy import CuttableProxy
from support.random_loras import write_lora
from support.random_upscaler import UPSCALER, write_upscaler
from support.reliability import ReliabilityReport
from support.verified import STATS, VerifiedReport

from engine.cancellation import CancellationToken
from engine.comfyui import ComfyProcess, ComfyUI, SharedFolders, new_prompt_id

# How fast the machine is, is nothing that a test asserts.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

pytest_plugins = ["support.browser_fixtures"]

# Read before any test wipes them.
COMFY_URL = os.environ.get("COMFY_URL")
COMFY_HOME = os.environ.get("COMFY_HOME")
COMFY_PYTHON = os.environ.get("COMFY_PYTHON")
COMFY_ARGS = shlex.split(os.environ.get("COMFY_ARGS", ""))

CHECKPOINT = "random_sd15.safetensors"
NEEDS_REAL = "needs a real ComfyUI: set COMFY_URL or COMFY_HOME"
WIPED = (
    *("COMFY", "S3_", "BUCKET_", "AWS_", "RUNPOD_", "GCS_", "GOOGLE_", "SPOOL_", "UPLOAD", "VOLUME_", "MODELS_DIR"),
    *("HF_", "HUGGING", "CIVITAI", "API_", "SERVE_API", "REFRESH_WORKER", "OUTPUT_MODE", "WORKFLOWS", "VERSION_ID"),
)


def pytest_addoption(parser):
    parser.addoption(
        "--verified",
        metavar="FILE",
        help="run the tests that touch ComfyUI against a real one, and write down in FILE how they went",
    )
    parser.addoption("--levels", metavar="FILE", help="write down in FILE how far each workflow of the library got")
    parser.addoption("--image-verified", metavar="FILE", help="write down in FILE what images the tests have built")
    parser.addoption("--reliability", metavar="FILE", help="write down in FILE how the cases of the fault suite went")
    parser.addoption("--screenshots", metavar="FOLDER", help="take the pictures of the playground anew, into FOLDER")


def pytest_configure(config):
    if (path := config.getoption("--reliability")) and not hasattr(
        config, "workerinput"
    ):  # once, not by each of xdist's
        config.pluginmanager.register(ReliabilityReport(path), "reliability")
    verified, levels = config.getoption("--verified"), config.getoption("--levels")
    if (verified or levels) and not (COMFY_URL or COMFY_HOME):
        raise pytest.UsageError(NEEDS_REAL)
    if verified:
        config.pluginmanager.register(VerifiedReport(config, verified), "verified")
        levels = levels or Path(verified).with_name("levels.json")
    if levels and not hasattr(config, "workerinput"):  # once, as above
        config.pluginmanager.register(LevelsReport(levels), "levels")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """`-n auto`: two more than there are processors, since half of the time is waiting: for processes, for pauses."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" not in os.environ:
        return (os.cpu_count() or 1) + 2
    return None


def pytest_collection_modifyitems(items):
    if not (COMFY_URL or COMFY_HOME):
        for item in items:
            if item.get_closest_marker("comfyui"):
                item.add_marker(pytest.mark.skip(reason=NEEDS_REAL))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(WIPED):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SPOOL_PATH", str(tmp_path / "spool"))  # not the user's own


@contextlib.contextmanager
def real_comfyui(home, *more):
    """A process of the ComfyUI in `home`, not yet started, with its base folder, which is one of the tests'.

    Its own models are seen; of custom nodes only the one that comes with ComfyUI is. `more` are arguments for it.
    """
    with tempfile.TemporaryDirectory(prefix="comfyui-tests-", ignore_cleanup_errors=True) as base:
        for name in ("custom_nodes", "input", "output"):
            (Path(base) / name).mkdir()
        own = Path(home).resolve() / "custom_nodes" / "websocket_image_save.py"  # ComfyUI's own SaveImageWebsocket
        if own.is_file():
            (Path(base) / "custom_nodes" / own.name).symlink_to(own)
        (Path(base) / "models").symlink_to(Path(home).resolve() / "models", target_is_directory=True)
        process = ComfyProcess(
            Path(home),
            python=Path(COMFY_PYTHON) if COMFY_PYTHON else None,
            args=["--base-directory", base, *COMFY_ARGS, *more],
            log_file=Path(base) / "comfyui.log",
        )
        try:
            yield process, Path(base)
        finally:
            process.stop()


@pytest.fixture(scope="session")
def comfy_home():
    """Where a real ComfyUI is installed, with a checkpoint and LoRAs of random weights in it."""
    if not COMFY_HOME:
        pytest.skip("needs a ComfyUI that can be started: set COMFY_HOME")
    target = Path(COMFY_HOME) / "models" / "checkpoints" / CHECKPOINT
    if not target.exists():
        script = Path(__file__).parent / "support" / "random_checkpoint.py"
        python = COMFY_PYTHON or sys.executable
        subprocess.run([python, script, COMFY_HOME, target.resolve()], check=True)
    models = Path(COMFY_HOME) / "models"
    for seed, name in enumerate(LORAS):
        write_lora(models / "loras" / name, seed)
    write_upscaler(models / "upscale_models" / UPSCALER)
    (models / "controlnet").mkdir(exist_ok=True)
    (models / "controlnet" / CONTROL_NET).touch()  # in the list of models, which is what graphs are checked against
    return Path(COMFY_HOME)


@pytest.fixture
def comfy_process(comfy_home):
    """A real ComfyUI of the test's own, not yet started."""
    with real_comfyui(comfy_home) as (process, _):
        yield process


@pytest.fixture
def comfy_variables(comfy_home, tmp_path):
    """What says that the worker is to start the real ComfyUI, with a base folder of the test's own."""
    base = tmp_path / "base"
    for name in ("custom_nodes", "input", "output", "models"):
        (base / name).mkdir(parents=True)
    return {
        "COMFY_HOME": str(comfy_home),
        "COMFY_ARGS": shlex.join([*COMFY_ARGS, "--base-directory", str(base)]),
        "COMFY_LOG": str(tmp_path / "comfyui.log"),
        **({"COMFY_PYTHON": COMFY_PYTHON} if COMFY_PYTHON else {}),
    }


@pytest.fixture
def comfy_process_and_base(comfy_home):
    """A real ComfyUI of the test's own, not yet started, and the folder that holds its own."""
    with real_comfyui(comfy_home) as process_and_base:
        yield process_and_base


@pytest.fixture
def comfy_process_with(comfy_home):
    """Makes a real ComfyUI of the test's own, with more arguments, not yet started."""
    with contextlib.ExitStack() as stack:
        yield lambda *more: stack.enter_context(real_comfyui(comfy_home, *more))[0]


@pytest.fixture(scope="session")
def comfy_server(request):
    """The ComfyUI of the tests, a real one or the simulator: its URL, and its base folder or None."""
    with contextlib.ExitStack() as stack:
        base = None
        if COMFY_URL:
            url = COMFY_URL
        elif COMFY_HOME:
            process, base = stack.enter_context(real_comfyui(request.getfixturevalue("comfy_home")))
            process.start()
            url = process.url
        else:
            from engine.simulator import Simulator

            choices = {
                "CheckpointLoaderSimple.ckpt_name": [CHECKPOINT],
                "LoraLoader.lora_name": list(LORAS),
                "ControlNetLoader.control_net_name": [CONTROL_NET],
                "UpscaleModelLoader.model_name": [UPSCALER],
            }
            simulator = stack.enter_context(Simulator(choices=choices, step_seconds=0.02))
            url, base = simulator.url, simulator.folders.base
        with ComfyUI(url) as comfy:
            request.config.stash[STATS] = comfy.client.system_stats()
        yield url, base


@pytest.fixture(scope="session")
def library_server(request, tmp_path_factory):
    """A ComfyUI that has a stand-in for every model of the library, a real one or the simulator."""
    from support.library import NODES, LibraryServer, write_inputs, write_models

    if COMFY_URL and not COMFY_HOME:
        pytest.skip("needs a ComfyUI whose folder of models is known: set COMFY_HOME")
    with contextlib.ExitStack() as stack:
        if COMFY_HOME:
            home = request.getfixturevalue("comfy_home")
            process, base = stack.enter_context(real_comfyui(home))
            for pack in (home.resolve() / "custom_nodes").iterdir():
                if pack.is_dir() and pack.name != "__pycache__":
                    (base / "custom_nodes" / pack.name).symlink_to(pack, target_is_directory=True)
            (base / "models").unlink()  # a link to its own: here there are stand-ins alone
            write_models(base / "models", checkpoint := home.resolve() / "models" / "checkpoints" / CHECKPOINT)
            (base / "models" / "checkpoints" / CHECKPOINT).symlink_to(checkpoint)
            write_inputs(base / "input")
            process.start()
            url = process.url
        else:
            from engine.simulator import Simulator

            base = tmp_path_factory.mktemp("library")
            write_models(base / "models", None)
            (base / "models" / "checkpoints").mkdir(parents=True, exist_ok=True)
            (base / "models" / "checkpoints" / CHECKPOINT).touch()
            simulator = stack.enter_context(Simulator(NODES, base, models=[base / "models"], step_seconds=0.001))
            write_inputs(base / "input")
            url = simulator.url
        with ComfyUI(url) as comfy:
            stats = comfy.client.system_stats()
        request.config.stash.setdefault(STATS, stats)
        system = stats["system"]
        is_real = system.get("pytorch_version") != "simulated"
        yield LibraryServer(url, base, is_real, system.get("comfyui_version", "unknown"))


@pytest.fixture(scope="session")
def comfy_url(comfy_server):
    """Where the ComfyUI of the tests answers."""
    return comfy_server[0]


@pytest.fixture(scope="session")
def comfy_base(comfy_server):
    """The folder that holds its input, output and temp folders."""
    if comfy_server[1] is None:
        pytest.skip("needs a ComfyUI whose folders are known: set COMFY_HOME")
    return comfy_server[1]


@pytest.fixture
def sharing_comfy(comfy_url, comfy_base):
    """The engine's side of it, with its folders on this machine's disk."""
    with ComfyUI(comfy_url, folders=SharedFolders.below(comfy_base)) as comfy:
        yield comfy


@pytest.fixture(scope="session")
def checkpoint(comfy_url):
    """The name of a checkpoint of random weights that this ComfyUI has."""
    _needs(comfy_url, "CheckpointLoaderSimple.ckpt_name", [CHECKPOINT], made_by="random_checkpoint.py")
    return CHECKPOINT


@pytest.fixture(scope="session")
def lora_names(checkpoint, comfy_url):
    """The names of LoRAs of random weights that this ComfyUI has."""
    _needs(comfy_url, "LoraLoader.lora_name", LORAS, made_by="random_loras.py")
    return LORAS


@pytest.fixture(scope="session")
def upscaler(comfy_url):
    """The name of an upscale model of random weights that this ComfyUI has."""
    _needs(comfy_url, "UpscaleModelLoader.model_name", [UPSCALER], made_by="random_upscaler.py")
    return UPSCALER


def _needs(comfy_url, listed, names, *, made_by):
    """Skip the test where a ComfyUI does not list these model files."""
    with ComfyUI(comfy_url) as comfy:
        known = comfy.node_catalogue().choices(listed) or ()
    if not {*names} <= {*known}:
        pytest.skip(f"needs {', '.join(names)} in that ComfyUI: see tests/support/{made_by}")


@pytest.fixture
def comfy(comfy_url):
    """The engine's side of it."""
    with ComfyUI(comfy_url) as comfy:
        yield comfy


@pytest.fixture
def proxy(comfy_url):
    """A way to ComfyUI that the test can cut."""
    with CuttableProxy(comfy_url) as proxy:
        yield proxy


@pytest.fixture
def run(request):
    """Run a graph to its end, with bounds that no test should reach."""

    def run(graph, *, comfy=None, prompt_id=None, cancel=None, timeout_seconds=90, queue_timeout_seconds=90, **more):
        return (comfy or request.getfixturevalue("comfy")).execute(
            graph,
            prompt_id=prompt_id or new_prompt_id(),
            cancel=cancel or CancellationToken(),
            timeout_seconds=timeout_seconds,
            queue_timeout_seconds=queue_timeout_seconds,
            **more,
        )

    return run


@pytest.fixture
def wait_until():
    """Look at something until it holds; fail after half a minute."""
    return waiting.wait_until


@pytest.fixture
def unused_port():
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
