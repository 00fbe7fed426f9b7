"""Whether the values that a map itself holds (defaults inside lists, examples) are ones it would take. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.errors import InvalidPayload, Problem
from engine.payload import PayloadValidator
from engine.schema import Parameter, walk


def payload_problems(
    validator: PayloadValidator, payload: dict[str, Any], choices: Mapping[str, Sequence[Any]]
) -> tuple[Problem, ...]:
    """What a validator has against a payload; nothing where it takes it."""
    try:
        validator.validate(payload, choices)
    except InvalidPayload as error:
        return error.problems
    return ()


def parameter_problems(
    parameters: Mapping[str, Parameter], checker: PayloadValidator, choices: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, str]]:
    """What is wrong with nested defaults and with single parameters' examples: the key in the map, and the message.

    Args:
        parameters: as the map has them.
        checker: takes each parameter alone.
        choices: the lists that hold.
    """
    for where, parameter, nested in walk(parameters):
        if nested and parameter.default is not None:
            alone = PayloadValidator({"x": parameter.model_copy(update={"required": False})}, {})
            for problem in payload_problems(alone, {"x": parameter.default}, {}):
                yield f"{where}.default", f"does not validate: {problem.message}"
    for name, parameter in parameters.items():
        for index, value in enumerate(parameter.examples):
            for problem in payload_problems(checker, {name: value}, choices):
                yield f"parameters.{name}.examples[{index}]", f"does not validate: {problem.message}"
