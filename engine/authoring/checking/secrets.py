"""Secrets that were left in an export. A finding never repeats one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.graph import label_of

SECRET = code(
    "secret",
    "error",
    "A key, token or password stands in one of the files, which are kept and shared.",
    "revoke it, take it out, and give it to the worker by its environment",
)

_TOKENS = (  # by what their makers begin them with
    (re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"), "a Hugging Face token"),
    (re.compile(r"(?<![A-Za-z0-9])sk-(?=[A-Za-z0-9_-]{0,100}\d)[A-Za-z0-9_-]{20,}"), "an API key (sk-…)"),
    (re.compile(r"(?<![A-Za-z0-9])r8_[A-Za-z0-9]{30,}"), "a Replicate token"),
    (re.compile(r"(?<![A-Za-z0-9])rpa_[A-Z0-9]{30,}"), "a RunPod API key"),
    (re.compile(r"(?<![A-Za-z0-9])comfyui-[0-9a-f]{40,}"), "a Comfy.org API key"),
    (re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})"), "a GitHub token"),
    (re.compile(r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,}"), "a GitLab token"),
    (re.compile(r"(?<![A-Za-z0-9])xox[abpr]-[A-Za-z0-9-]{20,}"), "a Slack token"),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), "an AWS access key"),
    (re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}"), "a Google API key"),
    (re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"), "a web token"),
    (re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"://[^\s/?#:@\"'<>]{1,128}:[^\s/?#@\"'<>]{1,256}@[\w.-]"), "a URL with a password"),
    (
        re.compile(
            r"://[^\s\"'<>]{1,2000}[?&](?:token|api[_-]?key|access[_-]?token|X-Amz-Signature|sig|signature)="
            r"(?!(?:\{|<|\$|your|x{3}|\*{3}))[^\s&\"'<>]{8,}",
            re.IGNORECASE,
        ),
        "a URL with a token",
    ),
    (re.compile(r"\bBearer\s+(?=[\w.~+/-]{0,400}\d)[\w.~+/-]{20,}=*", re.IGNORECASE), "an authorization header"),
)
_SECRET_INPUT = re.compile(
    r"(?:^|_)(?:api_?key|api_?token|secret(?:_?key)?|access_?key|access_?token|auth_?token|password|passwd|hf_?token"
    r"|civitai_?(?:token|key)|bearer)(?:$|_)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"(?:parameters\.(?P<default>\w+)\.(?:default|examples\[\d+\])|examples\[\d+\]\.payload\.(?P<sent>\w+))$"
)
"""Where a map holds a value of a parameter, by its name."""
_PLACEHOLDER = re.compile(
    r"\W*(?:your|my|enter|insert|paste|put|the|replace|change|add|none|null|xxx|\*{3}|<|\{|\$|sk-x|optional|default)"
    r"|[\s\S]*(?:_here|\bhere\b|\bkey\b|\btoken\b|xxxx)",
    re.IGNORECASE,
)
_SHORTEST = 8  # characters of a literal under a name that says secret


def secret_findings(subject: Subject) -> Iterator[Finding]:
    """Secrets in the template and in the map; of a place, the first."""
    for where, name, text in _texts("", "", subject.graph):
        kind = _kind(name, text)
        if kind:
            node_id = where.partition(".inputs.")[0]
            label = label_of(subject.graph, node_id) if node_id in subject.graph else where
            yield SECRET.at(subject.template, where, f"{label} holds what looks like {kind}")
    for where, _, text in _texts("", "", subject.document):
        found = _VALUE.match(where)
        kind = _kind((found["default"] or found["sent"]) if found else "", text)
        if kind:
            yield SECRET.at(subject.map, where, f"it holds what looks like {kind}")


def _kind(name: str, text: str) -> str:
    if len(text) > 100_000 or text.startswith("data:"):
        return ""
    for pattern, kind in _TOKENS:
        if pattern.search(text):
            return kind
    looks_made = len(text) >= _SHORTEST and " " not in text and not _PLACEHOLDER.match(text)
    return f"a secret: a value under the name {name}" if looks_made and _SECRET_INPUT.search(name) else ""


def _texts(where: str, name: str, value: Any) -> Iterator[tuple[str, str, str]]:
    """Every text with its place and the last name on the way there."""
    waiting = [(where, name, value)]
    while waiting:
        at, last, each = waiting.pop()
        if isinstance(each, str):
            yield at, last, each
        elif isinstance(each, dict):
            inner = [(f"{at}.{key}" if at else str(key), str(key), item) for key, item in each.items()]
            waiting += reversed(inner)
        elif isinstance(each, list):
            waiting += reversed([(f"{at}[{index}]", last, item) for index, item in enumerate(each)])
