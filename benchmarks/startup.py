"""`engine list` over 1,000 workflows, the whole process, against importing pydantic and Jinja2, in one run.

And the import of RunPod's SDK, as the worker does it and as it is.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS, ROUNDS = 1000, 15


def seconds(command, environment):
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    with tempfile.TemporaryDirectory() as folder:
        for part in ("templates", "schemas"):
            (Path(folder) / part).mkdir()
            for index in range(WORKFLOWS):
                shutil.copy(ROOT / part / "txt2img.json", Path(folder) / part / f"workflow-{index:04}.json")
        environment = os.environ | {"WORKFLOWS_PATH": folder}
        listing = [str(Path(sys.executable).parent / "engine"), "list"]
        imports = [sys.executable, "-c", "import pydantic, jinja2"]
        printed = subprocess.run(listing, env=environment, check=True, capture_output=True, text=True).stdout
        assert len(printed.splitlines()) == WORKFLOWS
        pairs = [(seconds(listing, environment), seconds(imports, environment)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"engine list over {WORKFLOWS} workflows: {ours * 1000:.0f} ms, the whole process")
    print(f"python -c 'import pydantic, jinja2': {theirs * 1000:.0f} ms; ratio {ours / theirs:.2f}")
    assert ours <= 2 * theirs, "listing should cost at most twice those imports"
    quick = [sys.executable, "-c", "from engine.runpod_sdk import load_runpod; load_runpod()"]
    pairs = [
        (seconds(quick, os.environ), seconds([sys.executable, "-c", "import runpod"], os.environ)) for _ in range(5)
    ]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"the import of RunPod's SDK: {ours * 1000:.0f} ms by the worker, {theirs * 1000:.0f} ms as it is")


if __name__ == "__main__":
    main()
