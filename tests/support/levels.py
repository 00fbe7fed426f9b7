"""Writes docs/levels.json: how far each workflow of the library got on which real ComfyUI.

A test that takes a workflow to a level says so with `record_property("level", [workflow, level, fingerprint])`. What is
written are the levels that were reached; a run of a part of the tests leaves what it did not try. `docs/library.py`
reads the file.
"""

import json
from pathlib import Path

from support.verified import STATS

from engine.authoring.levels import LEVELS


class LevelsReport:
    """A pytest plugin: keeps which workflow reached which level, and writes it down."""

    def __init__(self, config, path):
        self._config = config
        self._path = Path(path)
        self._tried = {}

    def pytest_runtest_logreport(self, report):
        for name, value in report.user_properties:
            if name == "level" and (report.when == "call" or report.failed):
                workflow, level, digest = value
                self._tried.setdefault(workflow, {})[level] = digest if report.passed else None

    def pytest_sessionfinish(self):
        stats = self._config.stash.get(STATS, None)
        if stats is None or not self._tried:
            return
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else "{}"
        document = json.loads(text)
        version = stats["system"].get("comfyui_version", "unknown")
        document[version] = updated(document.get(version, {}), self._tried)
        self._path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def updated(before, tried):
    """The levels of one version of ComfyUI after a run.

    Args:
        before: workflow to `{"level", "fingerprint"}`.
        tried: workflow to level to the fingerprint of its files; None where it did not get there.
    """
    after = dict(before)
    for workflow, levels in tried.items():
        reached = [(level, levels[level]) for level in LEVELS if levels.get(level)]
        old = before.get(workflow)
        if reached:
            level, digest = reached[0]
            higher = old and LEVELS.index(old["level"]) < LEVELS.index(level)
            if not (higher and old["fingerprint"] == digest and old["level"] not in levels):
                after[workflow] = {"level": level, "fingerprint": digest}
        else:
            after.pop(workflow, None)
    return after
