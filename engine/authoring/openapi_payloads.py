"""A payload's JSON Schema as the component schemas of an OpenAPI 3.1 document. Pure.

Both are JSON Schema 2020-12, so that every word stays as it is. What is bent is what makers of clients stumble on, with
the same verdict as before; seen with openapi-python-client 0.29:

- An object inside an object becomes a schema of its own, which gives its class a name. Files become one for all.
- A choice that may be null is one of two schemas: as a list of types with null in the list it gives three enums.
- The title of an object or a choice is told in its description: it would become the name of a class, and clash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.authoring.component_names import ComponentNames
from engine.media_forms import media_json_schema
from engine.schema import MEDIA_TYPES

FILE = "File"
_ANNOTATIONS = ("title", "description", "default", "deprecated", "examples")


def reference(name: str) -> dict[str, Any]:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def file_schema() -> dict[str, Any]:
    """A file in the form that says more than a text can."""
    both = media_json_schema()
    form = {word: both[word] for word in ("properties", "required", "additionalProperties")}
    return {"type": "object", "description": "A file by its URL, with what it takes to fetch it."} | form


def payload_component(schema: Mapping[str, Any], name: str, names: ComponentNames, into: dict[str, Any]) -> None:
    """Add a payload's schema, and those of the objects inside it.

    Args:
        schema: what `Workflow.payload_schema` gave.
        name: of its component.
        names: gives further ones.
        into: the component schemas, which are added to; one called `FILE` must be among them.
    """
    into[name] = {}  # its place, before those of its parts
    into[name] = _object({key: each for key, each in schema.items() if key != "$schema"}, name, names, into)


def values_component(schema: Mapping[str, Any], name: str, names: ComponentNames, into: dict[str, Any]) -> None:
    """Add the schema of the values that a result reports: of every parameter, with files by their names.

    Values are told as they are and not bounded: a worker's own list of models decides what they can be. None is
    required, since a reply that would be too long goes without them.
    """
    into[name] = {}
    into[name] = _value(schema, name, names, into) | {
        "description": "The values that were used: defaults filled in, seeds drawn, files by their names."
    }


def _object(schema: Mapping[str, Any], name: str, names: ComponentNames, into: dict[str, Any]) -> dict[str, Any]:
    properties = {key: _part(each, name, key, names, into) for key, each in schema["properties"].items()}
    return _told({**schema, "properties": properties})


def _part(
    schema: Mapping[str, Any], parent: str, key: str, names: ComponentNames, into: dict[str, Any]
) -> dict[str, Any]:
    kinds = _kinds(schema)
    if schema.get("x-type") in MEDIA_TYPES:
        return _either(schema, [{"type": "string", "minLength": 1}, reference(FILE)], kinds, ("minLength",))
    if "object" in kinds:
        name = names.component(parent, key)
        own = {word: each for word, each in schema.items() if word != "default"}
        into[name] = {}
        into[name] = _object(own | {"type": "object"}, name, names, into)
        return _either(schema, [reference(name)], kinds, ())
    if "array" in kinds:
        return {**schema, "items": _part(schema["items"], parent, f"{key}-item", names, into)}
    if "enum" in schema and "null" in kinds:
        base = {word: each for word, each in schema.items() if word not in _ANNOTATIONS and not word.startswith("x-")}
        alone = {**base, "type": kinds[0], "enum": [each for each in schema["enum"] if each is not None]}
        return _told(_either(schema, [alone], kinds, tuple(base)))
    return _told(schema) if "enum" in schema else dict(schema)


def _either(
    schema: Mapping[str, Any], forms: list[dict[str, Any]], kinds: list[str], bounds: tuple[str, ...]
) -> dict[str, Any]:
    """One of several forms, with what was said about them all; `bounds` are told in the forms."""
    gone = {"type", "enum", "properties", "required", "additionalProperties", *bounds}
    about = {word: each for word, each in schema.items() if word not in gone}
    if "null" in kinds:
        forms = [*forms, {"type": "null"}]
    if len(forms) > 1:
        return {**about, "anyOf": forms}
    # Beside a `$ref` only what is about this place: the rest is said where it leads.
    return {**{word: each for word, each in about.items() if word in ("default", "deprecated")}, **forms[0]}


def _told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With its title in its description."""
    texts = [schema[word] for word in ("title", "description") if schema.get(word)]
    told = {word: each for word, each in schema.items() if word not in ("title", "description")}
    return ({"description": ". ".join(text.rstrip(".") for text in texts) + "."} if texts else {}) | told


def _value(schema: Mapping[str, Any], name: str, names: ComponentNames, into: dict[str, Any]) -> dict[str, Any]:
    kinds = _kinds(schema)
    if schema.get("x-type") in MEDIA_TYPES:
        return {"type": ["string", "null"]}
    if "object" in kinds:
        properties = {}
        for key, part in schema["properties"].items():
            properties[key] = _named_value(part, name, key, names, into)
        return {"type": "object", "properties": properties}
    if "array" in kinds:
        return {"type": schema["type"], "items": _named_value(schema["items"], name, "item", names, into)}
    return {"type": schema["type"]}


def _named_value(
    schema: Mapping[str, Any], parent: str, key: str, names: ComponentNames, into: dict[str, Any]
) -> dict[str, Any]:
    kinds = _kinds(schema)
    if "object" not in kinds or schema.get("x-type") in MEDIA_TYPES:
        return _value(schema, f"{parent}-{key}", names, into)
    name = names.component(parent, key)
    into[name] = {}
    into[name] = _value(schema, name, names, into)
    return _either({}, [reference(name)], kinds, ())


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    return [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
