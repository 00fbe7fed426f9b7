"""How a run of the tests writes down the levels that it saw."""

import json
import os
import subprocess
import sys

import pytest
from support.levels import LevelsReport
from support.simulated_home import simulated_home
from support.workflows import ROOT


def report(when="call", outcome="passed", properties=(("level", ["0.8.0", "a", "accepted", "new"]),)):
    return pytest.TestReport("test", ("test", 1, "test"), {}, outcome, None, when, user_properties=list(properties))


def written(path, *reports):
    """What is in the file after a run with these reports; None where there is none."""
    plugin = LevelsReport(path)
    for each in reports:
        plugin.pytest_runtest_logreport(each)
    plugin.pytest_sessionfinish()
    return json.loads(path.read_text()) if path.exists() else None


def test_a_level_that_a_test_has_passed_is_written_down_for_the_version_it_ran_on(tmp_path):
    older = ("level", ["0.3.64", "a", "accepted", "new"])
    found = written(tmp_path / "levels.json", report(), report(properties=[older]))
    assert found == {version: {"a": {"level": "accepted", "fingerprint": "new"}} for version in ("0.3.64", "0.8.0")}


@pytest.mark.parametrize(
    "reports",
    [
        [report(outcome="failed")],
        [report(outcome="skipped")],
        [report("setup", "failed")],
        [report(), report("teardown", "failed")],
        [report("setup"), report("teardown")],  # the test itself was never called
        [report(properties=())],
    ],
)
def test_a_test_that_has_not_passed_takes_to_no_level(tmp_path, reports):
    assert written(tmp_path / "levels.json", *reports) in (None, {"0.8.0": {}})


def test_a_test_that_fails_takes_the_level_back_and_one_that_is_skipped_does_not(tmp_path):
    path = tmp_path / "levels.json"
    known = written(path, report())
    assert written(path, report("setup", "skipped", properties=())) == known
    assert written(path, report(outcome="failed")) == {"0.8.0": {}}


def test_the_simulator_takes_nothing_to_a_level_though_it_passes_for_a_comfyui(tmp_path):
    checkpoint = tmp_path / "home" / "models" / "checkpoints" / "random_sd15.safetensors"
    for folder in (checkpoint.parent, tmp_path / "home" / "custom_nodes"):
        folder.mkdir(parents=True)
    checkpoint.touch()
    home = simulated_home(tmp_path / "home", models=[tmp_path / "home" / "models"])
    levels = tmp_path / "levels.json"
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--levels={levels}", "tests/test_library.py")
    ran = subprocess.run(
        [sys.executable, *command, "-k", "accepts_every_variant and resize"],
        cwd=ROOT,
        env={**os.environ, "COMFY_HOME": str(home), "COMFY_PYTHON": sys.executable, "COMFY_ARGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in ran.stdout
    assert not levels.exists()
