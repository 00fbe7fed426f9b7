"""Small media files, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def picture(
    size: tuple[int, int] = (6, 4),
    form: str = "PNG",
    *,
    orientation: int | None = None,
    frames: int = 1,
    **options: Any,
) -> bytes:
    """A picture's bytes, of one colour a frame."""
    images = [Image.new("RGB", size, (40 * number % 256, 90, 120)) for number in range(frames)]
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    buffer = io.BytesIO()
    images[0].save(buffer, form, **({"exif": exif} if orientation else {}), **more, **options)
    return buffer.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes of PNG that would decode to a very large picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def iso_media(brand: bytes) -> bytes:
    """The head of an MP4, a MOV and their like."""
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\2\0" + b"isommp42" + bytes(64)


def matroska(kind: bytes) -> bytes:
    """The head of a Matroska (`matroska`) or WebM (`webm`) file."""
    header = b"\x42\x86\x81\x01\x42\x82" + bytes([0x80 + len(kind)]) + kind
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 + len(header)]) + header + bytes(64)


def ogg(codec: bytes) -> bytes:
    """The first page of an Ogg stream."""
    return b"OggS\0\x02" + bytes(8) + b"\x01\x02\x03\x04" + bytes(8) + b"\x01\x13" + codec + bytes(64)


def chunks(container: bytes, kind: bytes) -> bytes:
    """The head of a file of chunks whose lengths stand with the highest byte first: AIFF."""
    return container + struct.pack(">I", 100) + kind + bytes(64)


def windows_media(*, pictures: bool, header_bytes: int = 90) -> bytes:
    """The head of a WMA or a WMV."""
    stream = "c0ef19bc4d5bcf11a8fd00805f5c442b" if pictures else "409e69f84d5bcf11a8fd00805f5c442b"
    start = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<Q", header_bytes) + bytes(30)
    return start + bytes.fromhex(stream) + bytes(64)


def transport_stream(packets: int = 5, stamp: bytes = b"") -> bytes:
    """The first packets of an MPEG transport stream; on discs each has a stamp of four bytes."""
    return (stamp + b"\x47\x40\0\x10" + bytes(184)) * packets


def riff(kind: bytes) -> bytes:
    """The head of a RIFF file."""
    return b"RIFF" + struct.pack("<I", 36) + kind + bytes(64)
