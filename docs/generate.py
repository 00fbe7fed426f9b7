"""Write what is generated from the code: the editors' schema, the table of errors, the table of settings."""

import json
import re
from pathlib import Path

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


def settings_table() -> str:
    """The environment variables, for the README."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for _, names, default, description in variables():
        others = f" (also {', '.join(f'`{name}`' for name in names[1:])})" if len(names) > 1 else ""
        rows.append(f"| `{names[0]}` | {f'`{default}`' if default else ''} | {description}{others} |")
    return "\n".join(rows)


if __name__ == "__main__":
    (ROOT / "schemas" / "parameter-map.schema.json").write_text(json.dumps(json_schema(), indent=2) + "\n")
    (ROOT / "docs" / "errors.md").write_text(errors_page())
    readme = ROOT / "README.md"
    begin, end = "<!-- settings: make generated -->", "<!-- end -->"
    replacement = f"{begin}\n{settings_table()}\n{end}"
    readme.write_text(re.sub(f"{begin}.*?{end}", lambda _: replacement, readme.read_text(), flags=re.DOTALL))
