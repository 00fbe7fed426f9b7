from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import media

from engine.errors import InputRejected, InputUnavailable
from engine.media import MediaReader, PictureBounds, Wanted
from engine.settings import Settings


@pytest.fixture
def read(tmp_path):
    def reading(value, kind="image", *, folder=None, max_bytes=1_000_000, max_pixels=10_000, animated=False, **more):
        reader = MediaReader(Settings(max_input_pixels=max_pixels))
        bounds = PictureBounds(max_pixels, animated=animated) if kind in {"image", "mask"} else None
        wanted = Wanted("control_image", kind, value, max_bytes, bounds)
        files = reader.read([wanted], folder=folder or tmp_path / "inputs", job_id="job-1", **more)
        return files["control_image"]

    return reading


@pytest.fixture
def refusal(read, tmp_path):
    def refusing(value, kind="image", error=InputRejected, **changes):
        with pytest.raises(error) as caught:
            read(value, kind, **changes)
        assert [problem.where for problem in caught.value.problems] == ["control_image"]
        assert caught.value.message.startswith("control_image: ")
        assert len(caught.value.message) < 300
        folder = changes.get("folder", tmp_path / "inputs")
        assert not folder.exists() or list(folder.iterdir()) == []
        return caught.value.problems[0].message

    return refusing


def encoded(content):
    return base64.b64encode(content).decode()


