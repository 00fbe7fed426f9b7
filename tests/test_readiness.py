"""Ready or not: what a workflow lacks on a worker, as its callers and its operator are told, and as it changes."""

import json

import pytest
from support.command import run_engine
from support.operator_workflows import CONTROL_NET, everything_graph, everything_map
from support.runners import asked, refused, runner_on
from support.simulated_home import simulated_home
from support.workflows import ROOT, sampler_graph, write_workflow

from engine import Catalog
from engine.comfyui import ComfyProcess, ComfyUI, Supervisor
from engine.nodes import NodeCatalogue, load_catalogue
from engine.simulator import Simulator, choices_from

DEFAULT = "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"
STYLE = "style_models/style.safetensors"
URL = "https://example.com/style.safetensors"
RUN = {"workflow": "poster", "payload": {}}


def needing(folder, *paths, url=None, name="poster", graph=None, **more):
    """A workflow folder: the graph of txt2img, and a map that requires those models."""
    models = [{"path": path, "url": url, "source": "unverified"} for path in paths]
    document = {"parameters": {}, **more, "requires": {"models": models}}
    return write_workflow(folder / "workflows", name, graph or sampler_graph(), document)


def placed(models, path):
    file = models / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return file


def line_of(runner, name="poster"):
    (line,) = [each for each in asked(runner, {"action": "list"})["workflows"] if each["name"] == name]
    return line


def missing(runner):
    return [each["name"] for each in line_of(runner).get("missing", ())]


