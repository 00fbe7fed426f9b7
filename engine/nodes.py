"""The node catalogue: node classes with their inputs and outputs, as ComfyUI's `/object_info` tells them.

Kept as a file (`snapshots/node-catalogue.json.gz`), so that workflows are checked without a ComfyUI, and
made from a running one, whose lists of files (checkpoints, uploads) are then true as well.

The shape of `/object_info` was read off ComfyUI 0.3.64 and 0.8.0: an input is `[type, options]`, where a list
in place of the type, or `"COMBO"` with `options`, is a choice; 0.8.0 adds dynamic inputs with dotted names.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from engine.errors import InvalidMap

_HERE = Path(__file__).resolve().parent
# Beside the package in the repository, inside of it where it was installed (pyproject.toml).
_SHIPPED = _HERE / "shipped"
INSTALLED = _SHIPPED.is_dir()
BUNDLED = (_SHIPPED if INSTALLED else _HERE.parent / "snapshots") / "node-catalogue.json.gz"

_PROSE = frozenset({"tooltip", "tooltips", "description", "output_tooltips", "help"})
_UPLOADS = frozenset({"image_upload", "video_upload", "audio_upload", "file_upload", "image_folder"})
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx|engine|pkl|patch|yaml)$", re.IGNORECASE)
# A path of the machine, alone or in a sentence: "Put .pt models into /comfyui/models/ultralytics".
_MACHINE_PATH = re.compile(r"(^|[\s\"'(=])(/[^/\s]+){2,}|(^|\s)[A-Za-z]:\\")
_LOADER_INPUT = re.compile(r"(^|_)(name|model|file)\d*$|_name\d*$")
_DYNAMIC = frozenset({"COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3"})
_MATCHES_ANY = frozenset({"*", "COMFY_MATCHTYPE_V3"})


class Choices(tuple[Any, ...]):
    """What an input takes, in its order; whether a text is among them is looked up, in lists of thousands as well."""

    _texts: frozenset[str]

    def __new__(cls, values: Iterable[Any]) -> Self:
        """Of these values."""
        made = super().__new__(cls, values)
        made._texts = frozenset(each for each in made if type(each) is str)
        return made

    def __contains__(self, value: object) -> bool:
        return value in self._texts if type(value) is str else super().__contains__(value)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of a node class.

    Attributes:
        name: as a graph spells it; dynamic inputs hold a dot (`resize_type.width`).
        type: `INT FLOAT STRING BOOLEAN COMBO` for values; anything else (`MODEL`) comes by a link.
        required: whether ComfyUI refuses a graph without it; a dynamic one, where an option that has it is chosen.
        choices: what it takes, for a `COMBO`; None where it takes anything of its type.
        from_files: the choices are files of one ComfyUI (checkpoints, uploads), true there and nowhere else.
        minimum: of a number.
        maximum: of a number.
        multiline: a text of several lines.
        default: the node's own default.
        multiselect: a list of choices may be given.
        uploads: it takes the name of a file that was sent to ComfyUI: `image`, `video`, `audio` or another word; empty
            where it does not.
    """

    name: str
    type: str
    required: bool
    choices: Choices | None = None
    from_files: bool = False
    minimum: float | None = None
    maximum: float | None = None
    multiline: bool = False
    default: Any = None
    multiselect: bool = False
    uploads: str = ""

    @property
    def is_value(self) -> bool:
        """Whether it takes a literal (a widget), not only a link.

        Node packs have widgets of their own (`COLORCODE`): what has a text for a default, nothing has to be linked to.
        """
        known = self.type in {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"} or self.type in _DYNAMIC
        return known or isinstance(self.default, str)

    def accepts_link_of(self, output_type: str) -> bool:
        """Whether an output of that type can be linked to it, as far as the types tell."""
        if self.type in _MATCHES_ANY or output_type in _MATCHES_ANY or self.type in _DYNAMIC:
            return True
        accepted = {part.strip() for part in self.type.split(",")}
        return bool(accepted & {part.strip() for part in output_type.split(",")})


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node class: its inputs by name, in order, and the types of its outputs."""

    class_type: str
    inputs: Mapping[str, InputSpec]
    outputs: tuple[str, ...]
    is_output: bool
    display_name: str = ""
    dynamic: Mapping[str, InputSpec] = field(default_factory=dict)
    autogrow: tuple[str, ...] = ()

    def input(self, name: str) -> InputSpec | None:
        """The input of that name, a dynamic one too; None where the class has none."""
        if name in self.inputs:
            return self.inputs[name]
        if name in self.dynamic:
            return self.dynamic[name]
        base = name.split(".")[0]
        return InputSpec(name, "*", required=False) if base in self.autogrow and "." in name else None


class NodeCatalogue(Mapping[str, NodeSpec]):
    """Node classes by name.

    Args:
        nodes: `/object_info`, class name to description.
        version: ComfyUI's.
        from_files: `Class.input` of the choices that are lists of files.
        live: it was read from a running ComfyUI just now, so lists of files hold too.
    """

    def __init__(
        self,
        nodes: Mapping[str, Mapping[str, Any]],
        *,
        version: str = "unknown",
        from_files: Iterable[str] = (),
        live: bool = False,
    ) -> None:
        self.object_info = nodes
        self.version = version
        self.from_files = frozenset(from_files)
        self.live = live
        self._specs: dict[str, NodeSpec] = {}

    def __getitem__(self, class_type: str) -> NodeSpec:
        if class_type not in self._specs:
            self._specs[class_type] = self._spec(class_type, self.object_info[class_type])
        return self._specs[class_type]

    def __contains__(self, class_type: object) -> bool:
        return class_type in self.object_info

    def __iter__(self) -> Iterator[str]:
        return iter(self.object_info)

    def __len__(self) -> int:
        return len(self.object_info)

    def input(self, class_type: str, name: str) -> InputSpec | None:
        """The input `class_type.name`; None where the class or the input is not known."""
        spec = self.get(class_type)
        return spec.input(name) if spec else None

    def choices(self, reference: str) -> Choices | None:
        """What `Class.input` takes and this catalogue may enforce; None where anything goes or it may not."""
        class_type, _, name = reference.partition(".")
        spec = self.input(class_type, name)
        if spec is None or spec.choices is None or (spec.from_files and not self.live):
            return None
        return spec.choices

    def _spec(self, class_type: str, raw: Mapping[str, Any]) -> NodeSpec:
        inputs: dict[str, InputSpec] = {}
        dynamic: dict[str, InputSpec] = {}
        autogrow: list[str] = []
        for section in ("required", "optional"):
            for name, declared in raw.get("input", {}).get(section, {}).items():
                inputs[name] = self._input(class_type, name, declared, required=section == "required")
                options = _options(declared)
                if declared[0] == "COMFY_AUTOGROW_V3":
                    autogrow.append(name)
                elif declared[0] == "COMFY_DYNAMICCOMBO_V3":
                    for option in options.get("options", []):
                        for kind, nested in option.get("inputs", {}).items():
                            for below, spec in nested.items():
                                dotted = f"{name}.{below}"
                                always = dotted not in dynamic or dynamic[dotted].required
                                needed = kind == "required" and always
                                dynamic[dotted] = self._input(class_type, dotted, spec, required=needed)
        return NodeSpec(
            class_type=class_type,
            inputs=inputs,
            outputs=tuple(kind if isinstance(kind, str) else "COMBO" for kind in raw.get("output") or ()),
            is_output=bool(raw.get("output_node")),
            display_name=raw.get("display_name") or class_type,
            dynamic=dynamic,
            autogrow=tuple(autogrow),
        )

    def _input(self, class_type: str, name: str, declared: Any, *, required: bool) -> InputSpec:
        options = _options(declared)
        choices = choices_of(declared)
        return InputSpec(
            name=name,
            type="COMBO" if choices is not None and declared[0] != "COMFY_DYNAMICCOMBO_V3" else str(declared[0]),
            required=required,
            choices=choices,
            from_files=f"{class_type}.{name}" in self.from_files,
            minimum=options.get("min"),
            maximum=options.get("max"),
            multiline=bool(options.get("multiline")),
            default=options.get("default"),
            multiselect=bool(options.get("multiselect")),
            uploads=next((mark.partition("_")[0] for mark in _UPLOADS if options.get(mark)), ""),
        )

    @classmethod
    def from_object_info(
        cls,
        object_info: Mapping[str, Any],
        *,
        version: str,
        model_files: Iterable[str] = (),
        live: bool = False,
    ) -> NodeCatalogue:
        """Make one of what `/object_info` said.

        Args:
            object_info: the body of the answer.
            version: ComfyUI's, from `/system_stats`.
            model_files: all file names that `/models/FOLDER` lists: choices among them are lists of files.
            live: the ComfyUI it came from is the one that will run the graphs.
        """
        stripped = {name: _without_prose(node) for name, node in sorted(object_info.items())}
        files = frozenset(model_files)
        marked = sorted(
            f"{class_type}.{name}"
            for class_type, node in stripped.items()
            for section in ("required", "optional")
            for name, declared in node.get("input", {}).get(section, {}).items()
            if is_list_of_files(class_type, name, declared, files)
        )
        return cls(stripped, version=version, from_files=marked, live=live)

    @classmethod
    def load(cls, path: Path = BUNDLED) -> NodeCatalogue:
        """Read the file that `dump` wrote (`.json` or `.json.gz`).

        Raises:
            InvalidMap: it is not there or not a catalogue.
        """
        try:
            data = path.read_bytes()
            document = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
            nodes = {str(name): dict(node) for name, node in document["nodes"].items()}
            return cls(
                nodes,
                version=str(document["comfyui_version"]),
                from_files=map(str, document["from_files"]) if "from_files" in document else _marked(nodes),
            )
        except (
            *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
            zlib.error,  # a byte in the middle is another
        ) as error:
            raise InvalidMap(
                f"the node catalogue {path.name} can't be read: {error}",
                hint="make it again: engine nodes refresh --from URL",
            ) from error

    def dump(self, path: Path) -> None:
        """Write the catalogue; the same nodes give the same bytes."""
        document = {
            "comfyui_version": self.version,
            "from_files": sorted(self.from_files),
            "nodes": dict(sorted(self._without_file_names().items())),
        }
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)

    def _without_file_names(self) -> dict[str, Any]:
        """The nodes, the lists of files emptied: one machine's files are nobody else's business."""
        nodes: dict[str, Any] = json.loads(json.dumps(self.object_info))
        for reference in self.from_files:
            class_type, _, name = reference.partition(".")
            for section in ("required", "optional"):
                declared = nodes[class_type].get("input", {}).get(section, {}).get(name)
                if declared is None:
                    continue
                if isinstance(declared[0], list):
                    declared[0] = []
                else:
                    declared[1]["options"] = []
                if len(declared) > 1:
                    declared[1].pop("default", None)
        return nodes


@lru_cache(maxsize=4)
def load_catalogue(path: Path = BUNDLED) -> NodeCatalogue:
    """`NodeCatalogue.load`, once a process and file."""
    return NodeCatalogue.load(path)


def _options(declared: Any) -> Mapping[str, Any]:
    return declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else {}


def choices_of(declared: Any) -> Choices | None:
    """The choices of an input as `/object_info` declares it, in either form; None where it has none."""
    if isinstance(declared[0], list):
        return Choices(declared[0])
    options = _options(declared).get("options")
    if declared[0] == "COMBO" and isinstance(options, list):
        return Choices(options)
    if declared[0] == "COMFY_DYNAMICCOMBO_V3" and isinstance(options, list):
        return Choices(option["key"] for option in options)
    return None


def is_list_of_files(class_type: str, name: str, declared: Any, model_files: frozenset[str] = frozenset()) -> bool:
    """Whether the choices of an input are files of the one ComfyUI that declares it so.

    Args:
        class_type: the node class.
        name: the input.
        declared: as `/object_info` has it.
        model_files: all file names that `/models/FOLDER` lists.
    """
    choices = choices_of(declared)
    if choices is None:
        return False
    if not choices or _UPLOADS & set(_options(declared)):
        return True
    names = [choice for choice in choices if isinstance(choice, str)]
    if any(name in model_files or _MODEL_FILE.search(name) or _MACHINE_PATH.search(name) for name in names):
        return True
    # A loader's list may hold one name that is no file, as VAELoader's "pixel_space" in 0.8.0.
    return "Loader" in class_type and bool(_LOADER_INPUT.search(name))


def _marked(nodes: Mapping[str, Any]) -> frozenset[str]:
    return NodeCatalogue.from_object_info(nodes, version="").from_files


def _without_prose(value: Any) -> Any:
    """`/object_info` without the texts for people: they are long, change often and decide nothing."""
    if isinstance(value, Mapping):
        return {key: _without_prose(item) for key, item in value.items() if key not in _PROSE}
    return [_without_prose(item) for item in value] if isinstance(value, list) else value
