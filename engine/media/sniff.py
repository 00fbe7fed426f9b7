"""What a file is, by its first bytes.

Our own table, because the libraries for it do not serve: `filetype` 1.2 (2022) takes QuickTime for MP4 and
knows neither glTF nor text; `puremagic` 1.30 misses common MP4 brands and MP3 without tags, and guesses.
"""

from __future__ import annotations

import json
import mimetypes
import re

HEAD_BYTES = 4096
"""How much of a file `content_type` wants to see."""

UNKNOWN = "application/octet-stream"

# How a file begins, and its type. Formats that share a container are told apart below.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"v/1\x01", "image/x-exr"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"glTF", "model/gltf-binary"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"caff\0\x01", "audio/x-caf"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),  # a pack, as program streams begin, or the sequence of a bare video
    (b"\0\0\x01\xb3", "video/mpeg"),
)

# Containers of chunks put their length first; what they hold stands at 8. RF64 and BW64 are WAV beyond 4 GB
# (EBU Tech 3306, ITU-R BS.2088).
_CHUNKED = {
    (b"RIFF", b"WEBP"): "image/webp",
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RF64", b"WAVE"): "audio/wav",
    (b"BW64", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/x-msvideo",
    (b"FORM", b"AIFF"): "audio/x-aiff",
    (b"FORM", b"AIFC"): "audio/x-aiff",
}

# QuickTime before the standard had no `ftyp`: a file may begin with any of its atoms (QuickTime File Format, "Basic
# atoms"). Old cameras write the data first.
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})

# Windows Media, by ids of the ASF specification (sections 10.1 and 10.4), as they lie in a file: its header, and a
# stream of pictures within it.
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")

# The packets of an MPEG transport stream (ISO 13818-1, 2.4.3.2); on discs each has a time stamp of four bytes before.
_TRANSPORT_PACKETS = ((0, 188), (4, 192))
_SYNC = 0x47

# Major brands of ISO media files (https://mp4ra.org/registered-types/brands); all others are MP4.
_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"hevm": "image/heic",
    b"hevs": "image/heic",
    b"msf1": "image/heif",
    b"mif1": "image/heif",
}

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/x-exr": ".exr",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/x-aiff": ".aiff",
    "audio/x-caf": ".caf",
    "audio/amr": ".amr",
    "audio/x-ms-wma": ".wma",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/matroska": ".mkv",
    "video/ogg": ".ogv",
    "video/x-msvideo": ".avi",
    "video/x-flv": ".flv",
    "video/x-ms-wmv": ".wmv",
    "video/x-ms-asf": ".asf",
    "video/mp2t": ".ts",
    "video/mpeg": ".mpg",
    "model/gltf-binary": ".glb",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "text/plain": ".txt",
}

# The types Python itself knows; those of the machine's own files would make results differ between machines.
_BY_NAME = mimetypes.MimeTypes()


def content_type(head: bytes, filename: str = "") -> str:
    """The media type of a file.

    Args:
        head: its first HEAD_BYTES bytes, or all of it.
        filename: asked only where the bytes don't tell.

    Returns:
        A media type without parameters; `application/octet-stream` for what is not known.
    """
    return _binary(head) or _text(head, filename) or _named(filename) or UNKNOWN


def extension(media_type: str) -> str:
    """The usual ending for a media type, with its dot; empty where there is none."""
    return _EXTENSIONS.get(media_type, "")


def _binary(head: bytes) -> str | None:
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if chunked := _CHUNKED.get((head[:4], head[8:12])):
        return chunked
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[4:8] in _QUICKTIME_ATOMS and _text(head, "") is None:
        return "video/quicktime"
    if head.startswith(_ASF):
        return _windows_media(head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        # The DocType stands within the EBML header, which is far shorter than this.
        return "video/webm" if b"webm" in head[:128] else "video/matroska"
    if head.startswith(b"OggS"):
        return _ogg(head)
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return "video/mp2t" if _is_transport_stream(head) else _mpeg_audio(head)


def _windows_media(head: bytes) -> str:
    """Sound alone only where the whole header was seen, and with it all streams."""
    if _ASF_VIDEO in head:
        return "video/x-ms-wmv"
    length = int.from_bytes(head[16:24], "little")
    return "audio/x-ms-wma" if length <= len(head) else "video/x-ms-asf"


def _is_transport_stream(head: bytes) -> bool:
    """Each packet begins with the same byte, and holds something: the two bits that say what are never both 0."""
    for start, step in _TRANSPORT_PACKETS:
        firsts, fourths = head[start::step], head[start + 3 :: step]
        if len(firsts) > 2 and set(firsts) == {_SYNC} and all(byte & 0x30 for byte in fourths):
            return True
    return False


def _ogg(head: bytes) -> str:
    """The codec's own name opens the first page (RFC 5334, RFC 7845)."""
    first_page = head[:128]
    if b"OpusHead" in first_page:
        return "audio/opus"
    return "video/ogg" if b"theora" in first_page else "audio/ogg"


def _mpeg_audio(head: bytes) -> str | None:
    """MPEG audio without a tag starts with a frame: eleven set bits, version and layer not reserved."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:
        return "audio/aac" if head[1] & 0xF6 == 0xF0 else None
    bitrate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    return "audio/mpeg" if version != 1 and bitrate != 15 and sample_rate != 3 else None


def _text(head: bytes, filename: str) -> str | None:
    if not head or re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return None
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The head may end within a character.
        if len(head) < HEAD_BYTES or error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8-sig")
    start = text.lstrip()
    if re.match(r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]", start, re.DOTALL):
        return "image/svg+xml"
    if _is_json(start, whole=len(head) < HEAD_BYTES):
        return "application/json"
    named = _BY_NAME.guess_type(filename)[0]
    return named if named and named.startswith("text/") else "text/plain"


def _is_json(text: str, *, whole: bool) -> bool:
    if not whole:
        return re.match(r'[\[{][\[{\s]*("|-?\d)', text) is not None
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _named(filename: str) -> str | None:
    named, encoding = _BY_NAME.guess_type(filename)
    # A name is not believed where the bytes would have told: a `.png` that is none has no known type.
    return None if encoding or named in _EXTENSIONS or (named or "").startswith("text/") else named