@pytest.fixture
def models(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def elsewhere(tmp_path, models):
    """Makes a runner on a ComfyUI at a URL, the simulator, that lists what lies in `models`."""
    with Simulator(models=[models]) as simulator, ComfyUI(simulator.url) as comfy:
        yield lambda *folders: runner_on(comfy, tmp_path, Catalog(folders), comfy_url=simulator.url)


@pytest.fixture
def at_home(tmp_path, models):
    """Makes a runner on a ComfyUI of our own, which looks in `models`; it is not started yet."""
    home = simulated_home(tmp_path / "home", templates=None, models=[models])
    process = ComfyProcess(home, log_file=tmp_path / "comfyui.log")
    with ComfyUI(process.url, watch=Supervisor(process)) as comfy:
        yield lambda *folders: runner_on(comfy, tmp_path, Catalog(folders), comfy_home=home, models_dir=models)


@pytest.fixture(params=["elsewhere", "at home, not started", "at home, started"])
def worker(request, tmp_path, elsewhere, at_home):
    """Makes a runner, one way or another."""

    def make(*folders):
        if request.param == "elsewhere":
            return elsewhere(*folders)
        runner = at_home(*folders)
        if request.param.endswith(", started"):
            runner.nodes(None)
        return runner

    return make


def test_models_appear_and_vanish_under_a_running_worker(worker, models, tmp_path, wait_until):
    runner = worker(needing(tmp_path, DEFAULT, STYLE, url=URL))
    placed(models, DEFAULT)
    file = models / STYLE
    wait_until(lambda: missing(runner) == [STYLE])
    (lacking,) = line_of(runner)["missing"]
    assert lacking == {
        "kind": "model",
        "name": STYLE,
        "remedy": "engine models fetch poster gets it from example.com",
    }
    described = asked(runner, {"action": "describe", "workflow": "poster"})
    assert (described["status"], described["missing"]) == ("not_ready", [lacking])
    failure = refused(runner, RUN)
    assert (failure["code"], failure["retryable"]) == ("workflow_not_ready", False)
    assert failure["message"] == f"poster is not ready on this worker: the model {STYLE} is missing"
    assert failure["hint"] == "the operator: engine models fetch poster gets it from example.com"
    health = asked(runner, {"action": "health"})
    assert health["status"] == ("degraded" if runner.started else "starting")
    assert health["workflows"] == {
        "ready": 0,
        "not_ready": 1,
        "broken": 0,
        "problems": [],
        "missing": [{"kind": "model", "name": STYLE, "workflows": ["poster"]}],
    }

    placed(models, STYLE)
    assert asked(runner, RUN)["outputs"]  # at once
    assert missing(runner) == []
    assert asked(runner, {"action": "health"})["workflows"]["not_ready"] == 0

    file.unlink()
    wait_until(lambda: missing(runner) == [STYLE])
    assert refused(runner, RUN)["code"] == "workflow_not_ready"


def test_a_job_that_is_refused_starts_no_comfyui_and_fetches_nothing(at_home, tmp_path):
    picture = {"parameters": {"image": {"type": "image", "bind": "$['10'].inputs.image"}}}
    graph = sampler_graph() | {"10": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    graph["3"]["inputs"]["latent_image"] = ["11", 0]
    graph["11"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["10", 0], "vae": ["4", 2]}}
    runner = at_home(needing(tmp_path, STYLE, graph=graph, **picture))
    # No such server, which a caller would be told if it was asked.
    failure = refused(runner, {"workflow": "poster", "payload": {"image": "https://127.0.0.1:1/a.png"}})
    assert failure["code"] == "workflow_not_ready"
    assert not runner.started


def test_who_names_another_model_than_the_missing_default_is_served(worker, models, tmp_path):
    placed(models, "checkpoints/other.safetensors")
    checkpoint = {"checkpoint": {"type": "string", "bind": "$['4'].inputs.ckpt_name"}}
    runner = worker(needing(tmp_path, DEFAULT, parameters=checkpoint))
    line = line_of(runner)
    assert line["status"] == "ready"
    assert [(each["name"], each["default_of"]) for each in line["missing_for_some"]] == [(DEFAULT, ["checkpoint"])]
    assert asked(runner, {"action": "health"})["workflows"]["ready"] == 1
    assert asked(runner, {**RUN, "payload": {"checkpoint": "other.safetensors"}})["outputs"]
    for payload in ({}, {"checkpoint": DEFAULT.partition("/")[2]}):
        failure = refused(runner, {**RUN, "payload": payload})
        assert failure["code"] == "workflow_not_ready"
        assert failure["problems"] == [{"parameter": "checkpoint", "message": f"{DEFAULT} is missing"}]
        assert failure["hint"].startswith("send another checkpoint; or the operator: put it into models/checkpoints: ")


def test_what_a_switch_leaves_out_is_missing_for_those_alone_who_switch_it_on(at_home, models, tmp_path):
    path = f"controlnet/{CONTROL_NET}"
    placed(models, DEFAULT)
    runner = at_home(needing(tmp_path, path, **everything_map(), graph=everything_graph()))
    assert [each["name"] for each in line_of(runner)["missing_for_some"]] == [path]
    picture = "data:image/png;base64,AAAA"  # never looked at
    failure = refused(runner, {**RUN, "payload": {"prompt": "x", "control_image": picture}})
    assert failure["message"].endswith(f"the model {path} is missing")
    assert asked(runner, {**RUN, "payload": {"prompt": "x", "width": 64, "height": 64}})["outputs"]


def test_who_replaces_a_missing_model_is_served_though_another_kind_has_its_name(at_home, models, tmp_path):
    graph = sampler_graph()
    graph["30"] = {"class_type": "VAELoader", "inputs": {"vae_name": "model.safetensors"}}
    graph["31"] = {"class_type": "CLIPLoader", "inputs": {"clip_name": "model.safetensors", "type": "sd3"}}
    graph["8"]["inputs"]["vae"] = ["30", 0]
    graph["6"]["inputs"]["clip"] = ["31", 0]
    paths = ("vae/model.safetensors", "clip/model.safetensors")
    vae = {"vae": {"type": "string", "bind": "$['30'].inputs.vae_name"}}
    runner = at_home(needing(tmp_path, *paths, DEFAULT, graph=graph, parameters=vae))
    for path in (DEFAULT, "vae/other.safetensors", "text_encoders/model.safetensors"):
        placed(models, path)
    assert asked(runner, {**RUN, "payload": {"vae": "other.safetensors"}})["outputs"]
    failure = refused(runner, RUN)
    assert failure["message"].endswith(f"the model {paths[0]} is missing")


def test_a_wrong_payload_is_told_first(worker, tmp_path):
    assert refused(worker(needing(tmp_path, STYLE)), {**RUN, "payload": {"x": 1}})["code"] == "invalid_payload"


def test_a_class_that_comfyui_lacks(tmp_path):
    graph = sampler_graph()
    graph["20"] = {"class_type": "Sharpened <lot>", "inputs": {"image": ["8", 0]}}
    graph["9"]["inputs"]["images"] = ["20", 0]
    catalogue = load_catalogue()
    folder = needing(tmp_path, graph=graph)
    more = {**catalogue.object_info, "Sharpened <lot>": catalogue.object_info["ImageInvert"]}
    templates = [graph, sampler_graph()]
    choices = choices_from(templates, catalogue)
    with Simulator(catalogue, choices=choices) as simulator, ComfyUI(simulator.url) as comfy:
        runner = runner_on(comfy, tmp_path, Catalog([folder]), comfy_url=simulator.url)
        assert asked(runner, {"action": "list"})["workflows"][0]["status"] == "ready"  # nothing is known yet
        failure = refused(runner, RUN)
        assert failure["message"] == "poster is not ready on this worker: the node class Sharpened <lot> is missing"
        assert "install the node pack that has Sharpened <lot>, and restart ComfyUI" in failure["hint"]
        assert missing(runner) == ["Sharpened <lot>"]
        assert asked(runner, {"action": "health"})["workflows"]["missing"][0]["kind"] == "class"
        port = int(simulator.url.rpartition(":")[2])
        simulator.stop()
        with Simulator(NodeCatalogue(more, version="0.8.0"), port=port, choices=choices):  # restarted, with the pack
            assert asked(runner, RUN)["outputs"]
            assert missing(runner) == []
        with Simulator(catalogue, port=port, choices=choices):  # and again, without
            assert refused(runner, RUN)["code"] == "workflow_not_ready"
            assert missing(runner) == ["Sharpened <lot>"]


def test_nothing_is_claimed_of_what_is_not_known(tmp_path, unused_port, wait_until):
    folder = needing(tmp_path, STYLE)
    home = simulated_home(tmp_path / "home")
    with ComfyUI(f"http://127.0.0.1:{unused_port}") as nobody:
        simulated = runner_on(nobody, tmp_path, Catalog([folder]))
        assert line_of(simulated)["status"] == "ready"
        silent = runner_on(nobody, tmp_path, Catalog([folder]), comfy_url=nobody.client.url)
        assert line_of(silent)["status"] == "ready"
        assert refused(silent, RUN)["code"] == "comfy_unavailable"
    # It may be in a folder that ComfyUI alone was told of.
    (home / "extra_model_paths.yaml").write_text("comfyui: {base_path: /elsewhere}")
    process = ComfyProcess(home, log_file=tmp_path / "comfyui.log")
    with ComfyUI(process.url, watch=Supervisor(process)) as comfy:
        told = runner_on(comfy, tmp_path, Catalog([folder]), comfy_home=home)
        assert line_of(told)["status"] == "ready"
        told.nodes(None)  # once it runs it says so
        wait_until(lambda: missing(told) == [STYLE])


def test_what_comfyui_finds_elsewhere_is_there(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    placed(elsewhere, DEFAULT)
    home = simulated_home(tmp_path / "home", templates=None, models=[elsewhere])
    process = ComfyProcess(home, log_file=tmp_path / "comfyui.log")
    with ComfyUI(process.url, watch=Supervisor(process)) as comfy:
        runner = runner_on(comfy, tmp_path, Catalog([needing(tmp_path, DEFAULT)]), comfy_home=home)
        assert missing(runner) == [DEFAULT]
        runner.nodes(None)
        assert asked(runner, RUN)["outputs"]
        assert missing(runner) == []
        runner.readiness.look_again()
        generation = comfy.watch.generation
        comfy.watch.restart("of a test")
        assert not runner.started or comfy.watch.generation > generation  # on a busy machine it may be back by now
        assert asked(runner, RUN)["outputs"]  # a job that comes meanwhile waits for the restart


def test_a_link_that_leads_nowhere_is_missing_though_comfyui_lists_it(at_home, models, tmp_path):
    runner = at_home(needing(tmp_path, DEFAULT, STYLE))
    placed(models, DEFAULT)
    (models / STYLE).parent.mkdir()
    (models / STYLE).symlink_to(tmp_path / "gone.safetensors")
    runner.nodes(None)
    assert missing(runner) == [STYLE]
    assert refused(runner, RUN)["code"] == "workflow_not_ready"


def test_a_model_that_is_fetched_under_another_name_of_its_kind_is_coming(at_home, tmp_path):
    runner = at_home(needing(tmp_path, "diffusion_models/flux.safetensors", url=URL))
    runner.coming.begin(["unet/flux.safetensors"])
    failure = refused(runner, RUN)
    assert (failure["code"], failure["retryable"]) == ("workflow_not_ready", True)
    runner.coming.begin(["clip/flux.safetensors"])
    assert refused(runner, RUN)["retryable"] is False


def test_what_comfyui_saved_itself_is_there(at_home, tmp_path):
    runner = at_home(needing(tmp_path, DEFAULT))
    assert missing(runner) == [DEFAULT]
    placed(tmp_path / "home" / "output", DEFAULT)
    runner.readiness.look_again()
    assert missing(runner) == []


def test_a_folder_that_a_node_loads_whole_is_there(at_home, models, tmp_path):
    (models / "diffusers" / "kandinsky").mkdir(parents=True)
    assert missing(at_home(needing(tmp_path, "diffusers/kandinsky", "diffusers/other"))) == ["diffusers/other"]


def test_of_a_kind_of_a_node_pack_nothing_is_claimed_before_it_runs(at_home, tmp_path, wait_until):
    runner = at_home(needing(tmp_path, "ultralytics_bbox/face.pt", "custom_nodes/pack/weights/own.pt"))
    assert missing(runner) == []
    runner.nodes(None)
    wait_until(lambda: missing(runner) == ["ultralytics_bbox/face.pt"])


@pytest.mark.parametrize("args", [("--extra-model-paths-config", "/x.yaml"), ("--extra-model-paths=/x.yaml",)])
def test_a_link_that_leads_nowhere_may_hide_a_file_elsewhere(models, tmp_path, args, comfy_url):
    (models / "style_models").mkdir()
    (models / STYLE).symlink_to(tmp_path / "gone.safetensors")
    with ComfyUI(comfy_url) as comfy:
        folders = {"comfy_home": simulated_home(tmp_path / "home"), "models_dir": models}
        runner = runner_on(comfy, tmp_path, Catalog([needing(tmp_path, STYLE)]), comfy_args=args, **folders)
        assert missing(runner) == []


@pytest.mark.parametrize(
    "path", ["diffusion_models/a.gguf", "ipadapter/a.safetensors", "diffusers/a/model.safetensors"]
)
def test_of_files_that_comfyui_does_not_list_at_a_url_nothing_is_claimed(elsewhere, tmp_path, path):
    runner = elsewhere(needing(tmp_path, path))
    assert line_of(runner)["status"] == "ready"


class Counted(ComfyUI):
    """Counts how often it is asked for files."""

    asked = 0

    def model_files(self, kind, *, patience_seconds):
        self.asked += 1
        return super().model_files(kind, patience_seconds=patience_seconds)


def test_many_workflows_and_many_jobs_ask_seldom(models, tmp_path):
    placed(models, DEFAULT)
    for number in range(200):
        needing(tmp_path, DEFAULT if number % 2 else STYLE, name=f"poster-{number}")
    with Simulator(models=[models]) as simulator, Counted(simulator.url) as comfy:
        runner = runner_on(comfy, tmp_path, Catalog([tmp_path / "workflows"]), comfy_url=simulator.url)
        lines = asked(runner, {"action": "list"})["workflows"]
        assert {each["status"] for each in lines if int(each["name"][7:]) % 2} == {"ready"}
        assert {each["status"] for each in lines if not int(each["name"][7:]) % 2} == {"not_ready"}
        before = comfy.asked
        assert before < len(lines) / 4
        for _ in range(5):
            assert asked(runner, {"workflow": "poster-1", "payload": {}})["outputs"]
        assert comfy.asked - before <= 1


def test_the_commands_say_it_too(tmp_path, models):
    folder = needing(tmp_path, DEFAULT, STYLE, url=URL)
    placed(models, DEFAULT)
    environment = {"WORKFLOWS_PATH": str(folder)}

    def printed(*arguments):
        return run_engine(tmp_path, *arguments, **environment).stdout

    assert json.loads(printed("list", "--json"))["workflows"][0]["status"] == "ready"  # the simulator has all
    environment |= {"COMFY_HOME": str(simulated_home(tmp_path / "home")), "MODELS_DIR": str(models)}
    said = f"missing: {STYLE}: engine models fetch poster gets it from example.com"
    listing = printed("list")
    assert said in listing
    assert "NOT READY" in listing
    assert said in printed("describe", "poster")
    assert json.loads(printed("describe", "poster", "--json"))["status"] == "not_ready"
    del environment["COMFY_HOME"]
    with Simulator(models=[models]) as simulator:
        environment["COMFY_URL"] = simulator.url
        assert said in printed("list")
        placed(models, STYLE)
        assert json.loads(printed("list", "--json"))["workflows"][0]["status"] == "ready"


def test_the_bundled_workflows_lack_nothing_on_the_simulator(tmp_path):
    with Simulator() as simulator, ComfyUI(simulator.url) as comfy:
        lines = asked(runner_on(comfy, tmp_path), {"action": "list"})["workflows"]
    assert {each["status"] for each in lines} == {"ready"}
    assert len(lines) == len(Catalog([ROOT]))
