"""A COMFY_HOME that holds no ComfyUI but the simulator, which can be told to crash.

`main.py` takes the arguments that ComfyUI is started with. Its faults are a file beside it: each that fires is crossed
out there, so that one that is started anew does not have it again.
"""

import json

from support.workflows import ROOT

_MAIN = """\
import argparse, pathlib, sys
from engine.simulator.__main__ import main

home = pathlib.Path(__file__).resolve().parent
parser = argparse.ArgumentParser()
parser.add_argument("--listen")
parser.add_argument("--port", required=True)
parser.add_argument("--disable-auto-launch", action="store_true")
parser.add_argument("--base-directory", default=str(home))
parser.add_argument("--cpu", action="store_true")
parser.add_argument("--extra-model-paths-config")
parser.add_argument("--verbose")
parser.add_argument("--faults", default=str(home / "faults.json"))
options = parser.parse_args()
print("Starting server", *sys.argv[1:], flush=True)
sys.exit(main(["--port", options.port, "--folder", options.base_directory, "--faults", options.faults, *{more!r}]))
"""


def simulated_home(folder, faults=(), *, step_seconds=0.0, templates=ROOT / "templates", models=(), catalogue=None):
    """Write a COMFY_HOME whose simulator has the model files that the templates name.

    Args:
        folder: made where it is missing; `input`, `output` and `temp` are below it, if not told otherwise.
        faults: the script; `folder / "faults.json"` says what of it is still to come.
        step_seconds: how long a sampling step takes.
        templates: graphs whose model files it pretends to have; None for none.
        models: folders like ComfyUI's `models/`, whose files it lists.
        catalogue: the file of another node catalogue, whose version and classes it has.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    more = ["--step-seconds", str(step_seconds), *(["--templates", str(templates)] if templates else [])]
    more += [part for each in models for part in ("--models", str(each))]
    if catalogue:
        more += ["--catalogue", str(catalogue)]
    (folder / "main.py").write_text(_MAIN.format(more=more))
    (folder / "faults.json").write_text(json.dumps(list(faults)))
    for name in ("input", "output"):
        (folder / name).mkdir(exist_ok=True)
    return folder
