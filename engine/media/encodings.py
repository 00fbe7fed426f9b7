"""The bodies of HTTP answers, uncompressed within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from engine.media.problems import Broken, Rejected

_PIECE_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_IDENTITY = ("", "identity")


def decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body without the compression its `Content-Encoding` names.

    None is asked for; some servers compress all the same. No piece is longer than 256 KiB, however well it was
    compressed, so that whoever counts the pieces can stop in time.

    Args:
        chunks: the body as it was sent.
        encoding: the header's value; empty where there is none.

    Raises:
        Rejected: it is compressed in another way than gzip or deflate.
        Broken: it does not uncompress, or ends too early.
    """
    name = encoding.strip().lower()
    if name in _IDENTITY:
        return chunks
    if name in ("gzip", "x-gzip"):
        return _inflated(chunks, _GZIP)
    if name == "deflate":
        return _inflated(chunks, zlib.MAX_WBITS)
    raise Rejected("is sent in a compressed form that is not read; plain, gzip and deflate are")


def _inflated(chunks: Iterator[bytes], window: int) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(window)
    is_start = True
    for chunk in chunks:
        if is_start and chunk and window == zlib.MAX_WBITS and not _has_zlib_header(chunk):
            # RFC 9110 means zlib's format by "deflate"; what many servers send has not its header.
            unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        is_start = is_start and not chunk
        rest = chunk
        while rest:
            if unpacking.eof:
                # What follows a whole gzip file is another one, by RFC 1952.
                if window != _GZIP:
                    return
                unpacking = zlib.decompressobj(window)
            try:
                piece = unpacking.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise Broken("is sent in a compressed form that is broken", detail=str(error)) from error
            if piece:
                yield piece
            rest = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
    while not unpacking.eof and (piece := unpacking.decompress(b"", _PIECE_BYTES)):
        yield piece
    if not unpacking.eof and not is_start:
        raise Broken("is sent in a compressed form that is cut off")


def _has_zlib_header(chunk: bytes) -> bool:
    return chunk[0] & 0x0F == 8 and (len(chunk) < 2 or int.from_bytes(chunk[:2], "big") % 31 == 0)
