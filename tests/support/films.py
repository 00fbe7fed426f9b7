"""Videos and sounds of a few bytes, with true headers and without a codec's data in them."""

from __future__ import annotations

import io
import struct
import wave


def sound(seconds: float, rate: int = 8000) -> bytes:
    """A WAV of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        file.writeframes(b"\x80" * round(seconds * rate))
    return buffer.getvalue()


def avi(width: int, height: int, frames: int, fps: int) -> bytes:
    """An AVI of black uncompressed frames (https://learn.microsoft.com/windows/win32/directshow/avi-riff-file-reference)."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    frame = bytes(width * height * 3)
    main = struct.pack("<14I", 1_000_000 // fps, 0, 0, 0, frames, 0, 1, len(frame), width, height, 0, 0, 0, 0)
    stream = struct.pack(
        "<4s4sIHHIIIIIIIIhhhh", b"vids", b"DIB ", 0, 0, 0, 0, 1, fps, 0, frames, len(frame), 0, 0, 0, 0, width, height
    )
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(frame), 0, 0, 0, 0)
    streams = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap))
    headers = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + streams)
    return chunk(b"RIFF", b"AVI " + headers + chunk(b"LIST", b"movi" + chunk(b"00db", frame) * frames))


def mp4(width: int, height: int, frames: int, fps: int) -> bytes:
    """An MP4 whose boxes announce a video in H.264 (ISO/IEC 14496-12); its samples are zeros."""

    def box(name: bytes, *contents: bytes) -> bytes:
        content = b"".join(contents)
        return struct.pack(">I4s", len(content) + 8, name) + content

    def full(name: bytes, content: bytes, flags: int = 0) -> bytes:
        return box(name, struct.pack(">I", flags) + content)

    scale = 1000 * fps
    ticks = frames * 1000
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie = struct.pack(">IIIIIH10x", 0, 0, scale, ticks, 0x10000, 0x100) + matrix + struct.pack(">24xI", 2)
    track = struct.pack(">IIIII8xhhHH", 0, 0, 1, 0, ticks, 0, 0, 0, 0) + matrix
    track += struct.pack(">II", width << 16, height << 16)
    picture = struct.pack(">6xH16xHHIII H32sHh", 1, width, height, 72 << 16, 72 << 16, 0, 1, b"", 24, -1)
    samples = b"".join(
        (
            full(b"stsd", struct.pack(">I", 1) + box(b"avc1", picture)),
            full(b"stts", struct.pack(">III", 1, frames, 1000)),
            full(b"stsc", struct.pack(">IIII", 1, 1, frames, 1)),
            full(b"stsz", struct.pack(">II", 100, frames)),
            full(b"stco", struct.pack(">II", 1, 40)),
        )
    )
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIIHH", 0, 0, scale, ticks, 0x55C4, 0)),
        full(b"hdlr", struct.pack(">I4s12x", 0, b"vide") + b"\0"),
        box(b"minf", full(b"vmhd", bytes(8), 1), box(b"stbl", samples)),
    )
    head = box(b"ftyp", b"isom\0\0\2\0isommp42")
    return (
        head
        + box(b"mdat", bytes(100 * frames))
        + box(b"moov", full(b"mvhd", movie), box(b"trak", full(b"tkhd", track, 7), media))
    )
