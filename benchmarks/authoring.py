"""What reading and drafting make of the official workflows: `python benchmarks/authoring.py [convert|draft|score]`.

Without a word it prints the scores. Each sub-command is a function of its own name in a module of tests/support.
"""

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

COMMANDS = {
    "convert": ("support.official_loading", "how many convert, and load as a workflow"),
    "draft": ("support.official_drafts", "whether every drafted map loads and gives its template back"),
    "score": ("support.authoring_score", "how well drafted maps find what authors chose in App mode"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    below = parser.add_subparsers(dest="command")
    for name, (_, says) in COMMANDS.items():
        below.add_parser(name, help=says).add_argument("names", nargs="*", help="of the workflows; all by default")
    chosen = parser.parse_args(sys.argv[1:] or ["score"])
    module = importlib.import_module(COMMANDS[chosen.command][0])
    sys.exit(getattr(module, chosen.command)(chosen.names or None))


if __name__ == "__main__":
    main()
