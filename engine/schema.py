"""Parameter maps: the file beside a template that gives it a signature (`schemas/NAME.json`).

The models here say what a map may hold, `engine.map_file` reads one and says what is wrong with it, and
`engine.workflow` says whether it fits its template. Constraint words are JSON Schema's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from engine.aspect_ratio import PATTERN as RATIO_PATTERN
from engine.aspect_ratio import bounds_of
from engine.map_parts import Computed, Example, Model, Output, QualityGate, Repeat, Requires, Rule, Switch

PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED_NAMES = frozenset(
    {"item", "workflow", "job_id", "self"}  # names that expressions give a meaning
    | {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none"}  # words of expressions
)
MEDIA_TYPES = ("image", "mask", "video", "audio", "file")
SEED_MAXIMUM = 2**64 - 1


_CAMEL = frozenset(
    {
        "min_length",
        "max_length",
        "exclusive_minimum",
        "exclusive_maximum",
        "multiple_of",
        "min_items",
        "max_items",
        "max_bytes",
        "max_pixels",
        "min_side",
        "aspect_ratio",
        "resize_to",
    }
)


def spelling(name: str) -> str:
    """JSON Schema's words keep its spelling; ours are snake_case."""
    return to_camel(name) if name in _CAMEL else name


class BindingPath(Model):
    """Where a value goes, where a bare path does not say enough."""

    path: str = Field(description="JSONPath of one input: $['3'].inputs.seed")
    match: Literal["one", "all"] = Field("one", description="`all`: the path may match several inputs")
    replaces_link: bool = Field(False, description="the input holds a link, which the value replaces")
    create: bool = Field(False, description="the input is not in the export; make it")


Bind: TypeAlias = str | BindingPath | list[str | BindingPath]


class AnyParameter(Model):
    """What every parameter has."""

    model_config = ConfigDict(alias_generator=spelling)

    title: str | None = Field(None, description="a name for people")
    description: str | None = Field(None, description="what it does, for people")
    group: str | None = Field(None, description="heading under which forms show it")
    deprecated: bool = Field(False, description="callers had better not send it any more")
    examples: list[Any] = Field(default_factory=list, description="values that work")
    required: bool = Field(False, description="the caller must send it")
    bind: Bind = Field(default_factory=list, description="where the value goes: a JSONPath or several")
    default: Any = Field(None, description="the value when it is not sent; without it, the template's own")

    @property
    def has_default(self) -> bool:
        """Whether the map gives a default, be it null."""
        return "default" in self.model_fields_set

    @property
    def nullable(self) -> bool:
        """Whether null is a value of it."""
        return self.has_default and self.default is None

    @property
    def bindings(self) -> tuple[BindingPath, ...]:
        """The places as written, each in its long form."""
        listed = self.bind if isinstance(self.bind, list) else [self.bind]
        return tuple(BindingPath(path=entry) if isinstance(entry, str) else entry for entry in listed)


class StringParameter(AnyParameter):
    """A text, or one of a list of choices."""

    type: Literal["string"]
    min_length: int | None = Field(None, ge=0, description="the fewest characters")
    max_length: int | None = Field(None, ge=0, description="the most characters")
    pattern: str | None = Field(None, description="a regular expression of Python, searched for in the text")
    enum: list[str] | None = Field(None, min_length=1, description="the texts that are allowed")
    choices: str | Literal[False] | None = Field(
        None,
        description='"Class.input" whose list holds; false: none; absent: the bound input decides',
    )
    multiline: bool = Field(False, description="forms show a text area")


class _Numeric(AnyParameter):
    minimum: float | int | None = Field(None, description="the least")
    maximum: float | int | None = Field(None, description="the most")
    exclusive_minimum: float | int | None = Field(None, description="it must be above")
    exclusive_maximum: float | int | None = Field(None, description="it must be below")
    multiple_of: float | int | None = Field(None, gt=0, description="it must be a multiple, exact in decimal")


class IntegerParameter(_Numeric):
    """A whole number."""

    type: Literal["integer"]
    enum: list[int] | None = Field(None, min_length=1, description="the numbers that are allowed")


class NumberParameter(_Numeric):
    """A number."""

    type: Literal["number"]
    enum: list[float | int] | None = Field(None, min_length=1, description="the numbers that are allowed")


class BooleanParameter(AnyParameter):
    """true or false."""

    type: Literal["boolean"]


class SeedParameter(AnyParameter):
    """A whole number from 0 to 2^64-1, or -1 to draw one.

    Where it is neither sent nor given a default it is drawn: a fixed seed in an export is an accident.
    """

    type: Literal["seed"]
    maximum: int = Field(SEED_MAXIMUM, ge=0, le=SEED_MAXIMUM, description="the most")


class MediaParameter(AnyParameter):
    """A file: a URL, a data URI, base64, or, on the command line, @path. Absent, it is null."""

    type: Literal["image", "mask", "video", "audio", "file"]
    max_bytes: int | None = Field(None, ge=1, description="the largest file, below what the operator allows")

    @property
    def nullable(self) -> bool:
        """A file may be left out unless it is required."""
        return not self.required


