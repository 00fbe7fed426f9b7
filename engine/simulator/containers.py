"""Small files of the kinds that a stand-in can write without a codec library: they open in players and viewers.

Video is Motion JPEG in MP4 (ISO/IEC 14496-12 and -14, object type 0x6C), sound is silence in FLAC (RFC 9639) or
MP3 (ISO/IEC 11172-3), a latent is safetensors, a mesh is an empty scene in binary glTF 2.0.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_TIMESCALE = 90_000  # ticks a second; the usual one for video
_FLAC_BLOCK = 4096
_MP3_FRAME = 1152  # samples
_MP3_RATES = (44_100, 48_000, 32_000)  # in the order of their codes
_IDENTITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def motion_jpeg(frames: Sequence[Image], fps: float) -> bytes:
    """An MP4 of those pictures, all of one size.

    Args:
        frames: RGB.
        fps: frames in a second.
    """
    pictures = []
    for frame in frames:
        buffer = io.BytesIO()
        frame.save(buffer, "JPEG", quality=85)
        pictures.append(buffer.getvalue())
    width, height = frames[0].size
    tick = round(_TIMESCALE / fps)
    duration = tick * len(frames)
    kind = _box(b"ftyp", b"isom" + _numbers(0x200) + b"isommp41")
    content = _box(b"mdat", b"".join(pictures))

    # ES descriptor: a stream of object type 0x6C (JPEG), visual.
    decoder = _descriptor(4, bytes([0x6C, 0x11, 0, 0, 0]) + _numbers(0, 0))
    stream = _descriptor(3, b"\0\1\0" + decoder + _descriptor(6, b"\2"))
    entry = _box(
        b"mp4v",
        bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HHIIIH", width, height, 0x480000, 0x480000, 0, 1)
        + bytes(32) + b"\0\x18\xff\xff" + _full_box(b"esds", stream),
    )  # fmt: skip
    samples = _box(
        b"stbl",
        _full_box(b"stsd", _numbers(1) + entry)
        + _full_box(b"stts", _numbers(1, len(frames), tick))
        + _full_box(b"stsc", _numbers(1, 1, len(frames), 1))
        + _full_box(b"stsz", _numbers(0, len(frames), *map(len, pictures)))
        + _full_box(b"stco", _numbers(1, len(kind) + 8)),
    )
    data = _box(b"dinf", _full_box(b"dref", _numbers(1) + _full_box(b"url ", b"", flags=1)))
    media = _box(
        b"mdia",
        _full_box(b"mdhd", _numbers(0, 0, _TIMESCALE, duration) + b"\x55\xc4\0\0")
        + _full_box(b"hdlr", _numbers(0) + b"vide" + bytes(12) + b"video\0")
        + _box(b"minf", _full_box(b"vmhd", bytes(8), flags=1) + data + samples),
    )
    head = _numbers(0, 0, 1, 0, duration) + bytes(16) + _IDENTITY + _numbers(width << 16, height << 16)
    track = _box(b"trak", _full_box(b"tkhd", head, flags=3) + media)
    movie = _numbers(0, 0, _TIMESCALE, duration, 0x10000) + b"\1\0" + bytes(10) + _IDENTITY + bytes(24) + _numbers(2)
    return kind + content + _box(b"moov", _full_box(b"mvhd", movie) + track)


def silent_flac(seconds: float, sample_rate: int, channels: int) -> bytes:
    """Silence in 16 bits.

    Args:
        seconds: how long.
        sample_rate: in hertz.
        channels: 1 or 2.
    """
    total = round(seconds * sample_rate)
    packed = sample_rate << 44 | (channels - 1) << 41 | 15 << 36 | total
    info = struct.pack(">HH", _FLAC_BLOCK, _FLAC_BLOCK) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    frames = []
    for number, start in enumerate(range(0, total, _FLAC_BLOCK)):
        size = min(_FLAC_BLOCK, total - start)
        # Sync, block size in 16 bits below, sample rate from the head, independent channels of 16 bits.
        head = b"\xff\xf8\x70" + bytes([(channels - 1) << 4 | 8]) + _coded(number) + struct.pack(">H", size - 1)
        frame = head + bytes([_crc(head, 8, 0x07)]) + bytes(3) * channels  # constant subframes of zero
        frames.append(frame + struct.pack(">H", _crc(frame, 16, 0x8005)))
    return b"fLaC" + b"\x80\0\0\x22" + info + b"".join(frames)


def silent_mp3(seconds: float, sample_rate: int, channels: int) -> bytes:
    """Silence in MPEG-1 Layer III at 32 kbit/s: frames whose side information says that no bits follow.

    Args:
        seconds: how long; the last frame is filled up.
        sample_rate: in hertz; 44100 in place of one that the format does not have.
        channels: 1 or 2.
    """
    sample_rate = sample_rate if sample_rate in _MP3_RATES else _MP3_RATES[0]
    mode = 0xC0 if channels == 1 else 0
    head = bytes([0xFF, 0xFB, 1 << 4 | _MP3_RATES.index(sample_rate) << 2, mode])
    frame = head + bytes(144 * 32_000 // sample_rate - len(head))
    return frame * math.ceil(seconds * sample_rate / _MP3_FRAME)


def empty_latent(shape: tuple[int, ...]) -> bytes:
    """A latent of zeros, as SaveLatent writes it."""
    count = 1
    for size in shape:
        count *= size
    head = json.dumps(
        {"latent_tensor": {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * count]}}
    ).encode()
    return struct.pack("<Q", len(head)) + head + bytes(4 * count)


def empty_scene() -> bytes:
    """A binary glTF with a scene and nothing in it."""
    text = json.dumps({"asset": {"version": "2.0", "generator": "simulated"}, "scenes": [{}], "scene": 0}).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sII", b"glTF", 2, 20 + len(text)) + struct.pack("<I4s", len(text), b"JSON") + text


def _box(name: bytes, content: bytes) -> bytes:
    return _numbers(8 + len(content)) + name + content


def _full_box(name: bytes, content: bytes, *, flags: int = 0) -> bytes:
    return _box(name, _numbers(flags) + content)


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _coded(number: int) -> bytes:
    """A frame's number in the coding that UTF-8 uses."""
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    top, mask, value = 1 << (bits - 1), (1 << bits) - 1, 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value
