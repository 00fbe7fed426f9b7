"""Workflows of the user's own, picked up without a rebuild: from a folder on the volume, and from a Git repository."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import run_engine
from support.git_host import git_host
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import run_handler, running_worker, worker_environment
from support.workflows import ROOT, write_workflow

SOME = "txt2img,resize,mine,broken"  # the SDK's log cuts a reply that names the whole library
LISTING = '{"input": {"action": "list"}}'
PICTURE = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


def own_map(title):
    bind = {"type": "integer", "minimum": 8, "maximum": 256, "bind": "$['1'].inputs.width"}
    return {"title": title, "parameters": {"width": bind}}


def in_a_repository(title="Mine", name="mine"):
    return {f"templates/{name}.json": json.dumps(PICTURE), f"schemas/{name}.json": json.dumps(own_map(title))}


@pytest.fixture
def host(tmp_path):
    with git_host(tmp_path / "host") as host:
        host.repository(files=in_a_repository())
        yield host


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    (folder / "models").mkdir(parents=True)
    return folder


def environment(volume, **more):
    own = {"VOLUME_PATH": str(volume), "COMFY_SIMULATE": "1", "WORKFLOWS_FETCH_SECONDS": "30"}
    return {name: text for name, text in (worker_environment("") | own | more).items() if text}


def listed(done):
    """What the worker answers to `list`, by name, and what it warns of."""
    assert done.returncode == 0, done.stderr
    (line,) = [each for each in (done.stdout + done.stderr).splitlines() if "Job result:" in each]
    reply = ast.literal_eval(line.partition("Job result:")[2].strip())["output"]
    return {each["name"]: each for each in reply["workflows"]}, reply.get("warnings", [])


def start(volume, **more):
    return run_handler(environment(volume, **more), "--test_input", LISTING)


def test_the_volumes_workflows_are_offered_beside_the_engines_own(volume):
    write_workflow(volume / "workflows", "mine", PICTURE, own_map("Mine"))
    write_workflow(volume / "workflows", "resize", PICTURE, own_map("Mine, too"))
    write_workflow(volume / "workflows", "broken", PICTURE, "{")
    done = start(volume, WORKFLOWS=SOME)
    workflows, _ = listed(done)
    assert workflows["mine"]["status"] == "ready"
    assert workflows["resize"]["title"] == "Mine, too"
    assert workflows["broken"]["status"] == "broken"
    assert workflows["txt2img"]["status"] == "ready"
    assert f"(from {ROOT}, {volume / 'workflows'})" in done.stderr


def test_what_the_operator_names_is_all_that_counts(volume):
    write_workflow(volume / "workflows", "mine", PICTURE, own_map("Mine"))
    alone = listed(start(volume, WORKFLOWS_PATH=str(ROOT), WORKFLOWS="resize,mine"))[0]
    assert alone["mine"]["problems"] == ["WORKFLOWS names it, and there is no such workflow"]
    assert set(listed(start(volume, WORKFLOWS="mine"))[0]) == {"mine"}


def test_engine_settings_says_that_the_volumes_folder_was_found(volume, tmp_path):
    said = run_engine(tmp_path, "settings", VOLUME_PATH=str(volume)).stdout
    assert f"WORKFLOWS_PATH={ROOT}:{volume / 'workflows'}  (found: the engine's own, then those of the volume)" in said


def test_the_models_of_the_volumes_workflows_are_looked_after_as_well(volume, tmp_path):
    models = {"requires": {"models": [{"path": "checkpoints/mine.safetensors", "url": "https://models.invalid/mine"}]}}
    write_workflow(volume / "workflows", "mine", PICTURE, own_map("Mine") | models)
    said = run_engine(tmp_path, "models", "list", "mine", VOLUME_PATH=str(volume)).stdout
    assert "missing  checkpoints/mine.safetensors" in said


def test_what_is_put_there_while_the_worker_runs_is_found_at_the_next_request(volume, tmp_path):
    simulated_home(volume / "ComfyUI")
    log = tmp_path / "log"
    with serve_runpod_queue() as queue:
        variables = environment(volume, **queue.environment())
        with running_worker(variables, log):

            def asked(**document):
                return queue.wait(queue.submit(document), 60)

            assert "mine" not in str(asked(action="list"))
            write_workflow(volume / "workflows", "mine", PICTURE, None)
            assert "there is no schemas/mine.json" in str(asked(action="list"))  # the other half is still to come
            write_workflow(volume / "workflows", "mine", PICTURE, own_map("Mine"))
            made = asked(workflow="mine", payload={"width": 16})["output"]["outputs"]
            assert made[0]["width"] == 16
            map_file = volume / "workflows" / "schemas" / "mine.json"
            write_workflow(volume / "workflows", "mine", PICTURE, own_map("Ours"))
            assert asked(action="describe", workflow="mine")["output"]["title"] == "Ours"
            map_file.unlink()
            (volume / "workflows" / "templates" / "mine.json").unlink()
            assert "unknown_workflow" in asked(workflow="mine", payload={})["error"]


def test_a_repository_among_the_folders(host, volume):
    done = start(volume, WORKFLOWS_PATH=f"{ROOT}:{host.url}/me/flows@main", WORKFLOWS="txt2img,mine")
    workflows, warnings = listed(done)
    assert workflows["mine"]["title"] == "Mine"
    assert "txt2img" in workflows
    assert not warnings
    commit = host.git("rev-parse", "HEAD")
    assert f"(from {ROOT}, {host.url}/me/flows@main ({commit[:10]}))" in done.stderr


def test_a_host_that_is_down_stops_no_start(host, volume):
    path = f"{ROOT}:{host.url}/me/flows"
    host.close()
    done = start(volume, WORKFLOWS_PATH=path, WORKFLOWS="txt2img")
    workflows, warnings = listed(done)
    assert "txt2img" in workflows
    assert "its workflows are missing" in warnings[0]
    assert done.stderr.count("its workflows are missing, since its host does not answer") >= 2  # the screen, the log


def test_the_last_copy_on_the_volume_serves(host, volume):
    path = f"{host.url}/me/flows"
    listed(start(volume, WORKFLOWS_PATH=path))
    host.close()
    workflows, warnings = listed(start(volume, WORKFLOWS_PATH=path))
    assert workflows["mine"]["status"] == "ready"
    assert "the last copy serves" in warnings[0]


def test_a_host_that_hangs_is_waited_for_no_longer_than_said(host, volume):
    host.hangs = True
    more = {"WORKFLOWS_PATH": f"{ROOT}:{host.url}/me/flows", "WORKFLOWS": "txt2img"}
    done = start(volume, WORKFLOWS_FETCH_SECONDS="1", **more)
    assert "did not answer, or not to the end, within 1 s" in listed(done)[1][0]


def test_a_workflow_that_is_named_and_whose_repository_is_missing_says_so(host, volume):
    path = f"{ROOT}:{host.url}/me/flows@nothing"
    workflows, _ = listed(start(volume, WORKFLOWS_PATH=path, WORKFLOWS="resize,mine"))
    assert "it has no branch and no tag nothing" in workflows["mine"]["problems"][0]


def test_a_token_is_in_no_line_and_no_reply(host, volume):
    host.token = "tok-12345678"
    done = start(volume, WORKFLOWS_PATH=f"{host.url}/me/flows", WORKFLOWS_TOKEN="tok-12345678", LOG_LEVEL="debug")
    assert "mine" in listed(done)[0]
    assert "tok-12345678" not in done.stdout + done.stderr


def test_an_address_that_is_none_ends_the_start_with_the_form(volume):
    done = start(volume, WORKFLOWS_PATH="https://me:hush-hush@github.com/me/flows")
    assert done.returncode == 1
    assert "a token goes into WORKFLOWS_TOKEN" in done.stderr
    assert "hush-hush" not in done.stderr


@pytest.fixture
def engine(host, tmp_path, volume):
    """A command with the repository in its WORKFLOWS_PATH."""

    def engine(*arguments, status=0, path=None, **more):
        own = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "VOLUME_PATH": str(tmp_path / "no-volume")}
        path = path or f"{ROOT}:{host.url}/me/flows"
        return run_engine(tmp_path, *arguments, status=status, **own, WORKFLOWS_PATH=path, **more)

    return engine


def test_the_commands_know_a_repositorys_workflows(engine, host, tmp_path):
    assert "mine" in engine("list").stdout
    assert engine("check", "mine").stderr.startswith("1 of 1 workflows are fine")
    host.repository(files=in_a_repository(title="Better"))
    assert "Better" in engine("describe", "mine").stdout
    (path,) = engine("run", "mine", "-p", "width=16").stdout.splitlines()
    assert (tmp_path / path).is_file()
    assert list((tmp_path / "cache" / "comfyui-workflow-engine" / "workflows").iterdir())
    host.close()
    done = engine("list")
    assert "mine" in done.stdout
    assert "warning: " in done.stderr
    assert "the last copy serves" in done.stderr


def test_what_hides_what_is_told_by_the_address(engine, host):
    host.repository(files=in_a_repository(name="resize"))
    path = f"{host.url}/me/flows:{ROOT}"
    assert f"(replaces the one in {host.url}/me/flows (" in engine("list", path=path).stdout


def test_nothing_is_written_into_a_repository(engine, host, tmp_path):
    (tmp_path / "poster.json").write_text(json.dumps(PICTURE))
    (tmp_path / "own").mkdir()
    engine("add", "poster.json", path=f"{tmp_path / 'own'}:{host.url}/me/flows")
    assert (tmp_path / "own" / "schemas" / "poster.json").is_file()
    done = engine("add", "poster.json", path=f"{host.url}/me/flows", status=2)
    assert "WORKFLOWS_PATH names repositories alone, which nothing is written to" in done.stderr
    assert "is of a repository, which nothing is written to" in engine("check", "mine", "--save").stderr
    assert not list((tmp_path / "cache").rglob("rendered"))


def test_an_address_that_is_none_is_told_the_form(engine):
    done = engine("list", path="https://github.com/me/flows/tree/main/comfy", status=1)
    assert "the repository is https://github.com/me/flows@main#comfy" in done.stderr


MANY = 8
NAMES = [f"w{number}" for number in range(MANY)]


def write_many(folder, *, site):
    for number, name in enumerate(NAMES):
        parameter_map = own_map(f"Number {number}")
        if number:
            url = f"{site}/{number}" if site else None
            parameter_map["requires"] = {"models": [{"path": f"checkpoints/{number}.safetensors", "url": url}]}
        write_workflow(folder, name, PICTURE, parameter_map)
    return folder


@pytest.fixture
def many(tmp_path):
    """A folder of more workflows than anybody wants all models of: one is ready."""
    return write_many(tmp_path / "many", site="https://models.invalid")


def test_the_models_of_many_workflows_are_not_fetched_unless_somebody_says_so(many, tmp_path):
    own = {"WORKFLOWS_PATH": str(many), "MODELS_DIR": str(tmp_path / "models")}
    done = run_engine(tmp_path, "models", "fetch", status=2, **own)
    assert "7 models of 8 workflows: 0 there, 7 missing; engine models fetch can get 7" in done.stderr
    assert "name the workflows whose models are wanted, or say --all" in done.stderr
    assert not (tmp_path / "models").exists()
    for wanted in ({"WORKFLOWS": "w0"}, {}):
        done = run_engine(tmp_path, "models", "fetch", *([] if wanted else ["w0"]), **own, **wanted)
        assert "0 of 0 models there" in done.stderr


@pytest.mark.parametrize(("named", "says"), [("", "nothing was fetched"), (",".join(NAMES), "0 of 7 models there")])
def test_an_image_has_the_models_of_many_workflows_where_its_build_names_them(tmp_path, named, says):
    many = write_many(tmp_path / "many", site=None)
    script = (ROOT / "docker" / "fetch-models.sh").read_text()
    script = script.replace("/opt/engine/bin/engine", str(Path(sys.executable).with_name("engine")))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "WORKFLOWS": named}
    command = ["sh", "-c", script, "fetch-models.sh", "baked", str(many), str(tmp_path / "models")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert says in done.stderr, done.stderr
    assert done.returncode == 1  # none of them has an address


def test_a_worker_does_not_fetch_the_models_of_many_workflows_either(many, volume):
    home = simulated_home(volume / "ComfyUI")
    more = {"COMFY_SIMULATE": "", "COMFY_HOME": str(home), "WORKFLOWS_PATH": str(many), "MODELS_FETCH": "start"}
    done = start(volume, **more)
    assert "WORKFLOWS has to name those of the 8 workflows whose models are wanted" in done.stderr


def test_of_many_workflows_the_screen_and_the_list_tell_first_what_is_ready(many, volume, tmp_path):
    home = simulated_home(volume / "ComfyUI")
    variables = {"COMFY_HOME": str(home), "WORKFLOWS_PATH": str(many), "VOLUME_PATH": str(volume)}
    said = start(volume, COMFY_SIMULATE="", **variables).stderr
    assert f"1 of 8 have their models: w0 (from {many})" in said
    assert "what w1, w2, w3 and 4 more need; `engine list` names them" in said
    done = run_engine(tmp_path, "list", **variables)
    assert "w0  Number 0\n" in done.stdout
    assert "w1  NOT READY  Number 1  (1 missing)\n" in done.stdout
    assert len(done.stdout.splitlines()) == MANY
    assert "7 of 8 lack models or node packs; engine describe NAME tells which of one" in done.stderr


def test_an_endpoint_that_chose_no_workflows_is_well_while_one_is_ready(many, volume):
    home = simulated_home(volume / "ComfyUI")
    variables = {"COMFY_SIMULATE": "", "COMFY_HOME": str(home), "WORKFLOWS_PATH": str(many)}
    asked = ("--test_input", '{"input": {"action": "health"}}')
    assert "'status': 'ok'" in run_handler(environment(volume, **variables), *asked).stdout
    assert "'status': 'degraded'" in run_handler(environment(volume, WORKFLOWS="w0,w1", **variables), *asked).stdout
