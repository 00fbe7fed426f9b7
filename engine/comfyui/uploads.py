"""The body of an upload: a form with one file, which is read from the disk as it is sent."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import BinaryIO

from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary, encode_multipart_formdata


class FormWithFile:
    """A form (`multipart/form-data`, RFC 7578) to hand to `urllib3` as a body.

    `urllib3` builds the body of a form with files in memory, several times the file's size. What has `read` it sends
    piece by piece, under the Content-Length that it is given (2.7, `util.request.body_to_chunks`).

    Args:
        fields: the form's other fields.
        name: the field that holds the file.
        filename: the file's name; quotes and line breaks in it are escaped as browsers do.
        file: open at its start; stays open.

    Attributes:
        content_type: the header that goes with it.
    """

    def __init__(self, fields: Mapping[str, str], name: str, filename: str, file: BinaryIO) -> None:
        boundary = choose_boundary()
        empty = RequestField(name, b"", filename)
        empty.make_multipart(content_type="application/octet-stream")
        frame, self.content_type = encode_multipart_formdata([*_texts(fields), empty], boundary)
        end = f"\r\n--{boundary}--\r\n".encode()
        size_bytes = os.fstat(file.fileno()).st_size
        self._parts: list[tuple[BinaryIO, int]] = [
            (io.BytesIO(frame), len(frame) - len(end)),
            (file, size_bytes),
            (io.BytesIO(end), len(end)),
        ]
        self._length = len(frame) + size_bytes

    def __len__(self) -> int:
        """The bytes of the whole body."""
        return self._length

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`, or of one part where it is negative; empty at the end."""
        while self._parts:
            part, left = self._parts[0]
            piece = part.read(left if size < 0 else min(size, left))
            if piece or size == 0:
                self._parts[0] = (part, left - len(piece))
                return piece
            self._parts.pop(0)
        return b""


def _texts(fields: Mapping[str, str]) -> list[RequestField]:
    return [RequestField.from_tuples(name, value) for name, value in fields.items()]
