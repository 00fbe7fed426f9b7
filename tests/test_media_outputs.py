from __future__ import annotations

import hashlib

import pytest
from support import media

from engine.errors import ExecutionFailed
from engine.media import describe
from engine.results import RawOutput


def raw(filename="ComfyUI_00001_.png", kind="image", **changes):
    return RawOutput(name="image", index=0, kind=kind, node_id="9", filename=filename, **changes)


@pytest.fixture
def described(tmp_path):
    def describing(content, filename="ComfyUI_00001_.png", kind="image"):
        path = tmp_path / "downloaded"
        path.write_bytes(content)
        return describe(raw(filename, kind), path)

    return describing


def test_a_picture(described, tmp_path):
    content = media.picture((6, 4))
    output = described(content)
    assert (output.content_type, output.width, output.height) == ("image/png", 6, 4)
    assert output.size_bytes == len(content)
    assert output.sha256 == hashlib.sha256(content).hexdigest()
    assert (output.name, output.index, output.kind, output.node_id) == ("image", 0, "image", "9")
    assert output.filename == "ComfyUI_00001_.png"
    assert output.path == tmp_path / "downloaded"


def test_the_name_is_not_believed(described):
    assert described(media.picture(form="WEBP"), "x.png").content_type == "image/webp"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("length", [1, 12, 20, 40, 60])
def test_a_corrupted_picture_is_described_all_the_same(described, form, length):
    content = media.picture(form=form)[:length] + b"\0garbage"
    assert described(content).size_bytes == len(content)


def test_a_picture_too_large_to_open_is_described_all_the_same(described):
    output = described(media.png_that_claims(60_000, 60_000))
    assert (output.content_type, output.width) == ("image/png", None)


@pytest.mark.parametrize(
    ("content", "filename", "content_type"),
    [
        (media.iso_media(b"isom"), "film.mp4", "video/mp4"),
        (b"", "empty.bin", "application/octet-stream"),
        (b"{}", "data.json", "application/json"),
        (b"glTF\2\0\0\0" + bytes(64), "mesh.glb", "model/gltf-binary"),
    ],
)
def test_other_files(described, content, filename, content_type):
    output = described(content, filename, "file")
    assert output.content_type == content_type
    assert output.width is None


def test_a_file_larger_than_one_piece(described):
    content = media.matroska(b"webm") + bytes(3_000_000)
    output = described(content, "film.webm", "video")
    assert output.content_type == "video/webm"
    assert output.sha256 == hashlib.sha256(content).hexdigest()


def test_a_text():
    output = describe(raw("", "text", text="a lighthouse, 灯台"), None)
    assert output.text == "a lighthouse, 灯台"
    assert output.content_type == "text/plain"
    assert output.size_bytes == len("a lighthouse, 灯台".encode())
    assert output.sha256 == hashlib.sha256("a lighthouse, 灯台".encode()).hexdigest()
    assert output.path is None


def test_a_text_that_utf_8_does_not_hold():
    assert describe(raw("", "text", text="a\ud800b"), None).text == "a?b"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ExecutionFailed, match=r"ComfyUI reported the file ComfyUI_00001_\.png") as caught:
        describe(raw(), tmp_path / "gone")
    assert str(tmp_path) not in caught.value.message
