"""Environments on a folder that is taken for a volume: simulated ComfyUIs that differ in version and classes."""

import json

from support.simulated_home import simulated_home
from support.workflows import ROOT

from engine.nodes import load_catalogue
from engine.snapshots.lock import Lock

VERSION = "0.8.0"


def make_environment(
    volume,
    name,
    *,
    version=VERSION,
    pack=None,
    lock=True,
    locked=None,
    faults=(),
    step_seconds=0.0,
    models=None,
    **document,
):
    """Write an environment that is as its lock says.

    Args:
        volume: the folder.
        name: of the environment.
        version: that its ComfyUI says it is.
        pack: a node pack of that name is in it, with one class, `Of` and the name.
        lock: whether it has one.
        locked: the lock's packs, where they differ from what is there.
        faults: what goes wrong in the simulator.
        step_seconds: how long a sampling step of it takes.
        models: the folder, like ComfyUI's `models/`, whose files it lists; it has those of the templates without one.
        document: `versions/NAME.json`; by default `{}`.

    Returns:
        The folder of its ComfyUI.
    """
    home = volume / "builds" / f"comfy-{name}"
    home.mkdir(parents=True)
    catalogue = home / "catalogue.json"
    write_catalogue(catalogue, version, pack)
    listed = {} if models is None else {"templates": None, "models": [models]}
    simulated_home(home, faults, catalogue=catalogue, step_seconds=step_seconds, **listed)
    (home / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    if pack:
        (home / "custom_nodes" / pack).mkdir(parents=True)
    packs = locked if locked is not None else {pack: {"classes": [class_of(pack)]}} if pack else {}
    versions = volume / "versions"
    versions.mkdir(exist_ok=True)
    (versions / f"{name}.json").write_text(json.dumps(document))
    if lock:
        text = Lock.model_validate({"comfyui": {"version": version}, "packs": packs}).text()
        (versions / f"{name}.lock.json").write_text(text)
    return home


def write_catalogue(path, version, pack=None):
    """The node classes of a ComfyUI of that version, with the class of a pack."""
    bundled = load_catalogue(ROOT / "snapshots" / "node-catalogue.json.gz")
    nodes = dict(bundled.object_info)
    if pack:
        nodes[class_of(pack)] = {**nodes["EmptyImage"], "python_module": f"custom_nodes.{pack}"}
    path.write_text(json.dumps({"comfyui_version": version, "from_files": sorted(bundled.from_files), "nodes": nodes}))


def class_of(pack):
    """The one class of a pack."""
    return f"Of{pack}"


def starts(log):
    """The arguments of every start of a simulated ComfyUI, in order, from the file of COMFY_LOG."""
    return [line for line in log.read_text().splitlines() if line.startswith("Starting server")] if log.exists() else []
