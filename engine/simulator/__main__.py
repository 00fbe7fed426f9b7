"""`python -m engine.simulator`: a simulator to connect to, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from pathlib import Path

from engine.known_nodes import nodes_with
from engine.nodes import NodeCatalogue
from engine.simulator import Simulator, choices_from
from engine.simulator.faults import Faults, FaultScriptError


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; gives the exit status.

    Args:
        arguments: of the command line; the process's own by default.
    """
    parser = argparse.ArgumentParser(prog="python -m engine.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--folder", type=Path, help="holds input, output and temp (default: a temporary one)")
    parser.add_argument("--templates", type=Path, help="graphs (*.json) whose model files it pretends to have")
    parser.add_argument(
        "--models",
        type=Path,
        action="append",
        default=[],
        help="a folder like ComfyUI's own: its files are listed too",
    )
    parser.add_argument("--catalogue", type=Path, help="another node catalogue (.json or .json.gz)")
    parser.add_argument("--step-seconds", type=float, default=0.0, help="how long a sampling step takes")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what is to go wrong (docs/simulator.md)")
    options = parser.parse_args(arguments)
    try:
        faults = Faults(file=options.faults, own_process=True)
    except (FaultScriptError, OSError) as error:
        parser.error(f"--faults: {error}")
    if faults.take({"no_start"}):
        return 1
    if slow := faults.take({"slow_start"}):
        time.sleep(slow.seconds or 0.0)

    if options.templates and not options.templates.is_dir():
        parser.error(f"--templates: {options.templates} is no folder")
    graphs = (
        [json.loads(path.read_text()) for path in sorted(options.templates.glob("*.json"))] if options.templates else []
    )
    classes = {str(node.get("class_type")) for graph in graphs for node in graph.values() if isinstance(node, dict)}
    catalogue = NodeCatalogue.load(options.catalogue) if options.catalogue else nodes_with(classes)
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    choices = choices_from(graphs, catalogue)
    comfy = Simulator(
        catalogue, options.folder, options.port, choices, options.step_seconds, models=options.models, faults=faults
    )
    try:
        comfy.start()
    except OSError as error:
        parser.error(f"it can't be started: {error.strerror}")  # which names a port that is taken
    try:
        sys.stderr.write(f"simulated ComfyUI {catalogue.version} at {comfy.url}\n")
        sys.stderr.flush()
        asked_to_stop.wait()
    finally:
        comfy.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
