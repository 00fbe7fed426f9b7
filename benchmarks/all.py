"""Runs every benchmark, one after the other, and makes docs/performance.md of what they found: `make bench`.

A bound that is not kept stops nothing; in the end the exit status says so.
"""

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from reporting import exit_with
from under_test import comfyui_under_test

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# Each with the seconds that it takes, roughly, on a machine with two cores.
PROGRAMS = {
    "overhead": 60,
    "throughput": 150,
    "startup": 70,
    "render": 10,
    "scale": 40,
    "memory": 80,
    "checks": 10,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        default=HERE / "results",
        help="leave numbers and plots there (benchmarks/results)",
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,…",
        help=f"of {', '.join(PROGRAMS)}; writes no page",
    )
    options = parser.parse_args()
    chosen = options.only or list(PROGRAMS)
    if unknown := [name for name in chosen if name not in PROGRAMS]:
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(PROGRAMS)}")
    options.report.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        # Of an earlier run, and not to be taken for this one's.
        (options.report / f"{name}.json").unlink(missing_ok=True)
    machine = described()  # better known before the minutes than after whether there is a ComfyUI
    (options.report / "machine.json").write_text(json.dumps(machine, indent=1) + "\n")
    seconds = sum(PROGRAMS[name] for name in chosen)
    about = f"{seconds} seconds" if seconds < 90 else f"{round(seconds / 60)} minutes"
    print(f"On {machine['ComfyUI']}; about {about}, more where ComfyUI starts slowly.\n", flush=True)
    ended = {}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # in order, where it goes into a file
    for name in chosen:
        start = time.monotonic()
        command = [sys.executable, str(HERE / f"{name}.py"), "--report", str(options.report)]
        ended[name] = subprocess.run(command, check=False, env=environment).returncode
        print(f"({name}: {time.monotonic() - start:.0f} s)\n", flush=True)
    if not options.only:
        subprocess.run([sys.executable, str(HERE / "page.py"), "--report", str(options.report)], check=True)
    if failed := [name for name, status in ended.items() if status]:
        print(f"not all is as it should be: {', '.join(failed)}; see above", file=sys.stderr)
    return 1 if any(ended.values()) else 0


def described():
    """What it is measured on, label to text: the machine, Python, ComfyUI, the day.

    Raises:
        EngineError: the ComfyUI of COMFY_HOME does not start.
        requests.RequestException: there is none at COMFY_URL.
    """
    with comfyui_under_test() as comfy:
        words = f"{comfy.words}, {comfy.device}" if comfy.device else comfy.words
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()}, {platform.machine()}",
        "Python": platform.python_version(),
        "ComfyUI": words,
        "day": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }


def _processor():
    information = Path("/proc/cpuinfo")
    for line in information.read_text(errors="replace").splitlines() if information.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


if __name__ == "__main__":
    exit_with(main)
