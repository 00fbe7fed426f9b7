"""What ComfyUI and its nodes say, without what is nobody's business: paths, secrets, base64.

Messages of exceptions hold whatever a node had at hand: a token in a URL, a picture as base64, where it is installed.
All of it is taken out before a message goes to a caller: what no line of the log may hold (those patterns are those of
`engine.logs.redaction`), and beyond it what an operator needs and a caller does not: paths, hashes, any long run of
characters that is no word.
"""

from __future__ import annotations

import re

from engine.logs.redaction import HIDDEN, Redactor
from engine.wording import shorter

_LONGEST_MESSAGE = 500
_LONGEST_LINE = 20_000
"""Of a line, looked at: what is cut off can't be shown, and what is shown is 500 characters."""

_URL = r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{1,20}://)(?P<rest>[^\s'\"<>`]*)"
_QUOTED = (
    r"""(?P<quote>['"`])(?:~\w{0,32})?(?:[A-Za-z]:)?[/\\]+(?:[^'"`/\\\n]+[/\\]+)+(?P<quoted>[^'"`/\\\n]*)(?P=quote)"""
)
_BARE = r"""(?<![\w.\\/~])(?:~\w{0,32}/+|(?:[A-Za-z]:[/\\]|/|\\\\)[/\\]*(?:[^\s/\\'"`<>:,;()]+[/\\]+))""" + (
    r"""(?:[^\s/\\'"`<>:,;()]+[/\\]+)*(?P<bare>[^\s/\\'"`<>:,;()]*)"""
)
_PLACES = re.compile(f"{_URL}|{_QUOTED}|{_BARE}")

_FOR_THE_LOG = Redactor()
_SIZE_OF_A_BLOB = re.compile(r"\[\d+ characters of base64\]")
_NAMED = re.compile(
    r"""(?P<name>\b[\w-]{0,40}(?:api[_-]?key|apikey|token|secret|passw(?:or)?d|signature|credential|access[_-]?key(?:[_-]?id)?|authorization|cookie))
        (?P<to>["']?\s{0,4}[:=]\s{0,4})(?:"[^"\n]*"|'[^'\n]*'|[^\s,;&"'(){}\[\]]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_RESTLESS_CHARACTERS, _MOST_CASE_CHANGES = 48, 0.15
_CASE_CHANGE = re.compile(r"[a-z](?=[A-Z])|[A-Z](?=[a-z])")
_OPAQUE = re.compile(r"[A-Za-z0-9+/_=-]{32,}")


def without_secrets(text: str) -> str:
    """The text without tokens, passwords, queries of URLs and base64; `…` stands in their places."""
    text = _FOR_THE_LOG(text).replace(f"://{HIDDEN}@", "://").replace(HIDDEN, "…")
    text = _SIZE_OF_A_BLOB.sub("…", text)
    text = _NAMED.sub(r"\g<name>\g<to>…", text)
    return _OPAQUE.sub(lambda match: "…" if _is_opaque(match.group()) else match.group(), text)


def without_paths(text: str) -> str:
    """The text with every absolute path of a machine shortened to its last part; URLs of the web stay."""
    return _PLACES.sub(_place, text)


def cleaned(text: str, most: int = _LONGEST_MESSAGE) -> str:
    """The text in one line, without paths of the machine and without secrets, at most that many characters."""
    return shorter(without_paths(without_secrets(" ".join(text[:_LONGEST_LINE].split()))), most)


def first_line(text: str) -> str:
    """The first line that says something, cleaned, at most 500 characters."""
    return cleaned(next((line for line in text[:_LONGEST_LINE].splitlines() if line.strip()), ""))


_PYTHON_TEXT = re.compile(r"(?<!\w)'([^'\n]*)'(?!\w)")
_PYTHON_WORDS = re.compile(r"(?<=[=:,(\[{] )(True|False|None)\b|(?<=[=:,(\[{])(True|False|None)\b|\b(True|False)\b")
_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}


def as_json_says(text: str) -> str:
    """The text with Python's way to write values turned into JSON's: `'x'`, `True` and `None`."""
    text = _PYTHON_TEXT.sub(r'"\1"', text)
    return _PYTHON_WORDS.sub(lambda match: _JSON_WORDS[match.group()], text)


def _place(match: re.Match[str]) -> str:
    if match["scheme"]:
        return match.group() if match["scheme"].lower() != "file://" else _last_part(match["rest"])
    if match["quote"]:
        return f"{match['quote']}{match['quoted']}{match['quote']}"
    return match["bare"] or "…"


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path)[-1] or "…"


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_opaque(run: str) -> bool:
    """Whether a long run of characters is no word or name: a hash, a token, a piece of base64."""
    parts = re.split(r"[-_/+=]", run)
    if len(run) >= 200 or any(len(each) >= 60 or len(each) >= 32 <= 8 * _digits(each) for each in parts):
        return True
    mixed = all(any(map(test, run)) for test in (str.isdigit, str.isupper, str.islower))
    # Base64 changes between small and capital letters at every third character, words hardly ever do.
    restless = len(run) >= _RESTLESS_CHARACTERS and len(_CASE_CHANGE.findall(run)) > _MOST_CASE_CHANGES * len(run)
    return mixed and (restless or max(map(len, parts)) >= 20)
