"""Writes docs/reliability.md: which fault ended how, and how soon.

`make reliability` runs the fault suite and calls this. A section holds one place where faults are injected, the
simulator or one version of ComfyUI; running a case there again replaces its line.
"""

import re
from pathlib import Path

CASE = "fault-case"

_HEAD = """\
# Reliability

What becomes of a job when something goes wrong: each line is a test that injects the fault, and then runs another job
that has to give the right picture. The seconds are those of the job that met the fault, from its start to its end, with
ComfyUI running. This file is written by `make reliability`.
"""
_TABLE = "| fault | the job's end | seconds | the next job |\n|---|---|---|---|"


def record(request, name, where, end, seconds):
    """Note how a case went; for the tests."""
    request.node.user_properties.append((CASE, (name, where, end, seconds)))


class ReliabilityReport:
    """A pytest plugin: gathers what the cases noted, and writes it down."""

    def __init__(self, path):
        self._path = Path(path)
        self._rows = {}

    def pytest_runtest_logreport(self, report):
        if report.when != "call":
            return
        for key, noted in report.user_properties:
            if key == CASE:
                name, where, end, seconds = noted
                works = "works" if report.passed else "FAILED"
                self._rows.setdefault(where, {})[name] = f"| {name} | {_told(end)} | {seconds:.1f} | {works} |"

    def pytest_sessionfinish(self):
        sections = rows_of(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        for where, rows in self._rows.items():
            sections.setdefault(where, {}).update(rows)
        ordered = sorted(sections, key=lambda where: (where != "Simulator", where))
        tables = ["\n".join([f"## {where}", "", _TABLE, *sections[where].values(), ""]) for where in ordered]
        self._path.write_text("\n".join([_HEAD, *tables]), encoding="utf-8")


def rows_of(text):
    """What a table says: place to fault to line."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        where: {line.split(" | ")[0].removeprefix("| "): line for line in body.strip().splitlines()[2:]}
        for where, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def _told(end):
    return end if end == "done" else f"`{end}`"
