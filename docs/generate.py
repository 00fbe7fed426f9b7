"""Write what is generated from the code: the editors' schema, the tables of errors, settings and findings."""

import itertools
import json
from pathlib import Path

from engine.authoring.checking import CODES
from engine.errors import error_classes
from engine.map_file import json_schema
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


def settings_page() -> str:
    """Every environment variable, section by section."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at the start; an empty one counts as not set. `engine settings` prints them "
        "with their present values. Generated from `engine/settings/`.",
    ]
    for section, rows in itertools.groupby(variables(), key=lambda variable: variable.section):
        lines += ["", f"## {section}", "", "| variable | default | |", "|---|---|---|"]
        for row in rows:
            others = f" (also {', '.join(f'`{name}`' for name in row.names[1:])})" if len(row.names) > 1 else ""
            default = f"`{row.default}`" if row.default else ""
            lines.append(f"| `{row.names[0]}` | {default} | {row.description}{others} |")
    return "\n".join([*lines, ""])


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


if __name__ == "__main__":
    (ROOT / "schemas" / "parameter-map.schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n")
    (ROOT / "docs" / "errors.md").write_text(errors_page())
    (ROOT / "docs" / "settings.md").write_text(settings_page())
    checking = ROOT / "docs" / "checking.md"
    checking.write_text(with_codes(checking.read_text()))
