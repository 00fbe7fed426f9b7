"""The node classes as this one ComfyUI has them: the catalogue, with the files that it pretends to have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.nodes import NodeCatalogue
from engine.simulator.folders import Folders

# Which inputs list which folder under models/, read off ComfyUI 0.8.0. A model that one loader finds, the
# others of its kind find too.
MODEL_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": (
        "CheckpointLoaderSimple.ckpt_name",
        "CheckpointLoader.ckpt_name",
        "ImageOnlyCheckpointLoader.ckpt_name",
        "unCLIPCheckpointLoader.ckpt_name",
        "CreateHookModelAsLora.ckpt_name",
        "CreateHookModelAsLoraModelOnly.ckpt_name",
    ),
    "configs": ("CheckpointLoader.config_name",),
    "loras": (
        "LoraLoader.lora_name",
        "LoraLoaderModelOnly.lora_name",
        "CreateHookLora.lora_name",
        "CreateHookLoraModelOnly.lora_name",
    ),
    "vae": ("VAELoader.vae_name",),
    "text_encoders": (
        "CLIPLoader.clip_name",
        "DualCLIPLoader.clip_name1",
        "DualCLIPLoader.clip_name2",
        "TripleCLIPLoader.clip_name1",
        "TripleCLIPLoader.clip_name2",
        "TripleCLIPLoader.clip_name3",
        "QuadrupleCLIPLoader.clip_name1",
        "QuadrupleCLIPLoader.clip_name2",
        "QuadrupleCLIPLoader.clip_name3",
        "QuadrupleCLIPLoader.clip_name4",
    ),
    "diffusion_models": ("UNETLoader.unet_name",),
    "clip_vision": ("CLIPVisionLoader.clip_name",),
    "style_models": ("StyleModelLoader.style_model_name",),
    "embeddings": (),
    "diffusers": ("DiffusersLoader.model_path",),
    "vae_approx": (),
    "controlnet": ("ControlNetLoader.control_net_name", "DiffControlNetLoader.control_net_name"),
    "gligen": ("GLIGENLoader.gligen_name",),
    "upscale_models": ("UpscaleModelLoader.model_name",),
    "latent_upscale_models": ("LatentUpscaleModelLoader.model_name",),
    "custom_nodes": (),
    "hypernetworks": ("HypernetworkLoader.hypernetwork_name",),
    "photomaker": ("PhotoMakerLoader.photomaker_model_name",),
    "classifiers": (),
    "model_patches": ("ModelPatchLoader.name",),
    "audio_encoders": ("AudioEncoderLoader.audio_encoder_name",),
}

# The same of node packs: ComfyUI-GGUF at 795e451, ComfyUI-ReActor at 6ad6b35, ComfyUI_PuLID_Flux_ll at ba90657. ReActor
# also lists models/reswapper and models/hyperswap.
PACK_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "diffusion_models": ("UnetLoaderGGUF.unet_name",),
    "text_encoders": ("DualCLIPLoaderGGUF.clip_name1", "DualCLIPLoaderGGUF.clip_name2"),
    "insightface": ("ReActorFaceSwap.swap_model", "ReActorFaceSwapOpt.swap_model"),
    "facerestore_models": ("ReActorFaceSwap.face_restore_model", "ReActorFaceSwapOpt.face_restore_model"),
    "pulid": ("PulidFluxModelLoader.pulid_file",),
}
_OF_PACKS = frozenset(name for inputs in PACK_FOLDERS.values() for name in inputs)
_MAY_BE_NONE = frozenset(PACK_FOLDERS["facerestore_models"])

_FOLDER_OF = {
    name: folder for kinds in (MODEL_FOLDERS, PACK_FOLDERS) for folder, names in kinds.items() for name in names
}
_ENDINGS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})
_ENDINGS_OF_PACKS = _ENDINGS | {".gguf", ".onnx"}

_UPLOADS = {"image_upload": "image", "video_upload": "video", "audio_upload": "audio"}


class Classes:
    """Node classes by name, described as `/object_info` does.

    Args:
        catalogue: the node classes.
        folders: LoadImage and its like list what lies in input.
        choices: `Class.input` to the files it lists; a model file is listed by every loader of its folder.
        models: folders like ComfyUI's `models/`; what lies there is listed as well, anew each time.
    """

    def __init__(
        self,
        catalogue: NodeCatalogue,
        folders: Folders,
        choices: Mapping[str, Sequence[str]],
        models: Sequence[Path] = (),
    ) -> None:
        self.catalogue = catalogue
        self._folders = folders
        self._models = models
        self._choices: dict[str, list[str]] = {name: list(files) for name, files in choices.items()}
        for folder, inputs in MODEL_FOLDERS.items():
            if any(name in choices for name in inputs):
                files = self._pretended(folder)
                self._choices.update({name: files for name in inputs if name not in choices})

    def __contains__(self, class_type: object) -> bool:
        return class_type in self.catalogue.object_info

    def __iter__(self) -> Iterator[str]:
        return iter(self.catalogue.object_info)

    def describe(self, class_type: str) -> dict[str, Any]:
        """What `/object_info/CLASS` says of it.

        Raises:
            KeyError: there is no such class.
        """
        raw = self.catalogue.object_info[class_type]
        inputs = {
            section: {
                name: self._with_files(class_type, name, declared) if section != "hidden" else declared
                for name, declared in fields.items()
            }
            for section, fields in raw.get("input", {}).items()
        }
        return {**raw, "input": inputs}

    def model_files(self, folder: str) -> list[str]:
        """The files that `/models/FOLDER` lists."""
        return sorted({*self._pretended(folder), *self._lying(folder)})

    def _pretended(self, folder: str) -> list[str]:
        names = {name for field in MODEL_FOLDERS[folder] for name in self._choices.get(field, ())}
        return sorted(names)

    def _lying(self, folder: str, endings: frozenset[str] = _ENDINGS) -> Iterator[str]:
        """The files of a kind that really lie in the folders of models."""
        for models in self._models:
            for file in (models / folder).rglob("*"):
                if file.suffix in endings:
                    yield file.relative_to(models / folder).as_posix()

    def _with_files(self, class_type: str, name: str, declared: Any) -> Any:
        reference = f"{class_type}.{name}"
        files = self._choices.get(reference)
        if self._models and reference in _FOLDER_OF:
            endings = _ENDINGS_OF_PACKS if reference in _OF_PACKS else _ENDINGS
            files = sorted({*(files or ()), *self._lying(_FOLDER_OF[reference], endings)})
        if files is not None and reference in _MAY_BE_NONE:
            files = ["none", *files]
        if files is None:
            files = self._uploads(declared)
        if files is None:
            return declared
        if isinstance(declared[0], list):
            return [files, *declared[1:]]
        return [declared[0], {**(declared[1] if len(declared) > 1 else {}), "options": files}]

    def _uploads(self, declared: Any) -> list[str] | None:
        options = declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else {}
        for key, media in _UPLOADS.items():
            if options.get(key) and options.get("image_folder", "input") == "input":
                return self._folders.files(self._folders.input, media)
        return None


def is_output(description: Mapping[str, Any]) -> bool:
    """Whether a node of the class is one that a prompt is run for."""
    return bool(description.get("output_node"))


def is_second_style(description: Mapping[str, Any]) -> bool:
    """Whether the class is declared in the style that came with 0.3.x's V3 API; only those have this key."""
    return "output_matchtypes" in description


