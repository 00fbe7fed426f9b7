"""The files of RunPod's Hub: their format, and whether what they promise holds for this worker."""

import base64
import importlib.util
import io
import json
import re

import jsonschema
import pytest
from PIL import Image, ImageChops
from support.command import run_engine
from support.hub_formats import HUB, TESTS
from support.runpod_queue import serve_runpod_queue
from support.worker import running_worker, worker_environment
from support.workflows import ROOT

from engine.settings import load_settings, variables

FOLDER = ROOT / ".runpod"
hub = json.loads((FOLDER / "hub.json").read_text(encoding="utf-8"))
tests = json.loads((FOLDER / "tests.json").read_text(encoding="utf-8"))

ALL = sorted(path.stem for path in (ROOT / "templates").glob("*.json"))
ENV = {entry["key"]: entry.get("input") for entry in hub["config"]["env"]}
PRESETS = {preset["name"]: preset["defaults"] for preset in hub["config"]["presets"]}
BUCKET = {"S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k", "S3_SECRET_ACCESS_KEY": "s"}
# What a person may well type; where nothing is said here, the default or an option is.
TYPED = {
    "WORKFLOWS": "txt2img,resize",
    "WORKFLOWS_PATH": "/app/workflows:https://github.com/you/flows@main#comfy",
    "WORKFLOWS_TOKEN": "ghp-token",
    "S3_ENDPOINT_URL": "https://s3.example.org",
    "S3_REGION": "auto",
    "S3_PREFIX": "made/here",
    "S3_PUBLIC_BASE_URL": "https://cdn.example.org",
    "WARMUP_WORKFLOW": "resize",
    "MODELS_DIR": "/somewhere/models",
    "COMFY_ARGS": "--lowvram",
    "COMFY_ORG_API_KEY": "comfyui-key",
    "HF_TOKEN": "hf_token",
    "CIVITAI_TOKEN": "token",
    "API_TOKEN": "sixteen-characters",
    **BUCKET,
}


def as_variable(field, value):
    """What the Hub puts into the environment: for a switch the texts that its entry names."""
    if isinstance(value, bool):
        return field["trueValue"] if value else field["falseValue"]
    return str(value)


def defaults_of_all():
    return {key: as_variable(field, field["default"]) for key, field in ENV.items()}


@pytest.fixture
def read(monkeypatch):
    def read(environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return read


@pytest.mark.parametrize(("document", "schema"), [(hub, HUB), (tests, TESTS)], ids=["hub.json", "tests.json"])
def test_the_files_are_of_the_hubs_format(document, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda each: each.pop("category"), "category"),
        (lambda each: each.update(category="pictures"), "pictures"),
        (lambda each: each.update(icon="icon.png"), "icon"),
        (lambda each: each.update(iconUrl=".runpod/icon.png"), "icon.png"),
        (lambda each: each["config"].update(gpuIds="RTX 4090"), "RTX 4090"),
        (lambda each: each["config"].update(allowedCudaVersions=["12"]), "12"),
        (lambda each: each["config"]["env"][0].pop("input"), "input"),
        (lambda each: each["config"]["env"][0].update(key="A NAME"), "A NAME"),
        (lambda each: each["config"]["env"][0]["input"].update(default=1), "string"),
        (lambda each: each["config"]["env"][0]["input"].update(max=1), "max"),
    ],
)
def test_a_file_that_the_hub_would_not_take_is_found_out(change, where):
    document = json.loads(json.dumps(hub))
    change(document)
    with pytest.raises(jsonschema.ValidationError, match=re.escape(where)):
        jsonschema.validate(document, HUB)


def test_every_variable_is_a_setting_under_its_first_name():
    first_names = {variable.names[0] for variable in variables()}
    assert len(ENV) == len(hub["config"]["env"]), "a key stands there twice"
    assert not set(ENV) - first_names
    assert not {each["key"] for each in tests["config"]["env"]} - first_names


def test_the_defaults_are_what_the_settings_are_without_them(read):
    untouched = load_settings()
    for variable in variables():
        if variable.names[0] in ENV:
            value = read(defaults_of_all())
            assert getattr(value, variable.field) == getattr(untouched, variable.field), variable.names[0]


@pytest.mark.parametrize("key", ENV)
def test_whatever_is_chosen_or_typed_is_a_setting_that_is_read(key, read):
    field = ENV[key]
    values = [option["value"] for option in field.get("options", [])]
    values += [True, False] if field["type"] == "boolean" else []
    values += [field["min"], field["max"]] if field["type"] == "number" else []
    for value in values or [TYPED[key]]:
        read(defaults_of_all() | (BUCKET if key.startswith("S3_") else {}) | {key: as_variable(field, value)})


