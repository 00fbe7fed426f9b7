"""The images, really built and run: `make image-test`. Minutes; no part of the suite.

The base is made on this machine under the real one's name, and nothing is pulled. What can't be fetched here is given
by build arguments, as anyone would: another Python, no PyTorch, ComfyUI from a folder (COMFY_HOME's, where it is set).
"""

import json
import os
import shutil
import subprocess
from typing import NamedTuple

import pytest
from support.buildah import Buildah, BuildFailed, bare_system, cache_folder, missing
from support.image_sources import comfyui_repository, overlay_base
from support.repositories import git, repository
from support.verified import record_image
from support.workflows import ROOT, sampler_graph, write_workflow

from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack

COMFY_HOME = os.environ.get("COMFY_HOME")  # before any test wipes it
REAL_BASE = "docker.io/nvidia/cuda:12.8.1-runtime-ubuntu24.04"
OVERLAY_BASE = "docker.io/runpod/worker-comfyui:5.8.5-base"
CHECKPOINT = "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"
TOKENS = {"hf_token": "hf_FedcbaTestOfTheImage", "civitai_token": "civFedcbaTestOfTheImage"}

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(missing()), reason=missing() or "none"),
]


class Built(NamedTuple):
    """An image, what its containers start with, all that is known of it, its size, and what its build printed."""

    tag: str
    config: dict
    document: dict
    size: str
    output: str


@pytest.fixture(scope="session")
def report(request):
    """What docs/verified.md is to say."""
    rows, facts = [], {}
    yield rows, facts
    if path := request.config.getoption("--image-verified"):
        record_image(path, facts, rows, failed=request.session.testsfailed)


