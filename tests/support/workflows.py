"""Workflow folders for tests."""

import json
from pathlib import Path

from engine import Catalog

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"


def sampler_graph():
    """A small text-to-image graph, made anew for every caller."""
    return json.loads((ROOT / "templates" / "txt2img.json").read_text())


def write_workflow(folder, name, graph, parameter_map):
    """Write the two files of a workflow; texts are written as they are, None is left out."""
    for part, document in (("templates", graph), ("schemas", parameter_map)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        if document is not None:
            text = document if isinstance(document, str) else json.dumps(document)
            (folder / part / f"{name}.json").write_text(text)
    return folder


def make_workflow(folder, parameter_map, graph=None, name="made"):
    """A loaded workflow."""
    return Catalog([write_workflow(folder, name, graph or sampler_graph(), parameter_map)])[name]
