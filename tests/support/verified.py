"""Writes docs/verified.md: which tests passed against which real ComfyUI.

`make verify COMFY_URL=…` (or `COMFY_HOME=…`) runs every test that touches ComfyUI and calls this. A section
holds one version of ComfyUI; running the same version again replaces it.
"""

import datetime as dt
import re
from importlib.metadata import version
from pathlib import Path

import pytest

STATS = pytest.StashKey[dict]()
"""What /system_stats said, left here by the fixture `comfy_url`."""

_HEAD = """\
# Verified against real ComfyUI

Every test that touches ComfyUI, run against the versions below by `make verify COMFY_URL=…` or
`make verify COMFY_HOME=…`. This file is written by that command.
"""


class VerifiedReport:
    """A pytest plugin: keeps the tests that touch ComfyUI, and writes down how they went."""

    def __init__(self, config, path):
        self._config = config
        self._path = Path(path)
        self._outcomes = {}

    def pytest_collection_modifyitems(self, config, items):
        touching = [
            item
            for item in items
            if "comfy_url" in getattr(item, "fixturenames", ()) or item.get_closest_marker("comfyui")
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in touching])
        items[:] = touching

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            reason = ""
            if report.skipped and isinstance(report.longrepr, tuple):
                reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            if self._outcomes.get(report.nodeid, ("passed",))[0] == "passed":
                self._outcomes[report.nodeid] = (report.outcome, reason)

    def pytest_sessionfinish(self):
        stats = self._config.stash.get(STATS, None)
        if stats is None:
            return  # no test got as far as ComfyUI, so there is nothing to say
        sections = _sections(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        comfyui = stats["system"].get("comfyui_version", "unknown")
        sections[comfyui] = self._section(comfyui, stats)
        ordered = [sections[name] for name in sorted(sections, key=_by_number)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join([_HEAD, *ordered]), encoding="utf-8")

    def _section(self, comfyui, stats):
        outcomes = [outcome for outcome, _ in self._outcomes.values()]
        counts = ", ".join(
            f"{outcomes.count(name)} {name}" for name in ("passed", "failed", "skipped") if name in outcomes
        )
        python = stats["system"].get("python_version", "unknown").split()[0]
        devices = ", ".join(sorted({device["type"] for device in stats.get("devices", [])}))
        rows = [f"| {_name(nodeid)} | {_told(*told)} |" for nodeid, told in sorted(self._outcomes.items())]
        return "\n".join(
            [
                f"## ComfyUI {comfyui}",
                "",
                f"{counts}. Python {python}, PyTorch {stats['system'].get('pytorch_version', 'unknown')} on "
                f"{devices or 'unknown'}, engine {version('comfyui-workflow-engine')}, "
                f"{dt.datetime.now(dt.UTC).date().isoformat()}.",
                "",
                "| test | outcome |",
                "|---|---|",
                *rows,
                "",
            ]
        )


def _name(nodeid):
    return nodeid.removeprefix("tests/").replace("|", r"\|")


def _told(outcome, reason):
    return outcome + (f": {reason}" if reason else "")


def _sections(text):
    parts = re.split(r"^## ComfyUI (.+)$", text, flags=re.MULTILINE)
    return {name: f"## ComfyUI {name}\n\n{body.strip()}\n" for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _by_number(name):
    return [int(part) for part in re.findall(r"\d+", name)]
