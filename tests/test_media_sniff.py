from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import media

from engine.media import sniff

MP3_FRAMES = bytes(64)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (media.picture(), "image/png"),
        (media.picture(form="JPEG"), "image/jpeg"),
        (media.picture(form="WEBP"), "image/webp"),
        (media.picture(form="GIF"), "image/gif"),
        (media.picture(form="BMP"), "image/bmp"),
        (media.picture(form="TIFF"), "image/tiff"),
        (media.picture(form="AVIF"), "image/avif"),
        (media.iso_media(b"isom"), "video/mp4"),
        (media.iso_media(b"avc1"), "video/mp4"),
        (media.iso_media(b"iso5"), "video/mp4"),
        (media.iso_media(b"M4V "), "video/mp4"),
        (media.iso_media(b"qt  "), "video/quicktime"),
        (media.iso_media(b"M4A "), "audio/mp4"),
        (media.matroska(b"webm"), "video/webm"),
        (media.matroska(b"matroska"), "video/matroska"),
        (media.riff(b"AVI LIST"), "video/x-msvideo"),
        (media.riff(b"WAVEfmt "), "audio/wav"),
        (b"fLaC\0\0\0\x22" + bytes(64), "audio/flac"),
        (b"ID3\x04\0" + bytes(64), "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + MP3_FRAMES, "audio/mpeg"),
        (b"\xff\xfa\x90\x64" + MP3_FRAMES, "audio/mpeg"),
        (b"\xff\xf3\x90\x64" + MP3_FRAMES, "audio/mpeg"),
        (b"\xff\xf1\x50\x80" + MP3_FRAMES, "audio/aac"),
        (media.ogg(b"\x01vorbis"), "audio/ogg"),
        (media.ogg(b"OpusHead"), "audio/opus"),
        (media.ogg(b"\x80theora"), "video/ogg"),
        (media.chunks(b"FORM", b"AIFF"), "audio/x-aiff"),
        (media.chunks(b"FORM", b"AIFC"), "audio/x-aiff"),
        (b"RF64\xff\xff\xff\xffWAVEds64" + bytes(64), "audio/wav"),
        (b"BW64\xff\xff\xff\xffWAVEds64" + bytes(64), "audio/wav"),
        (b"caff\0\x01\0\0desc" + bytes(64), "audio/x-caf"),
        (b"#!AMR\n\x3c" + bytes(64), "audio/amr"),
        (b"#!AMR-WB\n\x04" + bytes(64), "audio/amr"),
        (media.windows_media(pictures=False), "audio/x-ms-wma"),
        (media.windows_media(pictures=True), "video/x-ms-wmv"),
        (media.windows_media(pictures=False, header_bytes=90_000), "video/x-ms-asf"),
        (b"FLV\x01\x05\0\0\0\x09" + bytes(64), "video/x-flv"),
        (media.transport_stream(), "video/mp2t"),
        (media.transport_stream(100), "video/mp2t"),
        (media.transport_stream(stamp=b"\0\0\x12\x34"), "video/mp2t"),
        (media.transport_stream(2), sniff.UNKNOWN),
        (b"\0\0\x01\xba\x44" + bytes(64), "video/mpeg"),
        (b"\0\0\x01\xb3\x14" + bytes(64), "video/mpeg"),
        (b"\0\0\x09\0moov\0\0\0\x6cmvhd" + bytes(64), "video/quicktime"),
        (b"\0\0\0\x08wide\0\1\0\0mdat" + bytes(64), "video/quicktime"),
        (b"\0\0\0\x08free\0\1\0\0mdat" + bytes(64), "video/quicktime"),
        (b"abcdmdat" + bytes(64), "video/quicktime"),
        (b"I'm free on Monday", "text/plain"),
        (b"The free lunch", "text/plain"),
        (b"G" * sniff.HEAD_BYTES, "text/plain"),
        (b"RIFF\x24\0\0\0AIFF" + bytes(64), sniff.UNKNOWN),
        (b"glTF\2\0\0\0" + bytes(64), "model/gltf-binary"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04" + bytes(64), "application/zip"),
        (b'{"a": [1, 2]}', "application/json"),
        (b"[]", "application/json"),
        (b'\xef\xbb\xbf{"a": 1}', "application/json"),
        (b'{"key": "' + b"x" * sniff.HEAD_BYTES, "application/json"),
        (b"{not json}", "text/plain"),
        (b"42", "text/plain"),
        ("灯台の絵".encode(), "text/plain"),
        (("灯" * sniff.HEAD_BYTES).encode()[: sniff.HEAD_BYTES], "text/plain"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "image/svg+xml"),
        (b"", sniff.UNKNOWN),
        (b"\0\1\2\3", sniff.UNKNOWN),
        (b"\xff\xff\xff\xff\xff", sniff.UNKNOWN),
        (b"caf\xe9 in latin-1", sniff.UNKNOWN),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_bytes_tell_the_type(head, found):
    assert sniff.content_type(head[: sniff.HEAD_BYTES]) == found


@pytest.mark.parametrize(
    ("head", "filename", "found"),
    [
        (b"a,b\n1,2\n", "table.csv", "text/csv"),
        (b"a,b\n1,2\n", "table.png", "text/plain"),
        (b"\0\1\2", "picture.png", sniff.UNKNOWN),
        (b"\0\1\2", "notes.txt", sniff.UNKNOWN),
        (b"\0\1\2", "old.doc", "application/msword"),
        (media.picture(), "film.mp4", "image/png"),
    ],
)
def test_a_name_is_asked_only_where_bytes_do_not_tell(head, filename, found):
    assert sniff.content_type(head, filename) == found


ENDINGS = {
    "audio/x-aiff": ".aiff",
    "audio/x-caf": ".caf",
    "audio/amr": ".amr",
    "audio/x-ms-wma": ".wma",
    "video/x-ms-wmv": ".wmv",
    "video/x-ms-asf": ".asf",
    "video/x-flv": ".flv",
    "video/mp2t": ".ts",
    "video/mpeg": ".mpg",
}


@pytest.mark.parametrize(("media_type", "ending"), ENDINGS.items())
def test_a_type_has_its_usual_ending(media_type, ending):
    assert sniff.extension(media_type) == ending


@given(st.binary(max_size=200), st.text(max_size=20))
def test_every_file_has_a_type(head, filename):
    assert "/" in sniff.content_type(head, filename)
