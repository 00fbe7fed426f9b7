from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import films, media
from support.finishing import comfy_animated_png, comfy_webp, saved

from engine.errors import ExecutionFailed
from engine.media import describe
from engine.media.animations import duration_seconds
from engine.media.pictures import size
from engine.results import RawOutput

ANIMATIONS = (comfy_animated_png(), comfy_webp(frames=3), media.picture((6, 4), "GIF", frames=3, duration=70))


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


@pytest.mark.parametrize(
    ("content", "size", "seconds", "fps"),
    [
        (films.mp4(64, 36, 50, 25), (64, 36), 2.0, 25.0),
        (films.mp4(640, 360, 81, 16), (640, 360), 5.063, 16.0),
        (films.avi(32, 18, 24, 12), (32, 18), 2.0, 12.0),
        (films.sound(1.5), (None, None), 1.5, None),
        (media.iso_media(b"isom"), (None, None), None, None),
        (media.matroska(b"webm"), (None, None), None, None),
        (media.riff(b"WAVE"), (None, None), None, None),
        (b"ID3", (None, None), None, None),
    ],
)
def test_how_long_and_how_large_videos_and_sounds_are(described, content, size, seconds, fps):
    output = described(content, "film", "video")
    assert (output.width, output.height) == size
    assert output.duration_seconds == seconds
    assert output.fps == fps


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (comfy_animated_png(frames=3), 0.3),
        (comfy_webp(frames=3), 0.12),
        (media.picture((6, 4), "GIF", frames=3, duration=70), 0.21),
        (media.picture((6, 4), "GIF", frames=3), None),
        (media.picture((6, 4), "GIF"), None),
        (media.picture((6, 4), "PNG"), None),
        (media.picture((6, 4), "WEBP"), None),
        (media.picture((6, 4), "GIF", frames=3, duration=70)[:-30], None),
        (comfy_animated_png()[:-30], None),
        (comfy_webp(frames=3)[:-30], None),
    ],
)
def test_how_long_animations_are(described, content, seconds):
    output = described(content)
    assert output.duration_seconds == seconds
    assert output.fps is None


@given(data=st.data())
def test_an_animation_of_wrong_bytes_is_described_all_the_same(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(ANIMATIONS)))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("animation") / "file"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    seconds = [duration_seconds(path, form) for form in ("image/gif", "image/png", "image/webp", "image/jpeg")]
    assert all(each is None or each >= 0 for each in seconds)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": bytes(200)}])
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_is_as_pillow_sees_it(described, tmp_path, options, orientation, mode):
    turned = Image.Exif()
    turned[0x0112] = orientation
    more = {"exif": turned} if orientation != 1 else {}
    output = described(saved(Image.new(mode, (300, 17)), "WEBP", **options, **more))
    assert (output.width, output.height) == size(tmp_path / "downloaded")


def test_an_avif_too_long_to_be_read_for_its_size(described, tmp_path):
    content = saved(Image.new("RGB", (300, 17)), "AVIF")
    assert described(content).width == 300
    with (tmp_path / "downloaded").open("r+b") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    assert describe(raw(), tmp_path / "downloaded").width is None


def test_an_animation_of_more_frames_than_are_counted(described):
    head, frame = b"GIF89a\1\0\1\0\0\0\0", b"\x21\xf9\4\0\x0a\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\0"
    assert described(head + frame * 10_000 + b";").duration_seconds == 1000
    assert described(head + frame * 10_001 + b";").duration_seconds is None


def test_a_text_of_a_hundred_megabytes():
    output = describe(raw("", "text", text="lighthouse" * 10_000_000), None)
    assert output.size_bytes == 100_000_000


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
