"""Write the rendered graph of every example to tests/rendered/, where review sees what changed (`make rendered`)."""

import json
from pathlib import Path

from engine import Catalog

ROOT = Path(__file__).resolve().parent.parent.parent

if __name__ == "__main__":
    folder = ROOT / "tests" / "rendered"
    folder.mkdir(exist_ok=True)
    for name, workflow in Catalog([ROOT]).items():
        for index, example in enumerate(workflow.examples):
            graph = workflow.render(workflow.validate(example.payload), job_id="rendered")
            (folder / f"{name}-{index}.json").write_text(json.dumps(graph, indent=2) + "\n")
