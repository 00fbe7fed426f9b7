"""Calls of a workflow on the local server, ready to be run, and the body of the same job for RunPod. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.authoring.calls import WAIT_SECONDS, indented, is_unicode, python_literal, shell, survives_javascript, text
from engine.media_values import media_in
from engine.workflow import Workflow

TOKEN_VARIABLE = "API_TOKEN"  # noqa: S105 - its name


def local_calls(
    workflow: Workflow,
    payload: Mapping[str, Any],
    *,
    url: str,
    token_needed: bool,
    is_upload: Callable[[str], bool],
) -> dict[str, str]:
    """The same call in every language.

    Args:
        workflow: what is called.
        payload: in JSON's types; it need not be valid.
        url: of the server.
        token_needed: whether callers send its token; it is read from API_TOKEN then.
        is_upload: whether a text is the name of a file that was sent to the server.

    Returns:
        `curl`, `python`, `javascript`: a call of the typed route; `runpod`: the body for `POST /run` of an endpoint.
    """
    route = f"{url.rstrip('/')}/workflows/{workflow.name}"
    uploads = _uploads(workflow, payload, is_upload)
    return {
        "curl": _curl_form(route, payload, uploads, token_needed) if uploads else _curl(route, payload, token_needed),
        "python": _python(route, payload, token_needed),
        "javascript": _javascript(route, payload, token_needed),
        "runpod": _json({"input": {"workflow": workflow.name, "payload": dict(payload)}}),
    }


def _uploads(workflow: Workflow, payload: Mapping[str, Any], is_upload: Callable[[str], bool]) -> frozenset[str]:
    """The parameters whose files were sent to the server, where a form can send them as well."""
    found = set()
    for name, value in payload.items():
        parameter = workflow.parameters.get(name)
        if parameter is None:
            continue
        if isinstance(value, str | list) and any(
            isinstance(each.value, str) and is_upload(each.value) and each.where in (name, f"{name}[{index}]")
            for index, each in enumerate(media_in(parameter, name, value))
        ):
            found.add(name)
    return frozenset(found)


def _curl(route: str, payload: Mapping[str, Any], token_needed: bool) -> str:
    return "\n".join(
        [
            f"curl --silent --show-error --fail-with-body {shell(route)} \\",
            *_authorization(token_needed),
            "  --header 'Content-Type: application/json' \\",
            "  --data-binary @- <<'JSON'",
            _json(dict(payload)),
            "JSON",
        ]
    )


def _curl_form(route: str, payload: Mapping[str, Any], uploads: frozenset[str], token_needed: bool) -> str:
    r"""As a form, so that files go along: `@` reads a file, and `--form-string` takes all else as it is."""
    lines = [f"curl --silent --show-error --fail-with-body {shell(route)} \\", *_authorization(token_needed)]
    fields = []
    for name, value in payload.items():
        for each in value if name in uploads and isinstance(value, list) else [value]:
            if name in uploads and isinstance(each, str):
                fields.append(f"  --form {shell(f'{name}=@{_original(each)}')}")
            else:
                shown = each if isinstance(each, str) else json.dumps(each, ensure_ascii=not is_unicode(each))
                fields.append(f"  --form-string {shell(f'{name}={shown}')}")
    return "\n".join([*lines, " \\\n".join(fields)])


def _original(name: str) -> str:
    """What a file that was sent is likely called where it came from: `cat-3f2a9c0b1d2e.png` was `cat.png`."""
    stem, dot, suffix = name.rpartition(".")
    return (stem or suffix).rpartition("-")[0] + (dot and f".{suffix}")


def _authorization(token_needed: bool) -> list[str]:
    return [f'  --header "Authorization: Bearer ${TOKEN_VARIABLE}" \\'] if token_needed else []


def _python(route: str, payload: Mapping[str, Any], token_needed: bool) -> str:
    modules, header = "", ""
    if token_needed:
        modules = "import os\n\n"
        header = f"""\n    headers={{"Authorization": f"Bearer {{os.environ['{TOKEN_VARIABLE}']}}"}},"""
    return f"""{modules}import requests

reply = requests.post(
    {text(route)},{header}
    json={python_literal(dict(payload), "    ")},
    timeout={WAIT_SECONDS},
)
result = reply.json()
if reply.status_code != 200:
    raise SystemExit(result.get("error") or f"it still runs: {{reply.headers['Location']}}")
for output in result["outputs"]:
    print(output["name"], output.get("url") or output.get("text") or output["filename"])"""


def _javascript(route: str, payload: Mapping[str, Any], token_needed: bool) -> str:
    if survives_javascript(payload):
        body = f"JSON.stringify({indented(_json(dict(payload)), '  ')})"
    else:
        body = text(json.dumps(dict(payload), ensure_ascii=not is_unicode(payload)))
    token = f'\n    "Authorization": `Bearer ${{process.env.{TOKEN_VARIABLE}}}`,' if token_needed else ""
    return f"""const reply = await fetch({text(route)}, {{
  method: "POST",
  headers: {{{token}
    "Content-Type": "application/json",
  }},
  body: {body},
}});
const result = await reply.json();
if (reply.status !== 200) throw new Error(result.error ?? `it still runs: ${{reply.headers.get("location")}}`);
for (const output of result.outputs) {{
  console.log(output.name, output.url ?? output.text ?? output.filename);
}}"""


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=not is_unicode(value))
