"""Something that a workflow needs and this worker lacks, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from engine.needs import NeededModel
from engine.node_packs import node_packs
from engine.readiness.presence import OutOfSight


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is missing.

    Attributes:
        kind: a model file, or a node class.
        name: the model's path as ComfyUI sees it (`checkpoints/sd15.safetensors`), or the class's.
        remedy: what the operator does.
        for_some: only some payloads need it.
        default_of: the parameters whose default it is.
        is_coming: it is being fetched.
    """

    kind: Literal["model", "class"]
    name: str
    remedy: str
    for_some: bool = False
    default_of: tuple[str, ...] = ()
    is_coming: bool = False

    @property
    def what(self) -> str:
        """For people."""
        return "model" if self.kind == "model" else "node class"

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        told: dict[str, Any] = {"kind": self.kind, "name": self.name, "remedy": self.remedy}
        return told | ({"default_of": list(self.default_of)} if self.default_of else {})


def missing_model(
    model: NeededModel, workflow: str, *, is_coming: bool, out_of_sight: OutOfSight | None = None
) -> Missing:
    """A model that is not there.

    Args:
        model: which.
        workflow: the name of one that needs it.
        is_coming: it is being fetched.
        out_of_sight: where it lies, though node packs do not see it there.
    """
    if is_coming:
        remedy = "wait: it is being fetched"
    elif out_of_sight:
        remedy = (
            f"link {out_of_sight.lying} to {out_of_sight.wanted}, where node packs look: the worker can't write there"
        )
    elif model.url:
        remedy = f"engine models fetch {workflow} gets it from {urlsplit(model.url).hostname}"
    else:
        remedy = f"put it into models/{model.path.rpartition('/')[0]}: no map names a url for it"
    return Missing("model", model.path, remedy, not model.always, model.default_of, is_coming)


def missing_class(class_type: str, *, for_some: bool) -> Missing:
    """A node class that the running ComfyUI does not have."""
    pack = node_packs().get(class_type)
    remedy = f"install the node pack {pack}" if pack else f"install the node pack that has {class_type}"
    return Missing("class", class_type, f"{remedy}, and restart ComfyUI", for_some)