def declared_inputs(
    description: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any, Mapping[str, Any]]]:
    """The inputs that a node has, given what it was sent: dynamic ones appear under their dotted names.

    A `COMFY_DYNAMICCOMBO_V3` brings the inputs of the chosen option, a `COMFY_AUTOGROW_V3` as many as were
    sent; neither is missed when it is absent, as in 0.8.0.

    Yields:
        Name, section (`required`, `optional`), type, options.
    """
    sections = description.get("input", {})
    fields = {section: sections.get(section, {}) for section in ("required", "optional")}
    yield from _expanded(fields, inputs, "")


def _expanded(
    sections: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, Any, Mapping[str, Any]]]:
    for section, fields in sections.items():
        for own_name, declared in fields.items():
            name = prefix + own_name
            kind = declared[0]
            options = declared[1] if len(declared) > 1 else {}
            if kind == "COMFY_AUTOGROW_V3":
                yield from _expanded(_grown(options["template"], inputs, name), inputs, f"{name}.")
            elif kind == "COMFY_DYNAMICCOMBO_V3":
                chosen = [option for option in options["options"] if option["key"] == inputs.get(name)]
                if chosen:
                    yield from _expanded(chosen[0]["inputs"], inputs, f"{name}.")
                    yield name, section, kind, options
            else:
                yield name, section, kind, options


def _grown(template: Mapping[str, Any], inputs: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    declared = next(iter(field for fields in template["input"].values() for field in fields.values()))
    names = template.get("names") or [f"{template['prefix']}{index}" for index in range(template["max"])]
    grown: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for index, below in enumerate(names):
        if f"{name}.{below}" in inputs:
            grown["required" if index < template["min"] else "optional"][below] = declared
    return grown


def choices_from(graphs: Iterable[Mapping[str, Any]], catalogue: NodeCatalogue) -> dict[str, list[str]]:
    """Every file that those graphs name, for `Simulator(choices=…)`: with these, they all validate.

    Args:
        graphs: API graphs.
        catalogue: which inputs list files.

    Returns:
        `Class.input` to the names.
    """
    found: dict[str, set[str]] = {}
    for graph in graphs:
        for node in graph.values():
            if not isinstance(node, Mapping) or not isinstance(node.get("inputs"), Mapping):
                continue  # not an API graph, or not a whole one: validation is the place to say so
            for name, value in node["inputs"].items():
                reference = f"{node.get('class_type')}.{name}"
                spec = catalogue.input(str(node.get("class_type")), name)
                if spec is not None and spec.from_files and isinstance(value, str):
                    found.setdefault(reference, set()).add(value)
    return {
        reference: sorted(names) for reference, names in sorted(found.items()) if not _is_upload(catalogue, reference)
    }


def _is_upload(catalogue: NodeCatalogue, reference: str) -> bool:
    class_type, _, name = reference.partition(".")
    text = json.dumps(catalogue.object_info[class_type].get("input", {}).get("required", {}).get(name))
    return any(key in text for key in _UPLOADS)
