"""The walk of docs/workflows.md from an export to an endpoint: its commands run in order, and print what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.media import picture
from support.workflows import ROOT

from engine.repositories.fetching import MOST_BYTES, MOST_FILE_BYTES
from engine.workflows_path import entries_of

PAGE = (ROOT / "docs" / "workflows.md").read_text()
WALK = PAGE[PAGE.index("## Your own workflow, from ComfyUI") :]
EXPORT, MAP = re.findall(r"```json\n(.*?)```", WALK, re.DOTALL)


def steps():
    for block in re.findall(r"```console\n(.*?)```", WALK, re.DOTALL):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, _, printed = part.partition("\n")
            yield command, [line for line in printed.splitlines() if line.strip("… ")]


def test_every_step_does_what_it_says(tmp_path, comfy_url):
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "COMFY_URL": comfy_url,
    }
    (tmp_path / "tint.json").write_text(EXPORT)
    (tmp_path / "photo.png").write_bytes(picture((64, 48)))
    done = []
    for command, expected in steps():
        done.append(command)
        if command.startswith("export "):
            name, _, text = command.removeprefix("export ").partition("=")
            environment[name] = text
            continue
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        printed = ran.stdout + ran.stderr
        assert ran.returncode == 0, printed
        if command == "engine add tint.json":
            assert (tmp_path / "flows" / "templates" / "tint.json").read_text() == EXPORT
            (tmp_path / "flows" / "schemas" / "tint.json").write_text(MAP)
        for line in expected:
            pattern = re.escape(line).replace("…", ".*")
            assert re.search(f"^{pattern}$", printed, re.MULTILINE), f"{command}\n{line}\n--- printed:\n{printed}"
    assert len(done) >= 10


def test_the_addresses_of_the_page_are_such():
    rows = re.findall(r"^\| `([^`]*github[^`]*)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        entries_of(row)


@pytest.mark.parametrize(("bytes_", "said"), [(MOST_BYTES, "100 MB"), (MOST_FILE_BYTES, "a file 8 MB")])
def test_the_bounds_of_the_page_are_those_that_hold(bytes_, said):
    assert said in PAGE
    assert said.split()[-2] == str(bytes_ // 10**6)
