"""Calls of a workflow, ready to be run: with curl, in Python and in JavaScript. Pure.

They go to `POST …/runsync`, which RunPod and the local server (`engine serve`) both have. What a
payload holds is its caller's: nothing in it may act as shell, Python or JavaScript.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

RUNPOD_URL = "https://api.runpod.ai/v2/ENDPOINT_ID"
KEY_VARIABLE = "RUNPOD_API_KEY"
WAIT_SECONDS = 120
"""How long a call waits: /runsync answers after 90 s at the latest, with a job that still runs."""

_LARGEST_EXACT = 2**53 - 1
"""The largest whole number that JavaScript reads exactly (ECMAScript, Number.MAX_SAFE_INTEGER)."""


def example_call(language: str, workflow: str, payload: Mapping[str, Any], *, url: str = RUNPOD_URL) -> str:
    """A call as a text.

    Args:
        language: one of `LANGUAGES`.
        workflow: its name.
        payload: in JSON's types.
        url: the endpoint, to which `/runsync` is added.

    Raises:
        KeyError: there is no such language.
    """
    job = {"input": {"workflow": workflow, "payload": dict(payload)}}
    return LANGUAGES[language](f"{url.rstrip('/')}/runsync", job)


def _curl(url: str, job: dict[str, Any]) -> str:
    r"""The body is a here-document whose delimiter is quoted, in which a shell reads nothing.

    No line of it can be the delimiter: JSON writes a line break inside a text as `\n`.
    """
    return "\n".join(
        [
            f"curl --silent --show-error --fail-with-body {shell(url)} \\",
            f'  --header "Authorization: Bearer ${KEY_VARIABLE}" \\',
            "  --header 'Content-Type: application/json' \\",
            "  --data-binary @- <<'JSON'",
            _json(job),
            "JSON",
        ]
    )


def _python(url: str, job: dict[str, Any]) -> str:
    return f"""import os

import requests

reply = requests.post(
    {text(url)},
    headers={{"Authorization": f"Bearer {{os.environ['{KEY_VARIABLE}']}}"}},
    json={python_literal(job, "    ")},
    timeout={WAIT_SECONDS},
)
reply.raise_for_status()
job = reply.json()
if job["status"] != "COMPLETED":
    raise SystemExit(f"{{job['status']}}: {{job.get('error', '')}}")
for output in job["output"]["outputs"]:
    print(output["name"], output.get("url") or output.get("text") or output["filename"])"""


def _javascript(url: str, job: dict[str, Any]) -> str:
    if survives_javascript(job):
        body = f"JSON.stringify({indented(_json(job), '  ')})"
    else:
        # Written as text, since JavaScript would change it on the way.
        body = text(json.dumps(job, ensure_ascii=not is_unicode(job)))
    return f"""const reply = await fetch({text(url)}, {{
  method: "POST",
  headers: {{
    "Authorization": `Bearer ${{process.env.{KEY_VARIABLE}}}`,
    "Content-Type": "application/json",
  }},
  body: {body},
}});
if (!reply.ok) throw new Error(`${{reply.status}}: ${{await reply.text()}}`);
const job = await reply.json();
if (job.status !== "COMPLETED") throw new Error(`${{job.status}}: ${{job.error ?? ""}}`);
for (const output of job.output.outputs) {{
  console.log(output.name, output.url ?? output.text ?? output.filename);
}}"""


LANGUAGES: Mapping[str, Callable[[str, dict[str, Any]], str]] = {
    "curl": _curl,
    "python": _python,
    "javascript": _javascript,
}
"""What calls can be written in."""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=not is_unicode(value))


def text(value: str) -> str:
    """A text as a literal: JSON's form of it is one in Python and in JavaScript (ECMAScript 2019 and later) as well."""
    return json.dumps(value, ensure_ascii=False) if is_unicode(value) else ascii(value)


def is_unicode(value: Any) -> bool:
    """Whether it can be written as UTF-8: a file of JSON may hold half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def shell(value: str) -> str:
    """A text as one word of a shell."""
    return "'" + value.replace("'", "'\"'\"'") + "'"


def indented(lines: str, indent: str) -> str:
    """Lines, all but the first of them indented."""
    return lines.replace("\n", f"\n{indent}")


def python_literal(value: Any, indent: str) -> str:
    """JSON's types as Python writes them: True, False and None; one entry a line."""
    deeper = f"{indent}    "
    if isinstance(value, dict) and value:
        lines = [f"{deeper}{text(key)}: {python_literal(each, deeper)},\n" for key, each in value.items()]
        return "{\n" + "".join(lines) + indent + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{deeper}{python_literal(each, deeper)},\n" for each in value) + indent + "]"
    return text(value) if isinstance(value, str) else repr(value)


def survives_javascript(value: Any) -> bool:
    """Whether a literal of it, read by JavaScript and written again, is the same: large seeds are not.

    Nor is an object with a key `__proto__`, which a literal takes for the object's prototype.
    """
    if isinstance(value, dict):
        return "__proto__" not in value and all(survives_javascript(each) for each in value.values())
    if isinstance(value, list):
        return all(survives_javascript(each) for each in value)
    return not isinstance(value, int) or abs(value) <= _LARGEST_EXACT