class FileParameter(MediaParameter):
    """A file that is no picture."""

    type: Literal["video", "audio", "file"]


_Ratio: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "pattern": RATIO_PATTERN})]


class PictureParameter(MediaParameter):
    """A picture."""

    type: Literal["image", "mask"]
    max_pixels: int | None = Field(
        None, ge=1, description="the most pixels, all frames together, below what the operator allows"
    )
    min_side: int | None = Field(None, ge=1, description="pixels that the shorter side has at least, once it is scaled")
    aspect_ratio: _Ratio | list[_Ratio] | None = Field(
        None, description='width to height: "16:9", or the narrowest and the widest: ["1:2", "2:1"]'
    )
    resize_to: int | None = Field(
        None, ge=1, description="pixels of the longest side; a larger picture is scaled down to it"
    )
    animated: bool = Field(False, description="pictures of several frames or pages are taken as well")

    @property
    def aspect_bounds(self) -> tuple[Fraction, Fraction] | None:
        """The least and the greatest width divided by height; None where any will do.

        Raises:
            ValueError: the map says something else; none that has loaded does.
        """
        return None if self.aspect_ratio is None else bounds_of(self.aspect_ratio)


class ArrayParameter(AnyParameter):
    """A list."""

    type: Literal["array"]
    items: Parameter = Field(description="what each item is, as a parameter")
    min_items: int | None = Field(None, ge=0, description="the fewest items")
    max_items: int | None = Field(None, ge=0, description="the most items")


class ObjectParameter(AnyParameter):
    """Named values."""

    type: Literal["object"]
    properties: dict[str, Parameter] = Field(description="its parts by name, each as a parameter")


Parameter: TypeAlias = Annotated[
    StringParameter
    | IntegerParameter
    | NumberParameter
    | BooleanParameter
    | SeedParameter
    | PictureParameter
    | FileParameter
    | ArrayParameter
    | ObjectParameter,
    Field(discriminator="type"),
]


class ParameterMap(Model):
    """The whole file."""

    schema_: str | None = Field(
        None, alias="$schema", description="`parameter-map.schema.json`: your editor then completes and checks the file"
    )
    title: str | None = Field(None, description="a name for people; the workflow's own without it")
    description: str | None = Field(None, description="what it does, for people")
    version: str = Field("1.0", description="reported with every result")
    parameters: dict[str, Parameter] = Field(description="what a caller may send, by name")
    computed: dict[str, str | Computed] = Field(
        default_factory=dict, description="JSONPath of an input to the expression for it"
    )
    rules: list[Rule] = Field(default_factory=list, description="what must hold between parameters")
    switches: dict[str, Switch] = Field(default_factory=dict, description="parts that a payload turns on and off")
    repeat: dict[str, Repeat] = Field(default_factory=dict, description="node id to how it is repeated")
    outputs: dict[str, Output] = Field(
        default_factory=dict, description="what is returned, by name; without it, what every output node makes"
    )
    expects: dict[str, str] = Field(
        default_factory=dict, description="node id to the class it had: finds out when a new export moved the ids"
    )
    accept: list[QualityGate] = Field(default_factory=list, description="checks that a result must pass")
    retries: int | None = Field(
        None,
        ge=0,
        le=10,
        description="how often a result that does not pass is made anew, with another seed; without it 3, or 0 where "
        "there is no seed to draw",
    )
    otherwise: Literal["best", "fail"] = Field(
        "best",
        description="what becomes of a job whose results all do not pass: the best one with a warning, or failure",
    )
    requires: Requires = Field(default_factory=Requires, description="what a worker must have")
    timeout_seconds: float | None = Field(None, gt=0, description="the longest a run may take")
    examples: list[Example] = Field(
        default_factory=list, description="payloads that work; tried whenever the workflow loads"
    )


PARAMETER_TYPES: dict[str, type[AnyParameter]] = {
    "string": StringParameter,
    "integer": IntegerParameter,
    "number": NumberParameter,
    "boolean": BooleanParameter,
    "seed": SeedParameter,
    **dict.fromkeys(("image", "mask"), PictureParameter),
    **dict.fromkeys(("video", "audio", "file"), FileParameter),
    "array": ArrayParameter,
    "object": ObjectParameter,
}


def walk(parameters: Mapping[str, Any], where: str = "parameters") -> Iterator[tuple[str, Any, bool]]:
    """Every parameter with its key in the map and whether it is nested in another."""
    for name, parameter in parameters.items():
        yield from _walk_one(parameter, f"{where}.{name}", nested=where != "parameters")


def _walk_one(parameter: Any, where: str, *, nested: bool) -> Iterator[tuple[str, Any, bool]]:
    yield where, parameter, nested
    if isinstance(parameter, ArrayParameter):
        yield from _walk_one(parameter.items, f"{where}.items", nested=True)
    elif isinstance(parameter, ObjectParameter):
        yield from walk(parameter.properties, f"{where}.properties")
