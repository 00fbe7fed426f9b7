"""Reading a parameter map: everything that is wrong with it, in words for its author."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.errors import InvalidMap, Problem
from engine.map_parts import (
    Computed,
    Example,
    Gpu,
    Model,
    ModelFile,
    Output,
    QualityGate,
    Repeat,
    Requires,
    Rule,
    Switch,
)
from engine.media_values import media_in
from engine.schema import (
    PARAMETER_NAME,
    PARAMETER_TYPES,
    RESERVED_NAMES,
    AnyParameter,
    BindingPath,
    IntegerParameter,
    ParameterMap,
    PictureParameter,
    SeedParameter,
    StringParameter,
    spelling,
    walk,
)
from engine.wording import did_you_mean, kind_of, listed, shown

_ADAPTER: TypeAdapter[ParameterMap] = TypeAdapter(ParameterMap)


def parse_map(document: Any, *, label: str) -> ParameterMap:
    """Check a parameter map by itself.

    Args:
        document: what `read_json` gave.
        label: how messages call the file.

    Raises:
        InvalidMap: with every problem, each under the key it is at.
    """
    if not isinstance(document, dict):
        raise InvalidMap(
            problems=[Problem("", f"a parameter map is a JSON object, not {kind_of(document)}", file=label)]
        )
    try:
        parameter_map = _ADAPTER.validate_python(document)
    except ValidationError as error:
        raise InvalidMap(problems=_problems(error, document, label)) from None
    problems = [Problem(where, message, file=label) for where, message in _own_checks(parameter_map)]
    if problems:
        raise InvalidMap(problems=problems)
    return parameter_map


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a parameter map, for editors."""
    schema = _ADAPTER.json_schema(by_alias=True)
    schema["properties"]["parameters"]["propertyNames"] = {"pattern": f"^{PARAMETER_NAME.pattern}$"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Parameter map"}


def _own_checks(parameter_map: ParameterMap) -> Iterator[tuple[str, str]]:
    """What the models can't say: names, and bounds that contradict each other."""
    for where, parameter, nested in walk(parameter_map.parameters):
        name = where.rsplit(".", 1)[1]
        if not (isinstance(parameter, AnyParameter) and name == "items" and nested):
            yield from _name_checks(name, where)
        if nested:
            yield from _nested_checks(parameter, where)
        if parameter.required and parameter.has_default:
            yield where, "it is `required` and has a `default`; keep one of the two"
        for found in media_in(parameter, f"{where}.default", parameter.default):
            yield found.where, "a file has no default but null"
        yield from _bound_checks(parameter, where)


def _name_checks(name: str, where: str) -> Iterator[tuple[str, str]]:
    if not PARAMETER_NAME.fullmatch(name):
        yield where, f'"{name}" is no name for a parameter: a-z first, then a-z, 0-9 and _'
    elif name in RESERVED_NAMES:
        yield where, f'the name "{name}" is reserved for expressions; choose another'


def _nested_checks(parameter: Any, where: str) -> Iterator[tuple[str, str]]:
    if parameter.bindings:
        yield f"{where}.bind", "only a parameter at the top has a `bind`"
    if isinstance(parameter, SeedParameter):
        yield where, f"a parameter of type {parameter.type} stands at the top, not inside another"


def _bound_checks(parameter: Any, where: str) -> Iterator[tuple[str, str]]:
    pairs = (("min_length", "max_length"), ("min_items", "max_items"), ("minimum", "maximum"))
    for low_name, high_name in pairs:
        low, high = getattr(parameter, low_name, None), getattr(parameter, high_name, None)
        if low is not None and high is not None and low > high:
            yield where, f"{spelling(low_name)} {shown(low)} is above {spelling(high_name)} {shown(high)}"
    if isinstance(parameter, StringParameter) and parameter.pattern is not None:
        try:
            re.compile(parameter.pattern)
        except re.error as error:
            yield f"{where}.pattern", f"not a regular expression: {error}"
    if isinstance(parameter, PictureParameter):
        try:
            _ = parameter.aspect_bounds
        except ValueError as error:
            yield f"{where}.aspectRatio", str(error)
    if isinstance(parameter, IntegerParameter):
        for bound in ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of"):
            value = getattr(parameter, bound)
            if isinstance(value, float) and not value.is_integer():
                yield f"{where}.{spelling(bound)}", f"must be a whole number for an integer (got {value})"


_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def _problems(error: ValidationError, document: Any, label: str) -> list[Problem]:
    """Pydantic's errors in words for an author; what the branches of a union say becomes one problem."""
    items = [(_path(item["loc"], document), item) for item in error.errors(include_url=False)]
    wanted: dict[str, list[str]] = {}
    for path, item in items:
        if item["type"] in _WANTED:
            words = wanted.setdefault(join_path(path), [])
            words += [_WANTED[item["type"]]] if _WANTED[item["type"]] not in words else []
            if "a number" in words and "a whole number" in words:
                words.remove("a whole number")
    problems: dict[Problem, None] = {}
    for path, item in items:
        where = join_path(path)
        if item["type"] not in _WANTED:
            problems[Problem(*_words(path, item, document), file=label)] = None
        elif not any(join_path(other).startswith(f"{where}.") for other, _ in items):
            # A branch of a union that got further than the type is the one the author meant.
            message = f"must be {' or '.join(wanted[where])} (got {shown(item['input'])})"
            problems[Problem(where, message, file=label)] = None
    return list(problems)


def _words(path: list[int | str], item: Any, document: Any) -> tuple[str, str]:
    """Where one of pydantic's errors is, and what it says."""
    where, kind, value = join_path(path), item["type"], item.get("input")
    last = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return where, _unknown_key(last, path, document)
    if kind == "missing":
        return where, f'the key "{last}" is missing'
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        sent = value.get("type") if isinstance(value, dict) else None
        wrong = (
            "the type is missing"
            if sent is None
            else f"unknown type {shown(sent)}{did_you_mean(str(sent), PARAMETER_TYPES)}"
        )
        return f"{where}.type", f"{wrong}; the types are: {listed(PARAMETER_TYPES)}"
    if kind == "value_error":
        return where, str(item["ctx"]["error"])
    message = item["msg"].replace("Input should", "must", 1)
    return where, f"{message} (got {shown(value)})"


def join_path(path: Iterable[int | str]) -> str:
    """`loras[0].strength` of `("loras", 0, "strength")`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _path(location: tuple[int | str, ...], document: Any) -> list[int | str]:
    """Pydantic's location without its own marks (the tags of unions)."""
    path: list[int | str] = []
    here: Any = document
    for position, step in enumerate(location):
        if _leads_on(here, step):
            here = here[step]
            path.append(step)
        elif position == len(location) - 1 and not _is_mark(step):
            path.append(step)
    return path


def _leads_on(here: Any, step: int | str) -> bool:
    return (isinstance(here, dict) and step in here) or (isinstance(here, list) and isinstance(step, int))


def _is_mark(step: int | str) -> bool:
    marks = {"str", "bool", "int", "float", *PARAMETER_TYPES}
    return isinstance(step, str) and (step in marks or step[:1].isupper() or "[" in step)


def _keys_at(path: list[int | str], parent: Any) -> list[str]:
    section = str(path[0]) if len(path) > 1 else ""
    if not section:
        return _keys(ParameterMap)
    if section == "parameters":
        if "bind" in path[2:]:
            return _keys(BindingPath)
        model = PARAMETER_TYPES.get(parent.get("type", "")) if isinstance(parent, dict) else None
        return _keys(model) if model else []
    sections: dict[str, type[Model]] = {
        "computed": Computed,
        "rules": Rule,
        "switches": Switch,
        "repeat": Repeat,
        "outputs": Output,
        "examples": Example,
        "accept": QualityGate,
        "requires": ModelFile if "models" in path[1:-1] else Gpu if "gpu" in path[1:-1] else Requires,
    }
    return _keys(sections[section]) if section in sections else []


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_key(key: str, path: list[int | str], document: Any) -> str:
    parent: Any = document
    for step in path[:-1]:
        parent = parent[step]
    known = _keys_at(path, parent)
    if path[0] == "parameters" and "bind" not in path[2:]:
        owner = next((name for name, model in PARAMETER_TYPES.items() if key in _keys(model)), None)
        if owner:
            return f'"{key}" does not apply to type {parent.get("type")}; it takes: {listed(known)}'
    return f'unknown key "{key}"{did_you_mean(key, known)}; the keys are: {listed(known)}'
