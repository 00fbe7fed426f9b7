"""The documentation is true: its commands run and print what it says, its examples work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.workflows import ROOT

PAGES_OF_SETTINGS = ("delivery", "failures", "inputs", "logging", "operations", "running", "server", "whole-graphs")
# RunPod's own, words that names of secrets hold, a storage class, and a name in an example.
NO_SETTINGS = {
    *("RUNPOD_INIT_TIMEOUT", "RUNPOD_DEBUG_LEVEL", "API_KEY", "PRIVATE_KEY", "STANDARD_IA", "JOB_RANDOM_NAME"),
    # What RunPod sets, and what chooses the mode before there are settings.
    *("RUNPOD_ENDPOINT_ID", "RUNPOD_POD_ID", "RUNPOD_VOLUME_ID", "RUNPOD_WEBHOOK_GET_JOB"),
    *("RUNPOD_SERVERLESS", "SERVE_API_LOCALLY"),
    *("IN_QUEUE", "IN_PROGRESS", "TIMED_OUT"),  # states of a job
}

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder as a user has it."""
    folder = tmp_path_factory.mktemp("clone")
    for part in ("templates", "schemas"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def code_after(words):
    return re.search(r"```json\n(.*?)```", README[README.index(words) :], re.DOTALL)[1]


def console_commands():
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, _, printed = part.partition("\n")
            yield command, [line for line in printed.splitlines() if line]


def test_every_command_of_the_readme_prints_what_it_says(copy):
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "WORKFLOWS_PATH": str(copy)}
    commands = list(console_commands())
    assert len(commands) >= 6
    for command, expected in commands:
        done = subprocess.run(
            command, shell=True, cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        if command == "engine add poster.json":
            (copy / "schemas" / "poster.json").write_text(code_after("`schemas/poster.json`"))  # as its author goes on
        assert done.returncode == ("invalid_payload:" in expected), printed
        for line in expected:
            pattern = re.escape(line).replace("…", ".*")
            assert re.search(f"^{pattern}$", printed, re.MULTILINE), f"{command}\n{line}\n--- printed:\n{printed}"


@pytest.mark.parametrize("page", ["python-api.md", "simulator.md"])
def test_the_python_of_the_docs_runs(page, copy):
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL):
        if "def test_" in block:
            test = copy / "test_of_the_docs.py"
            test.write_text(block)
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
                cwd=copy,
                capture_output=True,
                text=True,
                check=False,
            )
        else:
            done = subprocess.run([sys.executable, "-c", block], cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_links_of_the_docs_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_filter_and_test_of_expressions_is_documented():
    from engine.expression_filters import FILTERS

    text = (ROOT / "docs" / "workflows.md").read_text()
    assert not [name for name in FILTERS if not re.search(rf"\b{name}\b", text)]


def test_every_key_of_a_map_is_documented():
    from engine.map_file import json_schema

    text = (ROOT / "docs" / "workflows.md").read_text()
    assert not [key for key in json_schema()["properties"] if f"{key}" not in text]


def test_every_wish_of_a_delivery_and_every_field_of_a_name_is_documented():
    from engine.name_templates import FIELDS
    from engine.storage import DeliveryRequest

    text = (ROOT / "docs" / "delivery.md").read_text()
    assert not [key for key in DeliveryRequest.model_fields if f"| `{key}` |" not in text]
    assert not [name for name in FIELDS if f"`{{{name}}}`" not in text]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{name}.md" for name in PAGES_OF_SETTINGS)])
def test_the_settings_that_a_page_names_exist(page):
    from engine.settings import variables

    names = {name for variable in variables() for name in variable.names}
    text = (ROOT / page).read_text()
    assert not set(re.findall(r"`((?:[A-Z0-9]+_)+[A-Z0-9]+)(?:=[^`]*)?`", text)) - names - NO_SETTINGS


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_the_links_to_a_part_of_a_page_lead_there(page):
    for target, part in re.findall(r"\]\(([^)#]*)#([^)]+)\)", (ROOT / page).read_text()):
        if not target.startswith("http"):
            there = ((ROOT / page).parent / target if target else ROOT / page).read_text()
            titles = re.findall(r"^#+ (.+)$", there, re.MULTILINE)
            assert part in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}, target
