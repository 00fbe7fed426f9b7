"""What a ComfyUI needs so that it takes the library's workflows: stand-ins for their models, and files to begin with.

Nothing is fetched. A model is of random weights where that is cheap to make, so that a workflow can really run, and
else an empty file of the right name, so that it is in the lists that graphs are checked against.
"""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from support.films import mp4, sound
from support.graphs import text_to_image
from support.media import picture
from support.random_loras import write_lora
from support.random_upscaler import write_upscaler
from support.variants import FILES, variants
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import new_prompt_id
from engine.known_nodes import known_nodes
from engine.simulator.classes import MODEL_FOLDERS, PACK_FOLDERS

NAMES = sorted(path.stem for path in (ROOT / "templates").glob("*.json"))
NODES = known_nodes()
"""ComfyUI's own classes, and those of the packs that snapshots have."""
CATALOG = Catalog([ROOT], NODES)


@dataclass(frozen=True)
class LibraryServer:
    """A ComfyUI that has the library's models: where it answers, its folder, whether it is a real one, its version."""

    url: str
    base: Path
    is_real: bool
    version: str


_SD15 = re.compile(r"checkpoints/(sd-)?v1-5.*")  # the family that tests/support/random_checkpoint.py makes
_SMALL = {"steps": 1, "width": 64, "height": 64, "batch_size": 1, "length": 1}


def write_models(models, checkpoint):
    """Put a stand-in for every model of the library into a folder like ComfyUI's `models/`.

    Those are what maps require, and what examples name of a caller's own.

    Args:
        models: the folder.
        checkpoint: a checkpoint of random weights; where there is none, an empty file stands for it as well.
    """
    required = {model.path for name in NAMES for model in CATALOG[name].requires.models}
    for path in sorted(required | {path for name in NAMES for path in _callers_own(CATALOG[name])}):
        target = models / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if _SD15.fullmatch(path) and checkpoint:
            target.symlink_to(checkpoint)
        elif path.startswith("loras/"):
            write_lora(target, seed=len(path))
        elif path.startswith("upscale_models/"):
            write_upscaler(target)
        else:
            target.touch()


def _callers_own(workflow):
    """The model files that examples name; what the template alone names is to be among the required ones."""
    for each in variants(workflow):
        for node_id, node in each.rendered(workflow).items():
            for name, value in node["inputs"].items():
                folder = _FOLDERS.get(f"{node['class_type']}.{name}")
                if folder and isinstance(value, str) and value != "none" and workflow.parameters_at(node_id, name):
                    yield f"{folder}/{value}"


_FOLDERS = {
    name: folder for kinds in (MODEL_FOLDERS, PACK_FOLDERS) for folder, names in kinds.items() for name in names
}


def has_weights(path):
    """Whether a stand-in for that model is one that runs."""
    return bool(_SD15.fullmatch(path)) or path.startswith(("loras/", "upscale_models/"))


def write_inputs(folder):
    """Put the files that rendered variants name into ComfyUI's `input`."""
    content = {"image": picture((64, 64)), "video": mp4(64, 64, 8, 8), "audio": sound(1)}
    for kind, data in content.items():
        (folder / FILES[kind]).write_bytes(data)


def small(workflow, payload):
    """A payload that asks for as little work as the workflow allows."""
    schema = workflow.payload_schema()["properties"]
    changes = {}
    for name in _SMALL.keys() & workflow.parameters.keys():
        least = max(_SMALL[name], schema[name].get("minimum", 0))
        step = schema[name].get("multipleOf", 1)
        changes[name] = -(-least // step) * step
    return {**payload, **changes}


@contextlib.contextmanager
def held(comfy, checkpoint):
    """ComfyUI's queue, held by a job that is stopped in the end: what is queued meanwhile is validated and never run.

    Gives the list that is to hold the ids of what was queued.
    """
    holding, queued = new_prompt_id(), []
    comfy.client.queue_prompt(text_to_image(checkpoint, steps=10000), holding, "library")
    try:
        yield queued
    finally:
        for prompt_id in queued:
            comfy.client.delete_pending(prompt_id)
        while any(comfy.client.queue()):
            comfy.client.delete_pending(holding)
            comfy.client.interrupt(holding)
