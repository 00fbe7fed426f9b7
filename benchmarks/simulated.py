"""The simulator with the sleeping node, as a program: `benchmarks/under_test.py` starts it where there is no ComfyUI.

It says on its first line where it answers, and ends when its standard input does, so that it never outlives who
started it.
"""

import argparse
import sys
import time
from pathlib import Path

from sleeping_node import BenchmarkSleep

from engine.simulator import Outcome, Simulator

# As ComfyUI 0.8.0's /object_info describes the class.
SLEEP = {
    "input": {
        section: {name: list(declared) for name, declared in fields.items()}
        for section, fields in BenchmarkSleep.INPUT_TYPES().items()
    },
    "output": list(BenchmarkSleep.RETURN_TYPES),
    "output_is_list": [False],
    "output_name": list(BenchmarkSleep.RETURN_TYPES),
    "name": "BenchmarkSleep",
    "display_name": "Sleep (benchmark)",
    "python_module": "custom_nodes.sleeping_node",
    "category": BenchmarkSleep.CATEGORY,
    "output_node": False,
}


def sleeping(spans):
    """What the node does, but that it ends when the simulator is stopped.

    Args:
        spans: the file where it writes down when, if any.
    """

    def sleep(call):
        began = time.time()
        call.rest(call.inputs["seconds"])
        if spans:
            with spans.open("a") as file:
                file.write(f"{began} {time.time()}\n")
        return Outcome((call.inputs["image"],))

    return sleep


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="holds input, output and temp (default: a temporary one)")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--spans", type=Path, help="the file where the node writes down when it slept")
    options = parser.parse_args()
    with Simulator(
        folder=options.folder,
        port=options.port,
        previews=False,
        classes={"BenchmarkSleep": SLEEP},
        operations={"BenchmarkSleep": sleeping(options.spans)},
    ) as comfy:
        print(comfy.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
