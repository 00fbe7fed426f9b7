"""From the parameters of a map to a validator of payloads and to their JSON Schema. Pure.

Built on pydantic-core, which checks a payload in microseconds; `value_schemas.py` says how each type is checked.
"""

from __future__ import annotations

import copy
import itertools
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import SchemaValidator, ValidationError

from engine.errors import MOST_PROBLEMS, InvalidPayload, Problem
from engine.map_file import join_path
from engine.media_forms import media_problem
from engine.media_values import holds_media
from engine.schema import ArrayParameter, MediaParameter, ObjectParameter, Parameter, SeedParameter
from engine.value_schemas import RANDOM_SEED, fields_schema
from engine.wording import count_of, did_you_mean, kind_of, listed, not_available, shown

DRAWN_SEED_BITS = 53  # JavaScript callers read whole numbers exactly up to 2^53

Choices = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class ChoiceList:
    """A parameter, maybe inside others, whose values come from a list of the node catalogue.

    Attributes:
        path: where it is in a payload; `*` stands for every item of an array.
        reference: `Class.input`.
    """

    path: tuple[str, ...]
    reference: str


class PayloadValidator:
    """Checks payloads against parameters and fills in what they leave out.

    Args:
        parameters: by name, in the order of the map.
        defaults: the value of each parameter that is not required and not a seed.
        choice_lists: the parameters whose values come from lists.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        defaults: Mapping[str, Any],
        choice_lists: Sequence[ChoiceList] = (),
    ) -> None:
        self._parameters = parameters
        self._whole = ObjectParameter.model_construct(type="object", properties=dict(parameters))
        self._choice_lists = choice_lists
        self._choices_at = tuple((each.reference, each.path[0], each.path[1:]) for each in choice_lists)
        self._seeds = {
            name: min(2**DRAWN_SEED_BITS, each.maximum + 1)
            for name, each in parameters.items()
            if isinstance(each, SeedParameter)
        }
        self._blank = {name: defaults.get(name) for name in parameters}
        self._mutable = tuple(name for name, value in self._blank.items() if isinstance(value, list | dict))
        for name in self._seeds:
            self._blank[name] = defaults.get(name, RANDOM_SEED)
        self._validator = SchemaValidator(fields_schema(parameters, with_defaults=False))

    def validate(self, payload: Any, choices: Choices, from_files: Collection[str] = ()) -> dict[str, Any]:
        """The values of a payload.

        Args:
            payload: what the caller sent.
            choices: `Class.input` to what it takes; a reference that is missing takes anything.
            from_files: the references whose choices are files of the worker.

        Returns:
            Every parameter with its value, seeds drawn.

        Raises:
            InvalidPayload: with every problem.
        """
        try:
            given = self._validator.validate_python(payload)
        except ValidationError as error:
            problems = list(itertools.islice(self._problems(error, payload), MOST_PROBLEMS + 1))
            if isinstance(payload, dict):
                refused = {problem.where for problem in problems}
                more = (
                    each for each in self._choice_problems(payload, choices, from_files) if each.where not in refused
                )
                problems += itertools.islice(more, MOST_PROBLEMS + 1)
            raise InvalidPayload(problems=problems) from None
        for reference, name, below in self._choices_at:
            if name not in given or (allowed := choices.get(reference)) is None:
                continue
            value = given[name]
            if not (_are_among(value, below, allowed) if below else value in allowed or not isinstance(value, str)):
                found = self._choice_problems(given, choices, from_files)
                raise InvalidPayload(problems=list(itertools.islice(found, MOST_PROBLEMS + 1)))
        values = {**self._blank, **given}
        for name in self._mutable:
            if name not in given:
                values[name] = copy.deepcopy(values[name])
        for name, below in self._seeds.items():
            if values[name] == RANDOM_SEED:
                values[name] = secrets.randbelow(below)
        return values

    def with_seeds_drawn(self, values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
        """Values with these seeds drawn anew."""
        return {**values, **{name: secrets.randbelow(self._seeds[name]) for name in names}}

    def _choice_problems(
        self, payload: Mapping[str, Any], choices: Choices, from_files: Collection[str]
    ) -> Iterator[Problem]:
        for choice_list in self._choice_lists:
            allowed = choices.get(choice_list.reference)
            if allowed is None:
                continue
            for where, value in _values_at(payload, choice_list.path):
                if isinstance(value, str) and value not in allowed:
                    files = choice_list.reference in from_files
                    yield Problem(join_path(where), not_available(value, allowed, files=files))

    def _problems(self, error: ValidationError, payload: Any) -> Iterator[Problem]:
        if not isinstance(payload, dict):
            yield Problem("", f"the payload must be an object of parameters (got {kind_of(payload)})")
            return
        for item in error.errors(include_url=False):
            location, kind = item["loc"], item["type"]
            parameter, depth = self._at(location)
            path, inside = location[:depth], location[depth:]
            if isinstance(parameter, MediaParameter) and (inside or kind != "missing"):
                keys, message = media_problem(kind, item["input"], inside, parameter.type)
            else:
                keys, message = tuple(map(str, inside)), self._message(item, parameter)
            yield Problem(join_path(step if isinstance(step, int) else _cut(step) for step in (*path, *keys)), message)

    def _at(self, location: Sequence[int | str]) -> tuple[Any, int]:
        """The parameter at a place of a payload, or the names that may stand there where it is unknown.

        With it, how many steps lead there; what follows is inside a file's own form.
        """
        here: Any = self._whole
        for depth, step in enumerate(location):
            if isinstance(here, ArrayParameter) and isinstance(step, int):
                here = here.items
            elif isinstance(here, ObjectParameter) and step in here.properties:
                here = here.properties[str(step)]
            elif isinstance(here, MediaParameter):
                return here, depth
            else:
                return list(here.properties) if isinstance(here, ObjectParameter) else [], depth
        return here, len(location)

    def _message(self, item: Any, parameter: Any) -> str:
        kind, value, context = item["type"], item["input"], item.get("ctx", {})
        got = f" (got {kind_of(value) if holds_media(parameter) else shown(value)})"
        if kind == "extra_forbidden":
            known = parameter if isinstance(parameter, list) else []
            name = str(item["loc"][-1])
            return f"unknown parameter{did_you_mean(_cut(name), known)}; the parameters are: {listed(known)}"
        if kind == "missing":
            return "is required"
        if kind in _BOUND_MESSAGES:
            key, text = _BOUND_MESSAGES[kind]
            return text.format(_number_text(context[key])) + got
        if kind in {"string_too_short", "string_too_long"}:
            low = kind == "string_too_short"
            bound = context["min_length" if low else "max_length"]
            if low and bound == 1:
                return "must not be empty"
            return f"must have {'at least' if low else 'at most'} {count_of(bound, 'character')} (got {len(value)})"
        if kind in {"too_short", "too_long"}:
            low = kind == "too_short"
            bound = context["min_length" if low else "max_length"]
            return f"must have {'at least' if low else 'at most'} {count_of(bound, 'item')} (got {len(value)})"
        if kind.startswith("engine_"):
            return f"{item['msg']}{got}"
        if kind == "string_unicode":
            return "must be valid Unicode text (it has a lone surrogate)"
        return f"must be {_wanted(parameter)}{got}"


_BOUND_MESSAGES = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "greater_than": ("gt", "must be above {}"),
    "less_than": ("lt", "must be below {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
}


def _cut(name: str) -> str:
    """A name that a caller made up, short enough for a message and for looking for the nearest."""
    text = name.encode("utf-8", "replace").decode()
    return text if len(text) <= 64 else f"{text[:64]}…"


def _number_text(number: Any) -> str:
    """A bound without the `.0` that pydantic gives to whole floats."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def _wanted(parameter: Any) -> str:
    words = {
        "string": "a string",
        "integer": "a whole number",
        "number": "a finite number",
        "boolean": "true or false",
        "seed": "a whole number, or -1 for a random one",
        "array": "an array",
        "object": "an object",
    }
    return words[getattr(parameter, "type", "object")]


def _are_among(value: Any, path: tuple[str, ...], allowed: Sequence[Any]) -> bool:
    """Whether all texts at a path of a payload are choices."""
    for depth, key in enumerate(path):
        if key == "*":
            below = path[depth + 1 :]
            return all(_are_among(item, below, allowed) for item in value or ())
        if not value or key not in value:
            return True
        value = value[key]
    return value in allowed or not isinstance(value, str)


def _values_at(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    if not path:
        yield (), value
    elif path[0] == "*":
        if isinstance(value, list):
            for index, item in enumerate(value):
                for where, found in _values_at(item, path[1:]):
                    yield (index, *where), found
    elif isinstance(value, dict) and path[0] in value:
        for where, found in _values_at(value[path[0]], path[1:]):
            yield (path[0], *where), found