@pytest.fixture(scope="session")
def store(report):
    """Images, with the base that the Dockerfile names."""
    system, name = bare_system()
    store = Buildah(cache_folder() / f"store-{os.getpid()}")
    try:
        store.image_of(system, REAL_BASE)
        version = subprocess.run(["buildah", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
        report[1].update(base=name, buildah=version, driver=store.driver)
        yield store
    finally:
        store.close()


@pytest.fixture(scope="session")
def context(tmp_path_factory):
    """The files that a clone of the repository has, with those that are not committed yet."""
    folder = tmp_path_factory.mktemp("context")
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout
    for name in map(os.fsdecode, filter(None, names.split(b"\0"))):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def build(store, context, report, tmp_path_factory):
    """Build the Dockerfile, with the arguments that make it possible here and those that are given."""
    source = tmp_path_factory.mktemp("comfyui") / "repository"
    version = comfyui_repository(source, COMFY_HOME)
    report[1]["comfyui"] = version if COMFY_HOME else f"a stand-in for {version}"

    def build(what, tag, *options, folder=context, secrets=(), mounts=(), **arguments):
        fixed = {
            "PYTHON": "python3",
            "TORCH": "",
            "COMFYUI_URL": "file:///mnt/comfyui",
            "COMFYUI_VERSION": version,
            "MODELS": "baked",  # the default; buildah 1.28 finds the stage of that name only where it is told
        }
        seconds, output = store.build(
            folder,
            tag,
            *options,
            arguments=fixed | arguments,
            mounts=[f"{source}:/mnt/comfyui", *mounts],
            secrets=secrets,
        )
        config, document, size = store.inspect(tag)
        report[0].append((what, seconds, size))
        return Built(tag, config, document, size, output)

    return build


@pytest.fixture(scope="session")
def image(build, tmp_path_factory):
    """The image as it is by default, with one workflow, which needs no models, and tokens that must not stay."""
    secrets = []
    for identifier, token in TOKENS.items():
        path = tmp_path_factory.mktemp("secrets") / identifier
        path.write_text(token)
        secrets.append((identifier, path))
    return build("Dockerfile, WORKFLOWS=resize", "worker:resize", secrets=secrets, WORKFLOWS="resize")


@pytest.fixture
def worker(store, image):
    """Run the container as `docker run IMAGE …` does, and see its files."""
    with store.container(image.tag) as (container, root):

        def run(*words, **environment):
            return store.run(container, *image.config["Entrypoint"], *words, **environment)

        yield run, root


def test_it_lists_the_workflow_that_was_chosen(worker):
    run, _ = worker
    done = run("cli", "list")
    assert done.stdout == "resize  Resize\n", done.stderr
    assert "ld.so" not in done.stderr  # what is preloaded is there


def test_it_runs_a_workflow_on_the_simulator(worker):
    run, root = worker
    assert run("cli", "run", "resize", "-p", "width=64", "--out", "/tmp/out", COMFY_SIMULATE="1").returncode == 0
    (picture,) = (root / "tmp" / "out").rglob("*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_its_settings_are_told(worker):
    run, _ = worker
    done = run("cli", "settings")
    assert "WORKFLOWS_PATH=/app/workflows" in done.stdout, done.stderr


def test_without_a_word_it_says_what_to_do(worker):
    run, _ = worker
    done = run()
    assert "serverless" in done.stderr
    assert done.returncode == 2


def test_it_starts_with_what_the_documentation_says(image):
    set_there = dict(text.split("=", 1) for text in image.config["Env"])
    assert {name: value for name, value in set_there.items() if name != "PATH"} == {
        "LD_PRELOAD": "/usr/local/lib/libtcmalloc.so",
        "MALLOC_ARENA_MAX": "2",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "PYTHONUNBUFFERED": "1",
    }
    assert image.config["Entrypoint"][-3:] == ["/opt/engine/bin/python", "-u", "/app/handler.py"]
    assert not image.config.get("Cmd")


def test_it_holds_the_chosen_workflow_and_nothing_else_of_the_repository(worker):
    _, root = worker
    assert sorted(path.name for path in (root / "app").iterdir()) == ["engine", "handler.py", "snapshots", "workflows"]
    workflows = sorted(str(path.relative_to(root / "app")) for path in (root / "app/workflows").rglob("*.json"))
    assert workflows == [
        "workflows/schemas/parameter-map.schema.json",
        "workflows/schemas/resize.json",
        "workflows/templates/resize.json",
    ]
    for name in ("templates", "schemas"):
        copied = root / "app/workflows" / name / "resize.json"
        assert copied.read_bytes() == (ROOT / name / "resize.json").read_bytes()
    assert [path.name for path in (root / "app/snapshots").iterdir()] == ["node-catalogue.json.gz"]


def test_nothing_that_builds_stays(worker):
    _, root = worker
    for gone in ("build", "opt/tools", "usr/bin/git", "root/.cache", "root/.config/comfy-cli"):
        assert not (root / gone).exists(), gone
    assert not [*root.glob("comfyui/**/.git")]
    assert not [*root.glob("opt/*/lib/python3*/site-packages/comfy_cli*")]
    assert not [*root.glob("opt/*/lib/python3*/site-packages/comfyui_manager*")]
    assert not [*root.glob("opt/engine/lib/python3*/site-packages/pytest*")]
    assert not [*(root / "var/lib/apt/lists").glob("*Packages*")]


def test_what_python_compiles_is_there_at_the_first_start(worker):
    _, root = worker
    assert [*root.glob("app/engine/__pycache__/cli.*.pyc")]
    assert [*root.glob("comfyui/__pycache__/main.*.pyc")]
    assert [*root.glob("opt/engine/lib/python3*/site-packages/runpod/__pycache__/*.pyc")]


def test_tokens_reach_the_step_that_fetches_and_stay_nowhere(image, worker):
    _, root = worker
    for identifier, token in TOKENS.items():
        assert f"with the secret {identifier}" in image.output
        assert token not in image.output
        assert token not in str(image.document)  # with the history of every layer
        search = ["grep", "--recursive", "--files-with-matches", token, root]
        found = subprocess.run(search, check=False, capture_output=True)
        assert not found.stdout


def test_all_workflows_with_models_on_a_volume(build, store):
    built = build("the same, all workflows, MODELS=volume", "worker:volume", MODELS="volume")
    assert "VOLUME_REQUIRED=true" in built.config["Env"]
    with store.container(built.tag) as (container, root):
        done = store.run(container, "engine", "list")
        told = done.stdout.splitlines()
        named = [line.split()[0] for line in told if not line.startswith(" ")]
        assert named == ["img2img", "resize", "txt2img"], done.stderr
        # ComfyUI is there and the volume is not yet: what is to be on it is named.
        assert sum(CHECKPOINT in line for line in told) == 2
        assert not [*(root / "comfyui/models").rglob("*.safetensors")]


@pytest.fixture
def added(context, tmp_path):
    """The repository, with a workflow of the test's own."""

    def added(requires):
        folder = tmp_path / "context"
        subprocess.run(["cp", "--archive", context, folder], check=True)
        parameter_map = {
            "parameters": {"prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"}},
            "outputs": {"image": {"node": "9"}},
            "requires": {"models": requires},
        }
        return write_workflow(folder, "poster", sampler_graph(), parameter_map)

    return added


def test_a_model_without_a_url_fails_the_build_with_what_to_do(build, added):
    folder = added([{"path": CHECKPOINT}])
    with pytest.raises(BuildFailed) as failed:
        build("", "worker:none", folder=folder, WORKFLOWS="poster")
    assert CHECKPOINT in str(failed.value)
    assert "--build-arg MODELS=volume" in str(failed.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"WORKFLOWS": "resise"}, 'did you mean "resize"?'),
        ({"SNAPSHOT": "none.json"}, "SNAPSHOT=none.json: there is no such file in snapshots/"),
    ],
)
def test_a_wrong_argument_fails_the_build_with_what_there_is(build, arguments, said):
    with pytest.raises(BuildFailed) as failed:
        build("", "worker:none", **{"WORKFLOWS": "resize"} | arguments)
    assert said in str(failed.value)


