"""Authoring on the official workflows: how well drafted maps find what authors chose in App mode.

Usage: authoring.py score
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.authoring_score import lines, score, totals
from support.official import converted, official_workflows

from engine.authoring.draft import Export
from engine.nodes import load_catalogue


def print_scores() -> None:
    """Each workflow with App mode: hits, misses and extras; then precision, recall and F1 of all."""
    nodes = load_catalogue()
    names = [name for name, path in official_workflows().items() if '"linearData"' in path.read_text(encoding="utf-8")]
    scores = []
    for name, outcome in converted(names):
        if isinstance(outcome, Export) and outcome.app_mode is not None:
            for lost in outcome.app_mode.lost:
                print(f"{name}: not in the graph: {lost}")
            found = score(name, outcome.graph, outcome.app_mode, nodes)
            if found is not None:
                scores.append(found)
                print("\n".join(lines(found)))
    print(f"\n{len(scores)} workflows with App mode")
    for word, value in totals(scores).items():
        print(f"{word:16} {value:.3f}")


def main() -> None:
    """Run the share that is named."""
    commands = {"score": print_scores}
    for command in sys.argv[1:] or commands:
        commands[command]()


if __name__ == "__main__":
    main()