def test_a_picture_is_described_and_lies_where_it_should(read, tmp_path):
    content = media.picture((6, 4))
    file = read(encoded(content))
    assert file.path.read_bytes() == content
    assert file.path.parent == tmp_path / "inputs"
    assert re.fullmatch(r"job-1_[0-9a-f]{8}_control_image\.png", file.filename)
    assert file.path.name == file.filename
    assert (file.content_type, file.width, file.height) == ("image/png", 6, 4)
    assert (file.size_bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert file.parameter == "control_image"


def test_two_of_one_job_do_not_clash(read):
    value = encoded(media.picture())
    assert read(value).filename != read(value).filename


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_picture_formats(read, form, kind):
    file = read(encoded(media.picture(form=form)), kind)
    assert file.content_type == f"image/{form.lower()}"
    assert (file.width, file.height) == (6, 4)


@pytest.mark.parametrize(
    "form",
    [
        "data:image/png;base64,{}",
        "DATA:image/png;BASE64,{}",
        "data:;base64,{}",
        "data:text/plain;name=lies.txt;base64,{}",
        "  {}\n",
    ],
)
def test_forms_of_a_reference(read, form):
    content = media.picture()
    assert read(form.format(encoded(content))).path.read_bytes() == content


def test_a_data_uri_without_base64(read):
    assert read("data:text/plain,a%20b%C3%A9", "file").path.read_bytes() == "a bé".encode()


@given(
    content=st.binary(min_size=24, max_size=3000),  # shorter texts are names
    url_alphabet=st.booleans(),
    padded=st.booleans(),
    line=st.integers(min_value=1, max_value=80),
    ending=st.sampled_from(["", "\n", "\r\n", " "]),
    data_uri=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_spelling_of_base64_gives_the_same_bytes(read, content, url_alphabet, padded, line, ending, data_uri):
    text = (base64.urlsafe_b64encode if url_alphabet else base64.b64encode)(content).decode()
    if not padded:
        text = text.rstrip("=")
    text = ending.join(text[i : i + line] for i in range(0, len(text), line))
    file = read(f"data:;base64,{text}" if data_uri else text, "file")
    assert file.path.read_bytes() == content
    file.path.unlink()


def test_base64_longer_than_one_piece(read):
    content = os.urandom(700_001)
    text = base64.encodebytes(content).decode()
    assert read(text, "file").path.read_bytes() == content


@given(st.text(max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(read, text):
    with contextlib.suppress(InputRejected, InputUnavailable):  # anything else fails the test
        read(text, "file").path.unlink()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (None, "not null"),
        (7, "not a number"),
        (True, "not a boolean"),
        (["x"], "not an array"),
        ("photo.png", "is none of the forms that a file may have: a URL, a data URI, base64"),
        ("AAAA!AAA", "is none of the forms that a file may have"),
        ("AAAA!AAA" * 200, "is neither a data URI nor base64"),
        ("QQ==QUJD" * 4, "is neither a data URI nor base64"),
        ("A" * 33, "is cut off"),
        ("灯台", "is none of the forms that a file may have"),
        ("=" * 32, "is an empty file"),
        ("data:image/png;base64,", "is an empty file"),
        ("data:image/png;base64", "without a comma"),
    ],
)
def test_values_that_hold_no_file(refusal, value, said):
    assert said in refusal(value)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_that_is_cut_off(refusal, form, share):
    noise = Image.effect_noise((64, 64), 80).convert("RGB")
    content = save(noise, form)
    said = refusal(encoded(content[: int(len(content) * share)]))
    assert "broken or cut off" in said or "not a picture that can be read" in said


def save(image, form):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def test_a_picture_with_one_wrong_byte(refusal):
    content = bytearray(save(Image.effect_noise((64, 64), 80), "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert "broken or cut off" in refusal(encoded(bytes(content)))


@pytest.mark.parametrize("size", [(100, 101), (60_000, 60_000), (12_000, 12_000)])
def test_a_picture_with_too_many_pixels_is_not_decoded(refusal, size):
    assert "at most 10000 are allowed" in refusal(encoded(media.png_that_claims(*size)))


def test_pixels_count_in_all_frames_together(read, refusal):
    content = encoded(media.picture((50, 50), "GIF", frames=4))
    file = read(content, animated=True)
    assert file.width == 50
    more = encoded(media.picture((50, 50), "GIF", frames=5))
    assert "in its frames together" in refusal(more, animated=True, folder=file.path.parent / "other")
    assert "is animated (4 frames)" in refusal(content, folder=file.path.parent / "other")


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"just some words", "image", "must be an image, but the file is text/plain"),
        (media.iso_media(b"isom"), "mask", "must be a mask image, but the file is video/mp4"),
        (media.picture(), "video", "must be a video, but the file is image/png"),
        (media.picture(), "audio", "must be an audio file, but the file is image/png; WAV, FLAC, MP3"),
        (b"\0\1\2\3", "audio", "must be an audio file, but the file is of no known type; WAV, FLAC, MP3"),
        (b"\0\1\2\3", "video", "must be a video, but the file is of no known type; MP4, MOV"),
        (b"\0\1\2\3", "mask", "but the file is of no known type; PNG, JPEG, WebP"),
        (b"<svg xmlns='x'/>", "image", "is not a picture that can be read; PNG, JPEG"),
    ],
)
def test_a_file_of_another_kind(refusal, content, kind, said):
    assert said in refusal(f"data:;base64,{encoded(content)}", kind)


@pytest.mark.parametrize(
    ("content", "kind", "suffix"),
    [
        (media.iso_media(b"isom"), "video", ".mp4"),
        (media.iso_media(b"isom"), "audio", ".mp4"),
        (media.riff(b"WAVEfmt "), "audio", ".wav"),
        (media.ogg(b"OpusHead"), "audio", ".opus"),
        (media.chunks(b"FORM", b"AIFF"), "audio", ".aiff"),
        (media.windows_media(pictures=False), "audio", ".wma"),
        (media.transport_stream(), "video", ".ts"),
        (b"\0\1\2\3", "file", ".bin"),
    ],
)
def test_other_kinds(read, content, kind, suffix):
    file = read(f"data:;base64,{encoded(content)}", kind)
    assert file.path.suffix == suffix
    assert file.width is None


def test_too_many_bytes(refusal, read):
    assert "larger than the 100 bytes" in refusal(encoded(bytes(101)), "file", max_bytes=100)
    assert read(encoded(bytes(100)), "file", max_bytes=100).size_bytes == 100


def test_a_picture_on_its_side_is_turned(read):
    file = read(encoded(media.picture((6, 4), "JPEG", orientation=6)))
    assert (file.width, file.height) == (4, 6)
    content = file.path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.size, picture.format) == ((4, 6), "PNG")
    assert (file.content_type, file.path.suffix) == ("image/png", ".png")
    assert (file.size_bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_format_that_not_every_comfyui_reads_is_converted(read):
    file = read(encoded(media.picture(form="AVIF")))
    assert (file.content_type, file.path.suffix, file.width) == ("image/png", ".png", 6)


def test_files_only_where_they_are_allowed(refusal, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(media.picture())
    assert "not allowed here" in refusal(f"@{path}", error=InputUnavailable)
    refusal(str(path))


@pytest.mark.parametrize("at", ["@", ""])
def test_a_file_of_this_machine(read, tmp_path, monkeypatch, at):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photo [1].jpeg").write_bytes(media.picture(form="PNG"))
    file = read(f"{at}my photo [1].jpeg", allow_files=True)
    assert re.fullmatch(r"job-1_[0-9a-f]{8}_my_photo_1\.png", file.filename)
    assert (tmp_path / "my photo [1].jpeg").exists()


def test_base64_where_files_are_allowed(read):
    for form in ("PNG", "JPEG"):  # a JPEG's base64 begins like a path: /9j/
        assert read(encoded(media.picture(form=form)), allow_files=True).width == 6


@pytest.mark.parametrize("at", ["@", ""])
def test_a_missing_file_says_where_it_looked(refusal, tmp_path, monkeypatch, at):
    monkeypatch.chdir(tmp_path)
    said = refusal(f"{at}photo.png", error=InputUnavailable, allow_files=True)
    assert said == f"photo.png: no such file (looked in {tmp_path})"


def test_a_folder_is_no_file(refusal, tmp_path):
    said = refusal(f"@{tmp_path}", error=InputUnavailable, allow_files=True)
    assert said == f"{tmp_path}: is a folder, not a file"


def test_a_device_is_no_file(refusal):
    assert "not a regular file" in refusal("@/dev/zero", error=InputUnavailable, allow_files=True)


def test_an_unknown_file_keeps_its_ending(read, tmp_path):
    (tmp_path / "style.Safe-Tensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    assert read(f"@{tmp_path}/style.Safe-Tensors", "file", allow_files=True).path.suffix == ".safetensors"