def test_an_option_is_the_default_where_there_are_options():
    for key, field in ENV.items():
        if "options" in field:
            assert field["default"] in [option["value"] for option in field["options"]], key


def test_secrets_are_asked_for_as_texts_without_a_default():
    for variable in variables():
        if variable.secret and variable.names[0] in ENV:
            assert (ENV[variable.names[0]]["type"], ENV[variable.names[0]]["default"]) == ("string", "")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_the_form_asks_for_and_names_workflows_that_exist(name, read):
    defaults = PRESETS[name]
    assert set(defaults) <= set(ENV)
    settings = read(defaults_of_all() | {key: as_variable(ENV[key], value) for key, value in defaults.items()})
    offered = [each for each in defaults["WORKFLOWS"].split(",") if each] or ALL
    assert set(offered) <= set(ALL)
    assert settings.warmup_workflow in (None, *offered)


@pytest.mark.parametrize("name", PRESETS)
def test_with_a_preset_the_workflows_that_it_names_are_offered_and_no_others(name, tmp_path):
    environment = {key: as_variable(ENV[key], value) for key, value in PRESETS[name].items()}
    listed = json.loads(run_engine(tmp_path, "list", "--json", **environment).stdout)
    expected = PRESETS[name]["WORKFLOWS"].split(",") if PRESETS[name]["WORKFLOWS"] else ALL
    assert sorted(each["name"] for each in listed["workflows"]) == sorted(expected)


def test_the_presets_offer_different_sets_and_one_offers_all():
    sets = [defaults["WORKFLOWS"] for defaults in PRESETS.values()]
    assert "" in sets
    assert len(set(sets)) == len(sets)


def test_the_tests_are_run_on_machines_that_the_endpoint_would_run_on():
    assert tests["config"]["allowedCudaVersions"] == hub["config"]["allowedCudaVersions"]
    assert tests["config"]["gpuCount"] == hub["config"]["gpuCount"]


def test_the_drivers_that_are_allowed_are_those_that_the_image_needs_and_newer_ones():
    needed = re.search(r"^ARG CUDA=(\d+\.\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    versions = hub["config"]["allowedCudaVersions"]
    assert versions == sorted(versions, key=lambda each: [int(part) for part in each.split(".")])
    assert versions[0] == needed


def test_the_icon_is_the_one_that_is_drawn():
    spec = importlib.util.spec_from_file_location("draw_icon", FOLDER / "draw_icon.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with Image.open(FOLDER / "icon.png") as icon:
        assert icon.size == (script.SIDE, script.SIDE)
        # Another version of Pillow may round the edges' pixels otherwise.
        darkest_and_brightest = ImageChops.difference(icon.convert("RGB"), script.draw()).getextrema()
    assert all(brightest < 32 for _, brightest in darkest_and_brightest)


@pytest.fixture(scope="module")
def queue(comfy_url, tmp_path_factory):
    """A queue with a worker on it as the Hub's tests have it: their variables, no bucket, no volume.

    The image is one of MODELS=volume, which would not start without a volume.
    """
    none = {"VOLUME_REQUIRED": "true", "VOLUME_PATH": "/nowhere/at/all", "VOLUME_WAIT_SECONDS": "1"}
    own = {each["key"]: each["value"] for each in tests["config"]["env"]}
    with serve_runpod_queue() as queue:
        log = tmp_path_factory.mktemp("worker") / "log"
        environment = defaults_of_all() | none | own | worker_environment(comfy_url, **queue.environment())
        with running_worker(environment, log):
            yield queue


@pytest.mark.parametrize("case", tests["tests"], ids=[case["name"] for case in tests["tests"]])
def test_a_test_of_the_hub_passes(case, queue):
    posted = queue.wait(queue.submit(case["input"]), case["timeout"] / 1000)
    assert not posted.get("error")
    assert posted["output"]


def test_the_hubs_test_of_resize_gives_the_picture_it_sent_in_the_size_it_asked_for(queue):
    (sent,) = [case["input"] for case in tests["tests"] if "payload" in case["input"]]
    (output,) = queue.wait(queue.submit(sent), 90)["output"]["outputs"]
    picture = Image.open(io.BytesIO(base64.b64decode(output["base64"]))).convert("RGB")
    assert picture.size == (sent["payload"]["width"], sent["payload"]["height"])
    assert picture.getpixel((8, 16)) == (204, 51, 0)
    assert picture.getpixel((56, 16)) == (51, 102, 153)
