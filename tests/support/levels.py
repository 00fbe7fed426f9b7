"""Writes docs/levels.json: how far each workflow of the library got on which real ComfyUI.

A test that takes a workflow to a level says so with `record_property("level", [version, workflow, level,
fingerprint])`, the version that of the real ComfyUI that it runs on. What is written are the levels that were reached;
a run of a part of the tests leaves what it did not try. `docs/library.py` reads the file.
"""

import json
from pathlib import Path


class LevelsReport:
    """A pytest plugin: keeps which workflow reached which level, and writes it down."""

    def __init__(self, path):
        self._path = Path(path)
        self._tried = {}

    def pytest_runtest_logreport(self, report):
        for name, value in report.user_properties:
            if name == "level" and (report.when == "call" or report.failed):
                version, workflow, level, digest = value
                reached = self._tried.setdefault(version, {}).setdefault(workflow, {})
                reached[level] = digest if report.passed else None

    def pytest_sessionfinish(self):
        if not self._tried:
            return
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else "{}"
        document = json.loads(text)
        for version, tried in self._tried.items():
            document[version] = updated(document.get(version, {}), tried)
        self._path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def updated(before, tried):
    """The levels of one version of ComfyUI after a run.

    None is reached without those below it: one example that runs makes up for no variant that is refused.

    Args:
        before: workflow to `{"level", "fingerprint"}`.
        tried: workflow to level to the fingerprint of its files; None where it did not get there.
    """
    after = dict(before)
    for workflow, levels in tried.items():
        old = before.get(workflow, {})
        accepted = levels.get("accepted", old.get("fingerprint"))
        ran = levels.get("ran", old.get("fingerprint") if old.get("level") == "ran" else None)
        if accepted and ran == accepted:
            after[workflow] = {"level": "ran", "fingerprint": accepted}
        elif levels.get("accepted"):
            after[workflow] = {"level": "accepted", "fingerprint": accepted}
        elif None in levels.values():
            after.pop(workflow, None)
    return after
