"""The parts of a parameter map beside its parameters: what is computed, switched, repeated, returned, required.

`engine.schema` has the parameters and the map as a whole.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.model_entries import ModelPath, Sha256, checked_entry


class Model(BaseModel):
    """The base: unknown keys are refused, types are strict, nothing changes after loading.

    Most are only ever read as a part of another, so that pydantic is to build what reads them when that is used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Computed(Model):
    """An expression for one input, where the bare expression does not say enough."""

    expression: str = Field(description="what is computed")
    match: Literal["one", "all"] = Field("one", description="`all`: the path may match several inputs")
    replaces_link: bool = Field(False, description="the input holds a link; the expression may give another")
    create: bool = Field(False, description="the input is not in the export; make it")


class Rule(Model):
    """What must hold between parameters."""

    that: str = Field(description="an expression that gives true or false")
    message: str = Field(min_length=1, description="what the caller reads when it does not hold")


class Output(Model):
    """A node whose results are returned under a name."""

    node: str = Field(description="id of a node that saves something")
    kind: Literal["image", "video", "audio", "text", "3d", "file"] | None = Field(
        None, description="what it makes; of a node that makes several, these are returned"
    )
    title: str | None = Field(None, description="a name for people")
    description: str | None = Field(None, description="what it is, for people")


class ModelFile(Model):
    """A model file that the workflow needs."""

    path: ModelPath = Field(description="below ComfyUI's models folder, kind first: checkpoints/sd15.safetensors")
    url: str | None = Field(None, description="where it is downloaded from: https, or http where there is a sha256")
    sha256: Sha256 | None = Field(None, description="of its bytes, as hex")
    size_bytes: int | None = Field(None, gt=0, description="how many bytes it has")
    source: str | None = Field(
        None, description="where url, sha256 and size are known from: a page; without one they are null: `unverified`"
    )


class Gpu(Model):
    """The GPU that the workflow wants; for people, nothing is refused for it."""

    memory_gb: float = Field(gt=0, description="the memory of a card on which it runs well, in GB")
    source: str = Field(min_length=1, description="where that is known from, or what it was reckoned from")


class Requires(Model):
    """What a worker must have to run the workflow."""

    models: list[Annotated[ModelFile, AfterValidator(checked_entry)]] = Field(
        default_factory=list, description="the model files"
    )
    node_packs: list[str] = Field(default_factory=list, description="names of custom node packs")
    gpu: Gpu | None = Field(None, description="the GPU it wants")


class Example(Model):
    """A payload that works."""

    title: str = Field(min_length=1, description="what it shows")
    description: str | None = Field(None, description="more about it")
    payload: dict[str, Any] = Field(description="what a caller would send")


class Repeat(Model):
    """One node for each item of a list, one after the other: any number of LoRAs."""

    over: str = Field(description="an expression that gives a list; without items the node is bypassed")
    through: dict[str, int] | None = Field(
        None,
        description="input to the output of the node before that it is linked to; absent, the n-th output of a type "
        "goes to the n-th input of that type",
    )
    set: dict[str, str] = Field(
        default_factory=dict, description="input to an expression over `item` and the parameters"
    )


class Switch(Model):
    """Nodes that only take part while a condition holds."""

    when: str = Field(description="an expression that gives true or false")
    bypass: list[str] = Field(
        default_factory=list, description="nodes that hand on what they get, where the switch is off"
    )
    remove: list[str] = Field(
        default_factory=list, description="nodes that go, with the optional links from them, where the switch is off"
    )
    through: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="bypassed node to its inputs, each with the output that it stands for; absent, the n-th output "
        "of a type is the n-th input of that type",
    )


class QualityGate(Model):
    """A check that a result must pass; `engine.quality` has them."""

    check: str = Field(description="the name of a check: docs/quality.md has them")
    output: str | None = Field(
        None, description="the output whose pictures are judged; may be left out where there is one alone"
    )
    min: float | int | None = Field(None, description="the least score that passes; without it, the check's own")
    max: float | int | None = Field(None, description="the highest score that passes; without it, the check's own")
    input: str | None = Field(
        None,
        description="for a check that compares: the parameter with the picture; left out, the only one",
    )
    when: str | None = Field(None, description="an expression that gives true or false; without it, always")
    message: str | None = Field(None, min_length=1, description="what the caller reads when a picture does not pass it")