def test_a_snapshot_is_restored_at_its_commits_and_goes_into_the_image(build, store, context, tmp_path):
    folder, packs = tmp_path / "context", tmp_path / "packs"
    subprocess.run(["cp", "--archive", context, folder], check=True)
    commit = repository(packs / "lighthouse-pack", __init__="NODE_CLASS_MAPPINGS = {}\n")
    (packs / "lighthouse-pack" / "requirements.txt").write_text("cowsay==6.1\n")
    git(packs / "lighthouse-pack", "add", ".")
    git(packs / "lighthouse-pack", "commit", "-qm", "second")
    second = git(packs / "lighthouse-pack", "rev-parse", "HEAD")
    (packs / "lighthouse-pack" / "__init__.py").write_text("raise SystemExit('a later commit')")
    git(packs / "lighthouse-pack", "commit", "-qam", "third")
    url = "file:///mnt/packs/lighthouse-pack"
    snapshot = {"comfyui": None, "git_custom_nodes": {url: {"hash": second, "disabled": False}}}
    (folder / "snapshots" / "made_snapshot.json").write_text(json.dumps(snapshot))
    lock = Lock(comfyui=LockedComfyUI(version="0.8.0"), packs={"lighthouse-pack": LockedPack(commit=second)})
    (folder / "snapshots" / "made.lock.json").write_text(lock.text())
    given = {"folder": folder, "mounts": [f"{packs}:/mnt/packs"], "WORKFLOWS": "resize"}

    built = build("the same, with a snapshot", "worker:snapshot", SNAPSHOT="made", **given)

    assert f"lighthouse-pack: {url} at {second}" in built.output
    with store.container(built.tag) as (_, root):
        pack = root / "comfyui/custom_nodes/lighthouse-pack"
        assert (pack / "__init__.py").read_text() == "NODE_CLASS_MAPPINGS = {}\n"
        assert [*root.glob("opt/venv/lib/python3*/site-packages/cowsay")]
        assert not [*root.glob("opt/venv/lib/python3*/site-packages/comfyui_manager*")]
        assert not (pack / ".git").exists()
        names = sorted(path.name for path in (root / "app/snapshots").iterdir())
        assert names == ["made.lock.json", "made_snapshot.json", "node-catalogue.json.gz"]

    snapshot["git_custom_nodes"][url]["hash"] = commit[::-1]
    (folder / "snapshots" / "made_snapshot.json").write_text(json.dumps(snapshot))
    with pytest.raises(BuildFailed) as failed:
        build("", "worker:none", "--target", "nodes", SNAPSHOT="made", **given)
    assert f"lighthouse-pack: {url} at {commit[::-1]} can't be cloned" in str(failed.value)


def test_a_package_that_is_not_the_one_of_the_lock_fails_the_build(build, context, tmp_path):
    folder = tmp_path / "context"
    subprocess.run(["cp", "--archive", context, folder], check=True)
    lock = folder / "docker" / "engine.lock"
    head, _, tail = lock.read_text().partition("runpod==")
    package, *others = tail.split("\n")
    hashes = [line for line in others if line.startswith("    --hash")]
    end = next(index for index, line in enumerate(others) if not line.startswith("    --hash"))
    wrong = [f"    --hash=sha256:{'0' * 64}", *others[end:]]
    lock.write_text("\n".join([f"{head}runpod=={package}", *wrong]))
    assert hashes
    with pytest.raises(BuildFailed) as failed:
        build("", "worker:none", "--target", "base", folder=folder)
    assert "Hash mismatch for `runpod==" in str(failed.value)


def test_the_overlay_starts_the_engine_and_not_the_base_images_script(store, context, report, tmp_path):
    overlay_base(tmp_path)
    uv = next(line for line in (ROOT / "docker/tools.lock").read_text().splitlines() if line.startswith("uv=="))
    store.build(tmp_path, OVERLAY_BASE, arguments={"PYTHON": "python3", "UV": uv.split()[0]})
    seconds, _ = store.build(
        context,
        "worker:overlay",
        file="Dockerfile.overlay",
        arguments={"PYTHON": "python3", "WORKFLOWS": "resize"},
    )
    config, _, size = store.inspect("worker:overlay")
    report[0].append(("Dockerfile.overlay, WORKFLOWS=resize", seconds, size))
    assert not config.get("Cmd")
    assert "COMFY_HOME=/comfyui" in config["Env"]
    with store.container("worker:overlay") as (container, root):
        done = store.run(container, *config["Entrypoint"], "cli", "list")
        assert done.stdout == "resize  Resize\n", done.stderr
        run = ("cli", "run", "resize", "--out", "/tmp/out")
        done = store.run(container, *config["Entrypoint"], *run, COMFY_SIMULATE="1", COMFY_HOME="")
        assert [*(root / "tmp/out").rglob("*.png")], done.stderr
        assert (root / "comfyui/manager-mode").read_text() == "offline\n"
