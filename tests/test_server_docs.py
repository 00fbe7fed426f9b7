"""docs/server.md and the README's part about it are true: the commands and calls run, the tables name what there is."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from support.pages import blocks_of, tables_of
from support.workflows import ROOT

from engine.local_queue import JobState
from engine.server.platform_routes import LEAST_WAIT_MS, MOST_WAIT_MS, WAIT_MS
from engine.server.problems import statuses

PAGE = (ROOT / "docs" / "server.md").read_text()
BLOCKS = blocks_of(PAGE)
HERE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def server(playground):
    return playground(step_seconds=0)


def run(command, server, folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CALLS = [each.text for each in BLOCKS if each.language == "sh" and "curl" in each.text]


@pytest.mark.parametrize("text", CALLS)
def test_the_calls_of_the_page_are_answered(server, tmp_path, text):
    for line in text.strip().splitlines():
        assert line.count("curl ") == 1
    printed = run(["sh", "-ec", text.replace(HERE, server.url).replace("curl -s", "curl -sS --fail")], server, tmp_path)
    assert '"outputs"' in printed
    assert '"status":"FAILED"' not in printed  # one may be cancelled: it was, if it had not ended yet


def test_the_platforms_client_runs_as_the_page_shows(server, tmp_path):
    (text,) = [each.text for each in BLOCKS if each.language == "python"]
    assert "resize" in run([sys.executable, "-c", text.replace(HERE, server.url)], server, tmp_path)


def test_the_first_lines_are_those_that_it_prints(playground):
    (text,) = [each.text for each in BLOCKS if each.language == "console"]
    printed = playground(step_seconds=0, COMFY_URL="").log  # no ComfyUI
    lines = text.splitlines()[1:]
    for line, there in zip(lines, printed.splitlines(), strict=False):
        assert re.fullmatch(
            re.escape(line.replace(HERE, "URL")).replace("…", ".*").replace("outputs", ".*"),
            re.sub(r"http://[\d.:]+", "URL", there),
        )


def test_the_make_of_the_readme_serves():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^serve: setup\n\t\$\(BIN\)/engine serve$", makefile, re.MULTILINE)
    assert "make serve     #" in (ROOT / "README.md").read_text()
    assert (
        "make serve" in re.search(r"^run: setup\n(?:\t.*\n)+", makefile, re.MULTILINE)[0].splitlines()[-1]
    )  # the next step


def test_states_waits_and_statuses_are_those_of_the_code():
    assert all(f"`{state}`" in PAGE for state in JobState)
    assert f"{WAIT_MS} ms, or what `wait` says, from {LEAST_WAIT_MS} to {MOST_WAIT_MS}" in PAGE
    told = {int(each) for row in tables_of(PAGE)["Who may call"] for each in re.findall(r"\b[45]\d\d\b", row[0])}
    assert told == set(statuses().values())


def test_every_route_of_the_page_is_in_the_document(server):
    document = requests.get(f"{server.url}/openapi.json", timeout=30).json()
    text = json.dumps(document["paths"])
    for path in (
        "/run",
        "/runsync",
        "/stream/{",
        "/cancel/{",
        "/purge-queue",
        "/health",
        "/workflows/resize/render",
        "/jobs/{",
    ):
        assert path in text
