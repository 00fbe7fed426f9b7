"""Take out of a text what no log may hold: secrets, base64, signed queries, credentials in URLs and headers.

What goes to a caller passes through here as well; `engine.comfyui.cleaning` takes out more, such as paths and hashes,
which an operator needs.

Every pattern runs in time that grows with the text's length alone: what is repeated is either bounded or can't be
matched from two places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"

_SHORTEST_SECRET = 4
"""Shorter ones would be found everywhere: a log without any `ab` tells nothing."""

_LONGEST_TEXT = 65_536
"""What is looked at of one text, in characters; more than any line shows."""

_BLOB_CHARACTERS = 64
_ALWAYS_BLOB = 200
_LONGEST_HEXADECIMAL = 128
_LONGEST_WORD = 48
_SHORTEST_WORDLIKE = 12
_MOST_CASE_CHANGES = 0.15

_DATA_URI = re.compile(
    r"data:(?:[\w.+-]{1,60}/[\w.+-]{1,60})?(?:;[\w.+=-]{1,80}){0,4},[^\s\"'<>]*",
    re.IGNORECASE,
)
_URL = re.compile(
    r"""(?<=://)
    (?P<user>
        [^\s/?\#"'<>]*@                       # user:password@
        | [^\s/?\#:"'<>@]{1,128}:             # the same with a / or ? in the password, which is none of a port
          (?!\d{1,5}(?:[/?\#\s"'<>,;)]|$)) [^\s"'<>@]{1,256}@
    )?
    (?P<path>[^\s?\#"'<>]*)
    (?P<query>[?\#][^\s"'<>]*)?""",
    re.VERBOSE,
)
_QUERY = re.compile(r"\?(?=[\w.~%\[\]-]{1,64}=)[^\s\"'<>]*")
_SEPARATOR = r"""(?:\\?["']\s{0,4}[:=,]|\s{0,2}[:=])\s{0,4}b?"""
_QUOTED = r"""\\?"[^"\n]*"?|\\?'[^'\n]*'?"""
_HEADER = re.compile(
    rf"""(?<![\w-])(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api-key|x-[a-z]{{1,20}}(?:-[a-z]{{1,20}})?-(?:token|key))
    (?P<separator>{_SEPARATOR})
    (?P<value>{_QUOTED}|[^\n"']*)""",
    re.VERBOSE | re.IGNORECASE,
)
_PAIR = re.compile(
    rf"""(?P<name>(?:secret|passw(?:or)?d|credential|api[_-]?key|access[_-]?key|private[_-]?key|token|signature)(?:[_-][\w-]{{0,24}})?)
    (?P<separator>{_SEPARATOR})
    (?P<value>{_QUOTED}|[^\s,;&"'<>)}}\]]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_BEARER = re.compile(
    # `basic` is a word as well; what follows it in a header is base64, which hardly lacks a capital letter.
    r"\b(bearer|basic(?=\s{1,4}[\w.~+/-]{0,4096}(?-i:[A-Z=])))\s{1,4}(?=[\w.~+/-]{0,4096}[\d=])[\w.~+/=-]{6,}",
    re.IGNORECASE,
)
_KNOWN_TOKEN = re.compile(  # by what their makers begin them with
    r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|hf|gh[pousr]|github_pat|glpat|xox[abpr]|rpa|r8)[-_]|AKIA|ASIA|AIza|ya29\.)"
    r"(?=[\w.-]{0,200}\d)[A-Za-z0-9_.-]{16,}"
)
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
_BLOB = re.compile(rf"[A-Za-z0-9+/_-]{{{_BLOB_CHARACTERS},}}={{0,3}}")
_NOT_HEXADECIMAL = re.compile(r"[^0-9a-fA-F]")
_SECRET_NAME = re.compile(
    r"secret|passw(?:or)?d|credential|api[_-]?key|access[_-]?key|private[_-]?key|token|authorization", re.IGNORECASE
)
_MOST_OF_A_DOCUMENT, _SHORTEST_OF_A_DOCUMENT, _LONGEST_OF_A_DOCUMENT = 50, 8, 4096
_CASE_CHANGE = re.compile(r"[a-z](?=[A-Z])|[A-Z](?=[a-z])")


class Redactor:
    """Takes secrets out of texts. Safe to use from several threads.

    Args:
        secrets: values that never stand in a line, in whatever way they are quoted there. Those of fewer than four
            characters are not looked for.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = _forms(secrets)

    def __call__(self, text: str, more: Iterable[str] = ()) -> str:
        """The text without what no log may hold, and cut where it is very long.

        Args:
            text: any text.
            more: secrets beside the known ones, such as those that came with a request.
        """
        for secret in (*self._secrets, *_forms(more)):
            if secret in text:
                text = text.replace(secret, HIDDEN)
        text = _shortened(text)
        if "data:" in text or "DATA:" in text:
            text = _DATA_URI.sub(lambda found: f"{found[0].partition(',')[0]},{HIDDEN}", text)
        if "://" in text:
            text = _URL.sub(_plain_url, text)
        if "?" in text:
            text = _QUERY.sub(f"?{HIDDEN}", text)
        if ":" in text or "=" in text or "," in text:
            text = _HEADER.sub(_without_value, text)
            text = _PAIR.sub(_without_value, text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        text = _KNOWN_TOKEN.sub(HIDDEN, text)
        text = _WEB_TOKEN.sub(HIDDEN, text)
        return _BLOB.sub(_without_blob, text)


def secrets_in(document: Any) -> list[str]:
    """The texts of a document that stand under a name that says so: `api_key`, `auth_token`.

    Args:
        document: of JSON's types.

    Returns:
        At most fifty, of eight characters and more: each line of the log is searched for all.
    """
    found: dict[str, None] = {}
    waiting = [document]
    while waiting and len(found) < _MOST_OF_A_DOCUMENT:
        value = waiting.pop()
        if isinstance(value, dict):
            for name, each in value.items():
                if isinstance(each, dict | list):
                    waiting.append(each)
                elif not isinstance(each, str) or not _SHORTEST_OF_A_DOCUMENT <= len(each) <= _LONGEST_OF_A_DOCUMENT:
                    continue
                elif _SECRET_NAME.search(str(name)):
                    found[each] = None
        elif isinstance(value, list):
            waiting += [each for each in value if isinstance(each, dict | list)]
    return list(found)[:_MOST_OF_A_DOCUMENT]


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """The ways secrets may be written in a message, the longest first: as they are, quoted, or in a URL."""
    forms: set[str] = set()
    for secret in secrets:
        for plain in {secret, secret.strip()}:
            forms |= {plain, repr(plain)[1:-1], json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]}
            encoded = plain.encode("utf-8", "replace")
            forms |= {quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST_SECRET), key=len, reverse=True))


def _shortened(text: str) -> str:
    """Beginning and end of a very long text. The end begins with a word: half a URL would not be known for one."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    _, _, end = text[-half:].partition(" ")
    return f"{text[:half]} … {end}"


def _plain_url(found: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if found["user"] else ""
    query = f"{found['query'][0]}{HIDDEN}" if len(found["query"] or "") > 1 else found["query"] or ""
    return f"{user}{found['path']}{query}"


def _without_value(found: re.Match[str]) -> str:
    name, separator, value = found["name"], found["separator"], found["value"]
    # `S3_SECRET_ACCESS_KEY: is missing` is what an operator must read.
    is_a_word = value.isalpha() and len(value) < _SHORTEST_WORDLIKE
    if not value.strip() or (name.isupper() and separator.strip() == ":" and is_a_word):
        return found[0]
    return f"{name}{separator}{HIDDEN}"


def _without_blob(found: re.Match[str]) -> str:
    text = found[0]
    return text if _is_readable(text) else f"[{len(text)} characters of base64]"


def _is_readable(text: str) -> bool:
    """Whether a long run of base64's characters is a hash, a path or words rather than base64."""
    if not _NOT_HEXADECIMAL.search(text):
        return len(text) <= _LONGEST_HEXADECIMAL
    if len(text) >= _ALWAYS_BLOB or "+" in text or text.endswith("="):
        return False
    if set(text) <= {"-", "_"}:
        return True  # a line drawn across the log
    words = re.split(r"[/_-]", text)
    # Base64 changes between small and capital letters at every third character, words hardly ever do.
    changes = len(_CASE_CHANGE.findall(text)) / len(text)
    return len(words) > 1 and max(map(len, words)) <= _LONGEST_WORD and changes <= _MOST_CASE_CHANGES
