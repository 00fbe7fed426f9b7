"""The smallest graph that runs a node class, made from the node catalogue alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.nodes import InputSpec, NodeCatalogue

# Where a type has many sources, the usual one: the graphs stay small.
USUAL_SOURCES = {
    "IMAGE": "EmptyImage",
    "LATENT": "EmptyLatentImage",
    "MASK": "SolidMask",
    "MODEL": "CheckpointLoaderSimple",
    "CLIP": "CheckpointLoaderSimple",
    "VAE": "CheckpointLoaderSimple",
    "CONDITIONING": "CLIPTextEncode",
}
LARGE = {"width": 64, "height": 64, "length": 5, "batch_size": 1}


class NoGraphError(Exception):
    """Something that the class needs can't be made."""


def minimal_graph(
    class_type: str, catalogue: NodeCatalogue, choices: Mapping[str, Sequence[str]]
) -> dict[str, Any] | None:
    """A graph with that class and what its required inputs need; None where there can be none."""
    maker = _Maker(catalogue, choices)
    try:
        node_id = maker.add(class_type, ())
    except NoGraphError:
        return None
    if not catalogue[class_type].is_output:
        maker.graph["end"] = {"class_type": "PreviewAny", "inputs": {"source": [node_id, 0]}}
    return maker.graph


class _Maker:
    def __init__(self, catalogue: NodeCatalogue, choices: Mapping[str, Sequence[str]]) -> None:
        self.graph: dict[str, Any] = {}
        self._catalogue, self._choices = catalogue, choices

    def add(self, class_type: str, above: tuple[str, ...]) -> str:
        if class_type in above:
            raise NoGraphError
        inputs: dict[str, Any] = {}
        for name, spec in self._catalogue[class_type].inputs.items():
            if spec.required:
                inputs |= self._values(class_type, name, spec, (*above, class_type))
        node_id = str(len(self.graph) + 1)
        self.graph[node_id] = {"class_type": class_type, "inputs": inputs}
        return node_id

    def _values(self, class_type: str, name: str, spec: InputSpec, above: tuple[str, ...]) -> dict[str, Any]:
        if spec.type == "COMFY_AUTOGROW_V3":
            kind = {"images": "IMAGE", "latents": "LATENT", "masks": "MASK"}[name]
            prefix = name[:-1]
            return {f"{name}.{prefix}{index}": self._link(kind, above) for index in range(2)}
        if spec.type == "COMFY_DYNAMICCOMBO_V3":
            return {name: "scale by multiplier", f"{name}.multiplier": 2.0}
        if spec.is_value:
            return {name: self._literal(class_type, name, spec)}
        kind = spec.type.split(",")[0]
        return {name: self._link("IMAGE" if kind in ("*", "COMFY_MATCHTYPE_V3") else kind, above)}

    def _literal(self, class_type: str, name: str, spec: InputSpec) -> Any:
        if spec.type == "COMBO":
            choices = self._choices.get(f"{class_type}.{name}", spec.choices)
            if not choices:
                raise NoGraphError
            return choices[0]
        if name in LARGE:
            within = LARGE[name] if spec.maximum is None else min(LARGE[name], spec.maximum)
            return max(within, spec.minimum or 0)
        if spec.default is not None:
            return spec.default
        return {"INT": 1, "FLOAT": 1.0, "BOOLEAN": False, "STRING": "text"}[spec.type]

    def _link(self, kind: str, above: tuple[str, ...]) -> list[Any]:
        usual = USUAL_SOURCES.get(kind)
        sources = [usual] if usual else [name for name, spec in self._catalogue.items() if kind in spec.outputs]
        for name in sources:
            before = dict(self.graph)
            try:
                return [self.add(name, above), self._catalogue[name].outputs.index(kind)]
            except NoGraphError:
                self.graph = before
        raise NoGraphError
