"""docs/running.md, docs/image.md and the README agree with the code and the Dockerfile."""

import re
import shlex

import pytest
from support.dockerfiles import Dockerfile
from support.pages import tables_of
from support.worker import run_handler, worker_environment
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import Bounds
from engine.comfyui.previews import LONGEST_SIDE, MOST_BYTES
from engine.fitness import checks
from engine.settings import load_settings, variables

RUNNING, IMAGE, MIGRATE, DEPLOY = (
    (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("running", "image", "migrate", "deploy")
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAIN = Dockerfile(ROOT / "Dockerfile")
DEFAULTS = {variable.names[0]: variable.default for variable in variables()}


@pytest.mark.parametrize(
    ("page", "said", "variable"),
    [
        (RUNNING, "The default of `DRAIN_SECONDS`, {},", "DRAIN_SECONDS"),
        (MIGRATE, "`TIMEOUT_SECONDS` ({})", "TIMEOUT_SECONDS"),
        (MIGRATE, "`STALL_SECONDS` ({})", "STALL_SECONDS"),
    ],
)
def test_a_default_that_a_page_tells_is_the_settings(page, said, variable):
    assert said.format(f"{float(DEFAULTS[variable]):g}") in page


def test_the_previews_are_as_large_as_the_page_says():
    assert f"{LONGEST_SIDE} pixels a side and {MOST_BYTES // 1000} kB" in RUNNING


def test_a_job_bears_as_long_a_silence_as_the_page_says():
    assert f"A job bears {Bounds().patience:g} s without it" in RUNNING


def test_the_fitness_checks_of_the_page_are_those_that_there_are(monkeypatch):
    names = [check.__name__ for check in checks(load_settings(), Catalog([ROOT]), lambda: None)]
    assert re.findall(r"^   \| `(\w+)` \| ", RUNNING, re.MULTILINE) == names
    monkeypatch.setenv("COMFY_START", "first_job")
    left = [check.__name__ for check in checks(load_settings(), Catalog([ROOT]), lambda: None)]
    assert names[:-2] == left  # "The last two are left out"


def test_the_variables_that_the_page_says_are_set_are_those_of_the_dockerfile():
    set_there = {}
    for stage, words in MAIN.steps("ENV"):
        if stage.name.startswith("final"):
            set_there |= dict(pair.split("=", 1) for pair in shlex.split(words))
    rows = [row for row in tables_of(IMAGE)["What is in it"] if len(row) == 3]
    told = {row[0].strip("`"): row[1].strip("`") for row in rows if row[0].startswith("`")}
    assert told == set_there


def test_the_places_that_the_page_names_are_those_of_the_dockerfile():
    steps = [step for stage in MAIN.made_of("final-volume") for step in stage.steps]
    copied = {words.split()[-1] for instruction, words in steps if instruction == "COPY"}
    linked = " ".join(words for instruction, words in steps if instruction == "RUN")
    rows = [row[0].strip("`") for row in tables_of(IMAGE)["What is in it"] if row[0].startswith("`/")]
    assert len(rows) == 6
    bundled = MAIN.text.partition("engine bundle ")[2].split()[0]
    assert set(rows) <= {*copied, *linked.split(), bundled}


def test_the_builds_of_the_readme_and_of_the_image_page_take_arguments_that_exist():
    for page in (README, IMAGE):
        named = re.findall(r"--build-arg (\w+)", page)
        assert named
        assert set(named) <= MAIN.arguments.keys()
        assert set(re.findall(r"--secret id=(\w+)", page)) <= set(re.findall(r"type=secret,id=(\w+)", MAIN.text))


def test_the_variables_of_bake_are_those_of_its_file():
    file = (ROOT / "docker-bake.hcl").read_text()
    for name in re.findall(r"([A-Z_]+)=\S+", re.search(r"`(.*) docker buildx bake --push`", IMAGE)[1]):
        assert f'variable "{name}"' in file


def test_the_readmes_first_job_of_a_worker_runs():
    (command,) = re.findall(r"^COMFY_SIMULATE=1 python handler\.py --test_input (.*)$", README, re.MULTILINE)
    file = re.fullmatch(r'"\$\(cat (\S+)\)"', command)[1]
    done = run_handler(worker_environment("", COMFY_SIMULATE="1"), "--test_input", (ROOT / file).read_text())
    assert done.returncode == 0, done.stderr
    assert "completed successfully" in done.stdout
    assert re.search(r"^engine serve +#", README, re.MULTILINE)  # which tests/test_server_docs.py starts


def test_a_token_is_as_long_as_the_page_asks_for():
    length = int(re.search(r"`API_TOKEN` of at least (\d+) characters", DEPLOY)[1])
    assert load_settings({}).api_token is None
    refused = run_handler(worker_environment("", COMFY_SIMULATE="1", API_TOKEN="x" * (length - 1)), "serve")
    assert refused.returncode == 1
    assert f"must be at least {length} " in refused.stderr
