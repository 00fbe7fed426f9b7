"""Write what is generated from the code: the schema for editors, tables of errors, settings, findings, checks, keys."""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import engine.local_queue.problems
import engine.server.problems  # noqa: F401 - the errors of both are to be among the classes
from engine.authoring.checking import CODES
from engine.errors import error_classes
from engine.map_file import json_schema
from engine.quality import CHECKS
from engine.schema import PARAMETER_TYPES, AnyParameter, spelling
from engine.settings import variables

ROOT = Path(__file__).resolve().parent.parent


def errors_page() -> str:
    """The errors a caller can meet, in the order of the tree."""
    rows = [f"| `{each.code}` | {'yes' if each.retryable else 'no'} | {each.meaning} |" for each in error_classes()]
    return "\n".join(
        [
            "# Errors",
            "",
            "A failed job gives `error`, one text that says enough alone, and `failure`, the same structured: "
            "`code`, `message`, `hint`, `retryable`, `problems`. Generated from `engine/errors.py`.",
            "",
            "| code | can a retry help | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def settings_page(text: str) -> str:
    """Every environment variable, section by section, and their other names; the words around those are kept."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at the start; an empty one counts as not set. `engine settings` prints them "
        "with their present values, and where each comes from. Many are read under [other names](#other-names) as "
        "well. Generated from `engine/settings/`.",
    ]
    for section, rows in itertools.groupby(variables(), key=lambda variable: variable.section):
        lines += ["", f"## {section}", "", "| variable | default | |", "|---|---|---|"]
        for row in rows:
            default = f"`{row.default}`" if row.default else ""
            lines.append(f"| `{row.names[0]}` | {default} | {row.description} |")
    begin, end = "<!-- generated: other_names -->\n", "\n<!-- end -->"
    prose = text[text.index("## Other names") :]
    table = "\n".join(["| setting | the same | yields to the others |", "|---|---|---|", *_other_names()])
    prose = prose[: prose.index(begin) + len(begin)] + table + prose[prose.index(end) :]
    return "\n".join([*lines, "", prose])


def _other_names() -> Iterable[str]:
    for row in variables():
        if len(row.names) > 1:
            same = [name for name in row.names[1:] if name not in row.generic]
            yielding = [name for name in row.names if name in row.generic]
            yield f"| `{row.names[0]}` | {_quoted(same)} | {_quoted(yielding)} |"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def codes_table() -> str:
    """Every kind of finding of `engine check`, the errors first."""
    order = ("error", "warning", "note")
    codes = sorted(CODES.values(), key=lambda each: order.index(each.severity))
    rows = [f"| `{each.name}` | {each.severity} | {each.meaning} | {each.remedy} |" for each in codes]
    return "\n".join(["| code | severity | meaning | remedy |", "|---|---|---|---|", *rows])


def with_codes(page: str) -> str:
    """The page on checking with the present table of codes."""
    begin, end = "<!-- codes -->\n", "\n<!-- /codes -->"
    return page[: page.index(begin) + len(begin)] + codes_table() + page[page.index(end) :]


def checks_table() -> str:
    """Every check of a picture, with the bounds that hold where a map names none."""
    rows = [
        f"| `{each.name}` | {each.measures} | {_bound(each.minimum)} | {_bound(each.maximum)} "
        f"| {'yes' if each.compares else ''} |"
        for each in CHECKS.values()
    ]
    head = "| check | the score | `min` | `max` | compares with an input |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _bound(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"


def quality_page(text: str) -> str:
    """The page on quality with the present table of checks."""
    begin, end = "<!-- generated: checks -->\n", "\n<!-- end -->"
    return text[: text.index(begin) + len(begin)] + checks_table() + text[text.index(end) :]


def workflows_page(text: str) -> str:
    """The page with its tables made anew, each between `<!-- generated: NAME -->` and `<!-- end -->`."""
    schema = json_schema()
    models = {**schema["$defs"], "ParameterMap": schema}
    common = {spelling(name) for name in AnyParameter.model_fields}

    def table(name: str) -> str:
        if name == "types":
            return _types(models, common | {"type"})
        return _keys(models["BooleanParameter"], of=common) if name == "AnyParameter" else _keys(models[name])

    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def _keys(model: Mapping[str, Any], of: Iterable[str] | None = None) -> str:
    lines = ["| key | takes | |", "|---|---|---|"]
    for key, schema in model["properties"].items():
        if of is None or key in of:
            needed = " (required)" if key in model.get("required", ()) else ""
            lines.append(f"| `{key}` | {_takes(schema)}{needed} | {_meaning(schema)} |")
    return "\n".join([*lines, ""])


def _types(models: Mapping[str, Any], common: Iterable[str]) -> str:
    """Each type with the keys of its own; types of one model share a row."""
    lines = ["| type | | keys of its own |", "|---|---|---|"]
    for model, names in itertools.groupby(PARAMETER_TYPES, key=lambda name: PARAMETER_TYPES[name].__name__):
        own = {key: each for key, each in models[model]["properties"].items() if key not in common}
        keys = "<br>".join(
            f"`{key}`{' (required)' if key in models[model].get('required', ()) else ''}: {_meaning(each)}"
            for key, each in own.items()
        )
        about = " ".join(models[model]["description"].split())
        lines.append(f"| {' '.join(f'`{name}`' for name in names)} | {about} | {keys} |")
    return "\n".join([*lines, ""])


def _meaning(schema: Mapping[str, Any]) -> str:
    """Its description, with what holds without it where that is not plain."""
    default = schema.get("default")
    told = f"; without it `{json.dumps(default)}`" if default not in (None, False, [], {}) else ""
    return schema["description"].replace("|", "\\|") + told


def _takes(schema: Mapping[str, Any]) -> str:
    """What a value is, in words: `a text`, `one of "a", "b"`, `a list of texts`."""
    if "$ref" in schema:
        return f"{_NAMES[schema['$ref'].rpartition('/')[2]]}"
    if "oneOf" in schema:
        return "a parameter"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_takes(each) for each in schema["anyOf"] if each.get("type") != "null"))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"a list of {_plural(_takes(schema['items']))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"names, each with {_takes(schema['additionalProperties'])}"
    return _WORDS.get(schema.get("type", ""), "anything")


def _plural(words: str) -> str:
    singular = words.removeprefix("a ").removeprefix("an ")
    return " or ".join(f"{each.removeprefix('a ')}s" for each in singular.split(" or ")) if singular != words else words


_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
}
_NAMES = {
    "BindingPath": "a long form",
    "Computed": "a long form",
    "Example": "an example",
    "Gpu": "an object",
    "ModelFile": "a model file",
    "Output": "an output",
    "QualityGate": "a quality gate",
    "Repeat": "a repeat",
    "Requires": "an object",
    "Rule": "a rule",
    "Switch": "a switch",
}


if __name__ == "__main__":
    (ROOT / "schemas" / "parameter-map.schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n")
    (ROOT / "docs" / "errors.md").write_text(errors_page())
    settings = ROOT / "docs" / "settings.md"
    settings.write_text(settings_page(settings.read_text()))
    page = ROOT / "docs" / "workflows.md"
    page.write_text(workflows_page(page.read_text()))
    checking = ROOT / "docs" / "checking.md"
    checking.write_text(with_codes(checking.read_text()))
    quality = ROOT / "docs" / "quality.md"
    quality.write_text(quality_page(quality.read_text()))
