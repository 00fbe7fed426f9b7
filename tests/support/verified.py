"""Writes docs/verified.md: which tests passed against which real ComfyUI, and which images were built.

`make verify COMFY_URL=…` (or `COMFY_HOME=…`) runs every test that touches ComfyUI and calls this. A section
holds one version of ComfyUI; running the same version again replaces it. `make image-test` writes the last section.
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
`make verify COMFY_HOME=…`, and the images that `make image-test` built. This file is written by those commands.
"""
_IMAGES = "The images"
_SERVERS = {"comfy_url", "library_server"}  # the fixtures that give a ComfyUI, the real one where there is one


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
            if _SERVERS & {*getattr(item, "fixturenames", ())} or item.get_closest_marker("comfyui")
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
        comfyui = stats["system"].get("comfyui_version", "unknown")
        _put_section(self._path, f"ComfyUI {comfyui}", self._section(comfyui, stats))

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


def record_image(path, facts, rows, *, failed):
    """Write down what images were built.

    Args:
        path: the file.
        facts: `base`, `buildah`, `driver` and `comfyui`, as they were.
        rows: `(what, seconds, bytes)` of each image.
        failed: how many tests failed; then there is nothing to write down.
    """
    if failed or not rows:
        return
    lines = [
        f"## {_IMAGES}",
        "",
        "Built and run as [the image](image.md) says. In place of what is pulled on other machines: a base of "
        f"{facts['base']} for the one with CUDA, no PyTorch, ComfyUI {facts['comfyui']} from a folder. buildah "
        f"{facts['buildah']} ({facts['driver']}), engine {version('comfyui-workflow-engine')}, "
        f"{dt.datetime.now(dt.UTC).date().isoformat()}. A later build takes over the steps of an earlier one that its "
        "arguments do not change.",
        "",
        "| built | seconds | size |",
        "|---|---|---|",
        *(f"| {what} | {seconds:.0f} | {size} |" for what, seconds, size in rows),
        "",
    ]
    _put_section(Path(path), _IMAGES, "\n".join(lines))


def _put_section(path, name, section):
    """Put a section in its place; the others stay as they are."""
    sections = _sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    sections[name] = section
    ordered = [sections[each] for each in sorted(sections, key=_by_number)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([_HEAD, *ordered]), encoding="utf-8")


def _sections(text):
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {name: f"## {name}\n\n{body.strip()}\n" for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _by_number(name):
    """Versions of ComfyUI in their order, then what is none."""
    return name == _IMAGES, [int(part) for part in re.findall(r"\d+", name)]
