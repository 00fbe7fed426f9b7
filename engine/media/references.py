"""What a media value of a payload refers to. Nothing is opened here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from engine.media import local
from engine.media.inline import could_be_base64
from engine.media.problems import FORMS_HINT, Rejected, Unavailable
from engine.media.urls import checked_headers, checked_url
from engine.wording import did_you_mean, kind_of, nearest, shown

Form = Literal["data URI", "URL", "s3 URL", "bare name", "file", "base64"]

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_KEYS = ("url", "filename", "headers")

# Text that short is no file but a name, most often a mistyped one; and a name that long is none.
_SHORTEST_BASE64 = 32
_LONGEST_NAME = 1024

_SEND = "send it to POST /files again; the name in the answer is what stands here"
_SENT_SHOWN = 5
_SENT_COMPARED = 1000
_LONGEST_COMPARED = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a file is. Two that are equal lead to the same file.

    Attributes:
        form: how it is referred to.
        text: the URL, the name, or the data itself.
        headers: to be sent along with a URL.
        filename: the file's own name, where the caller gave one; it says nothing about where the file is.
    """

    form: Form
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    filename: str = field(default="", compare=False)


class KeptFiles(Protocol):
    """Files that were sent to this machine before, each under a name of its own."""

    def find(self, name: str) -> Path | None:
        """The file of that name; None where there is none (any more)."""

    def names(self) -> Sequence[str]:
        """What there is, the latest first."""

    def could_be_one(self, name: str) -> bool:
        """Whether such a name was given out, as far as can be told by its looks."""


@dataclass(frozen=True, slots=True)
class Context:
    """What decides how a value is read.

    Attributes:
        sent: the files sent along, by name.
        allow_files: whether a value may name a file of this machine.
        takes_names: whether a bare name is one in a bucket.
        takes_s3: whether there are buckets that `s3://` may name.
        kept: files that were sent before; None where there are none.
    """

    sent: Mapping[str, Any]
    allow_files: bool = False
    takes_names: bool = False
    takes_s3: bool = False
    kept: KeptFiles | None = None


def interpret(value: Any, context: Context) -> Reference:
    """What a value refers to.

    In this order: an object with a `url`; a data URI; a URL; the name of a file sent along, or before; `@path` and,
    where files are allowed, a path; a bare name, where they are taken; base64 of 32 characters or more. Where both
    files and bare names may be meant, a text without an `@` is a path only if something is there.

    Raises:
        Rejected: it is nothing of these.
        Unavailable: it names a file of this machine, and that is not allowed; or one sent before that has gone.
    """
    if isinstance(value, Mapping):
        return _of_object(value, context)
    text = _stripped(value)
    known = _inline_or_url(text)
    if known is not None:
        return known
    for name in (value, text):
        if name in context.sent:
            return _sent_along(name, context)
    if context.kept and (found := _sent_before(text, context.kept)):
        return found
    if text.startswith("@") or (context.allow_files and _is_path(text, context)):
        return _of_file(text, context)
    if context.takes_names and _is_name(text):
        return Reference("bare name", text)
    if context.kept and context.kept.could_be_one(text):
        near = did_you_mean(text, context.kept.names()[:_SENT_COMPARED])
        raise Unavailable(f"{shown(text)} is no file that was sent here, or it is no longer kept{near}", hint=_SEND)
    if len(text) >= _SHORTEST_BASE64 and could_be_base64(text):
        return Reference("base64", text)
    raise _no_form(text, context)


def _stripped(value: Any) -> str:
    if not isinstance(value, str):
        raise Rejected(f"must be a string that holds or names a file, not {kind_of(value)}", hint=FORMS_HINT)
    text = value.strip()
    if not text:
        raise Rejected("is empty")
    return text


def _inline_or_url(text: str) -> Reference | None:
    if text[:5].lower() == "data:":
        return Reference("data URI", text)
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme == "s3":
        return Reference("s3 URL", f"s3://{text[5:]}")
    if scheme not in ("http", "https"):
        raise Rejected(
            f"is a URL of the scheme {scheme[:20]}, which is not fetched; https://, http://, s3:// and data: are",
            hint=FORMS_HINT,
        )
    checked_url(text)
    return Reference("URL", text)


def _of_object(value: Mapping[str, Any], context: Context) -> Reference:
    for key in value:
        if key not in _KEYS:
            raise Rejected(f"has the unknown key {shown(key)}{did_you_mean(str(key)[:60], _KEYS)}; `url` is needed, "
                           "`filename` and `headers` may be there")  # fmt: skip
    url = value.get("url")
    if url is None:
        raise Rejected("must hold `url`, where it is an object")
    found = _inline_or_url(_stripped(url))
    if found is None:
        raise Rejected(
            f"`url` must be one of the schemes https://, http://, {'s3://, ' if context.takes_s3 else ''}data:"
        )
    headers = checked_headers(value["headers"]) if value.get("headers") is not None else ()
    if headers and found.form != "URL":
        raise Rejected("`headers` go with http and https URLs alone")
    filename = value.get("filename") or ""
    if not isinstance(filename, str):
        raise Rejected(f"`filename` must be a string, not {kind_of(filename)}")
    return replace(found, headers=headers, filename=filename[-255:])


def _sent_along(name: str, context: Context) -> Reference:
    value = context.sent[name]
    if isinstance(value, Mapping):
        found = _of_object(value, context)
    else:
        text = _stripped(value)
        known = _inline_or_url(text)
        if known is None and not could_be_base64(text):
            raise Rejected("names a file sent along that holds neither base64 nor a URL", hint=FORMS_HINT)
        found = known or Reference("base64", text)
    return found if found.filename else replace(found, filename=PurePosixPath(name.replace("\\", "/")).name[-255:])


def _sent_before(name: str, kept: KeptFiles) -> Reference | None:
    path = kept.find(name)
    return Reference("file", str(path), filename=path.name) if path else None


def _is_path(text: str, context: Context) -> bool:
    return local.exists(text) or (not context.takes_names and _is_name(text))


def _of_file(text: str, context: Context) -> Reference:
    if not context.allow_files:
        raise Unavailable("names a file of the machine it runs on, and that is not allowed here", hint=FORMS_HINT)
    name = text.removeprefix("@")
    return Reference("file", name, filename=PurePosixPath(name).name)


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and (len(text) < _SHORTEST_BASE64 or not could_be_base64(text))


def _no_form(text: str, context: Context) -> Rejected:
    if len(text) > _LONGEST_NAME:
        return Rejected("is neither a data URI nor base64", hint=FORMS_HINT)
    forms = ["a URL", "a data URI", f"base64 of {_SHORTEST_BASE64} characters or more"]
    if context.takes_names:
        forms.append("the name of an object in the bucket")
    forms.append("the name of a file sent along")
    if context.allow_files:
        forms.append("the path of a file")
    message = f"is none of the forms that a file may have: {', '.join(forms)}"
    names = [name for name in islice(context.sent, _SENT_COMPARED) if len(name) <= _LONGEST_COMPARED]
    near = nearest(text, names) if len(text) <= _LONGEST_COMPARED else None
    if near is not None:
        message += f" (did you mean {shown(near)}?)"
    if context.sent:
        rest = len(context.sent) - _SENT_SHOWN
        message += f"; sent along: {', '.join(shown(name) for name in islice(context.sent, _SENT_SHOWN))}"
        message += f" and {rest} more" if rest > 0 else ""
    return Rejected(message, hint=FORMS_HINT)
