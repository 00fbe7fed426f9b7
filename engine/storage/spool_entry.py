"""What lies in the spool for one job: its files, and a document that says what is to become of them. Pure.

```json
{"format": 1, "place": "results at https://s3.example.com", "kept_at": 1767225600.123,
 "objects": [{"file": "0", "key": "txt2img/job-1/a.png", "size_bytes": 482113, "sha256": "…",
              "headers": {"ContentType": "image/png"}}]}
```

It holds no credentials: whoever delivers has their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FORMAT = 1
_FILE = re.compile(r"[0-9]{1,6}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotAnEntryError(ValueError):
    """A document that is none of ours, or of another release."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One file that waits.

    Attributes:
        file: its name beside the document.
        key: what it is called in the bucket.
        size_bytes: its length.
        sha256: of its bytes, as hex.
        headers: what goes with the object.
    """

    file: str
    key: str
    size_bytes: int
    sha256: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """What is to become of the files of an entry.

    Attributes:
        place: the bucket and its server, as `Bucket.place` says it.
        kept_at: when, seconds since 1970.
        objects: the files.
    """

    place: str
    kept_at: float
    objects: tuple[Kept, ...]

    def to_json(self) -> bytes:
        """The document as it is written."""
        return json.dumps(
            {
                "format": _FORMAT,
                "place": self.place,
                "kept_at": self.kept_at,
                "objects": [
                    {
                        "file": each.file,
                        "key": each.key,
                        "size_bytes": each.size_bytes,
                        "sha256": each.sha256,
                        "headers": dict(each.headers),
                    }
                    for each in self.objects
                ],
            },
            indent=1,
        ).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Document:
        """The document that was written.

        Raises:
            NotAnEntryError: it is none.
        """
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise NotAnEntryError("is not JSON") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise NotAnEntryError(f"is not of format {_FORMAT}")
        objects = document.get("objects")
        if not isinstance(objects, list):
            raise NotAnEntryError("has no objects")
        kept_at = document.get("kept_at")
        if not isinstance(kept_at, int | float) or isinstance(kept_at, bool) or not 0 <= kept_at < 2**40:
            raise NotAnEntryError("does not say when it was kept")
        return cls(_text(document, "place"), float(kept_at), tuple(map(_kept, objects)))


def _kept(described: Any) -> Kept:
    if not isinstance(described, dict):
        raise NotAnEntryError("describes an object by something else")
    size, headers = described.get("size_bytes"), described.get("headers")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise NotAnEntryError("does not say how long an object is")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise NotAnEntryError("has headers that are none")
    file, sha256 = _text(described, "file"), _text(described, "sha256")
    if not _FILE.fullmatch(file) or not _SHA256.fullmatch(sha256):
        raise NotAnEntryError("names a file, or its digest, in a way that it does not have")
    return Kept(file, _text(described, "key"), size, sha256, headers)


def _text(described: Mapping[str, Any], name: str) -> str:
    value = described.get(name)
    if not isinstance(value, str) or not value:
        raise NotAnEntryError(f"lacks its {name}")
    return value
