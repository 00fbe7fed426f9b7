"""Results as they are delivered: what was asked for is done, nothing is lost, and people are told what was not."""

import base64
import hashlib
import io
import json
import struct
import tracemalloc
import zlib

import pytest
from PIL import Image
from support import films, media
from support.finishing import (
    COMFY_WORDS,
    GRAPH,
    STAMP,
    WORKFLOW,
    comfy_animated_png,
    comfy_jpeg,
    comfy_png,
    comfy_webp,
    frames_of,
    saved,
    speckled,
    with_profile,
)

from engine.delivery import Delivery
from engine.media import describe, finish, read_stamp
from engine.media.stamps import restamp
from engine.results import RawOutput

CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}


@pytest.fixture
def result(tmp_path):
    """A described result of that content."""

    def of(content, filename="ComfyUI_00001_.png", kind="image"):
        path = tmp_path / "fetched"
        path.write_bytes(content)
        return describe(RawOutput(name="image", index=0, kind=kind, node_id="9", filename=filename), path)

    return of


@pytest.fixture
def finished(tmp_path, result):
    """A result finished, and its bytes; that the file it came from is as it was is looked at every time."""

    def finishing(content, filename="ComfyUI_00001_.png", stamp=STAMP, **wishes):
        output = result(content, filename)
        new, warnings = finish(output, delivery=Delivery("inline", **wishes), stamp=stamp, folder=tmp_path / "finished")
        assert output.path.read_bytes() == content
        made = new.path.read_bytes()
        assert (new.size_bytes, new.sha256) == (len(made), hashlib.sha256(made).hexdigest())
        assert (new.name, new.index, new.kind, new.node_id) == ("image", 0, "image", "9")
        return new, made, warnings

    return finishing


@pytest.fixture
def left_over(tmp_path):
    return lambda: sorted((tmp_path / "finished").glob("*"))


def opened(content):
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


# What passes through


@pytest.mark.parametrize("metadata", ["keep", "values", "strip"])
def test_a_text_passes_through(tmp_path, metadata):
    delivery = Delivery("inline", format="webp", metadata=metadata, thumbnail=64)
    text = describe(RawOutput("text", 0, "text", "9", text="a lighthouse"), None)
    assert finish(text, delivery=delivery, stamp=STAMP, folder=tmp_path / "finished") == (text, [])


def test_other_files_pass_through(result, tmp_path):
    delivery = Delivery("inline", format="webp", thumbnail=64)
    for output in (result(b'{"a": 1}', "data.json", "file"), result(b"words", "words.txt", "text")):
        assert finish(output, delivery=delivery, stamp=STAMP, folder=tmp_path / "finished") == (output, [])


@pytest.mark.parametrize(
    ("content", "wishes"),
    [
        (comfy_png(), {"stamp": {}}),
        (saved(speckled(), "GIF"), {}),
        (saved(speckled(), "PNG"), {"metadata": "strip"}),
        (saved(speckled(), "WEBP"), {"metadata": "strip", "format": "webp"}),
    ],
)
def test_a_picture_for_which_nothing_is_to_be_done_is_the_same_object(result, tmp_path, content, wishes):
    output = result(content)
    stamp = wishes.pop("stamp", STAMP)
    new, warnings = finish(output, delivery=Delivery("inline", **wishes), stamp=stamp, folder=tmp_path / "finished")
    assert new is output
    assert warnings == []
    assert not list((tmp_path / "finished").glob("*"))


# Stamps


@pytest.mark.parametrize("content", [comfy_png(), comfy_jpeg(), comfy_webp(), comfy_animated_png(), comfy_webp(3)])
def test_what_pictures_carry(finished, content):
    for metadata, graph_stays, stamp in (("keep", True, STAMP), ("values", False, STAMP), ("strip", False, None)):
        new, made, warnings = finished(content, metadata=metadata)
        assert frames_of(made) == frames_of(content)
        assert read_stamp(new.path) == stamp
        assert any(word in made for word in COMFY_WORDS) == graph_stays
        assert warnings == []
        assert new.filename == "ComfyUI_00001_.png"


def test_pillow_finds_the_stamp_where_it_should_be(finished):
    _, png, _ = finished(comfy_png())
    text = opened(png).text
    assert json.loads(text["workflow_engine"]) == STAMP
    assert json.loads(text["prompt"]) == GRAPH
    _, jpeg, _ = finished(comfy_jpeg())
    assert json.loads(opened(jpeg).getexif()[0x010E].removeprefix("workflow_engine:")) == STAMP


@pytest.mark.parametrize(
    "wishes", [{}, {"format": "webp"}, {"format": "jpeg"}, {"format": "png"}, {"metadata": "values"}]
)
def test_the_same_picture_and_stamp_give_the_same_bytes(finished, wishes):
    turned_round = dict(reversed(STAMP.items()))
    first, once, _ = finished(comfy_png(), **wishes)
    second, again, _ = finished(comfy_png(), stamp=turned_round, **wishes)
    assert once == again
    assert first.path != second.path


def test_a_stamp_too_long_for_a_jpeg(finished):
    long = STAMP | {"values": {"prompt": "x" * 70_000}}
    short = {name: value for name, value in STAMP.items() if name != "values"}
    for content, wishes in ((comfy_jpeg(), {"metadata": "values"}), (saved(speckled(), "PNG"), {"format": "jpeg"})):
        new, _, warnings = finished(content, "a.jpg", stamp=long, **wishes)
        assert read_stamp(new.path) == short
        assert warnings == ["a.jpg: the values are too long for a JPEG and are left out of what it carries"]


def test_a_stamp_for_which_there_is_no_room_at_all(finished):
    for wishes in ({"metadata": "values"}, {"metadata": "keep"}):
        new, made, warnings = finished(comfy_jpeg(), "a.jpg", stamp={"workflow": "x" * 70_000}, **wishes)
        assert read_stamp(new.path) is None
        assert (b"KSampler" in made) == (wishes["metadata"] == "keep")
        assert warnings == ["a.jpg: there is no room in this JPEG for what made it, which is left out"]


def _scene():
    """As SaveGLB writes it: the graph in the asset's extras."""
    extras = {"prompt": json.dumps(GRAPH), "workflow": json.dumps(WORKFLOW)}
    scene = json.dumps({"asset": {"version": "2.0", "extras": extras}}).encode()
    scene += b" " * (-len(scene) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(scene), len(scene), b"JSON") + scene


def _latent():
    """As SaveLatent writes it: a safetensors file with the graph in its header."""
    header = json.dumps({"__metadata__": {"prompt": json.dumps(GRAPH)}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("metadata", ["values", "strip"])
@pytest.mark.parametrize(
    ("content", "filename", "content_type"),
    [
        (saved(speckled(), "GIF"), "a.gif", "image/gif"),
        (saved(speckled(), "TIFF"), "a.tiff", "image/tiff"),
        (saved(speckled(), "AVIF"), "a.avif", "image/avif"),
        (films.mp4(64, 36, 5, 25), "a.mp4", "video/mp4"),
        (films.sound(0.5), "a.wav", "audio/wav"),
        (_scene(), "a.glb", "model/gltf-binary"),
        (_latent(), "a.latent", "application/octet-stream"),
        (json.dumps(GRAPH).encode(), "a.json", "application/json"),
        (b"a lighthouse", "a.txt", "text/plain"),
    ],
)
def test_metadata_that_can_not_be_changed(finished, content, filename, content_type, metadata):
    _, made, warnings = finished(content, filename, metadata=metadata)
    assert made == content
    assert warnings == [f"{filename}: the metadata of {content_type} can't be changed; it stays"]


def test_read_stamp_of_what_has_none(tmp_path):
    path = tmp_path / "file"
    for content in (
        b"",
        b"\x89PNG\r\n\x1a\n",
        comfy_png(),
        comfy_webp(),
        saved(speckled(), "GIF"),
        b"{}",
        saved(speckled(), "AVIF"),
        saved(speckled(), "AVIF")[:60],
    ):
        path.write_bytes(content)
        assert read_stamp(path) is None
    assert read_stamp(tmp_path / "gone") is None


def test_a_large_picture_is_copied_in_pieces(tmp_path):
    content = comfy_png()
    filler = bytes(60_000_000)
    part = struct.pack(">I", len(filler)) + b"zzZz" + filler + struct.pack(">I", zlib.crc32(b"zzZz" + filler))
    path, target = tmp_path / "large.png", tmp_path / "stamped.png"
    path.write_bytes(content[:-12] + part + content[-12:])
    del filler, part
    tracemalloc.start()
    try:
        changed, _ = restamp(path, target, content_type="image/png", metadata="keep", stamp=STAMP)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert changed
    assert peak < 6_000_000
    assert target.stat().st_size > path.stat().st_size
    assert read_stamp(target) == STAMP


# Thumbnails


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (saved(speckled((200, 100)), "PNG"), (50, 25)),
        (saved(speckled((100, 200)), "JPEG"), (25, 50)),
        (saved(speckled((30, 20)), "PNG"), (30, 20)),
        (saved(speckled((200, 1)), "PNG"), (50, 1)),
        (media.picture((200, 100), "JPEG", orientation=6), (25, 50)),
        (media.picture((200, 100), "GIF", frames=3), (50, 25)),
        (saved(speckled((200, 100), "L").convert("I;16"), "PNG"), (50, 25)),
        (saved(speckled((200, 100), "RGB"), "AVIF"), (50, 25)),
    ],
)
def test_a_thumbnail(finished, content, size):
    new, _, warnings = finished(content, thumbnail=50)
    head, data = new.thumbnail.split(",")
    assert head == "data:image/webp;base64"
    small = opened(base64.b64decode(data, validate=True))
    assert (small.format, small.size) == ("WEBP", size)
    assert warnings == []


def test_a_thumbnail_is_transparent_where_the_picture_is(finished):
    new, _, _ = finished(saved(Image.new("RGBA", (80, 80), (255, 0, 0, 0)), "PNG"), thumbnail=20)
    small = opened(base64.b64decode(new.thumbnail.split(",")[1]))
    assert small.getchannel("A").getextrema() == (0, 0)


def test_a_thumbnail_carries_nothing_of_the_graph(finished):
    new, _, _ = finished(comfy_png(icc_profile=with_profile()), thumbnail=20)
    data = base64.b64decode(new.thumbnail.split(",")[1])
    assert not [word for word in COMFY_WORDS if word in data]
    assert opened(data).info["icc_profile"] == with_profile()


def test_only_pictures_have_thumbnails(finished):
    new, _, warnings = finished(films.mp4(64, 36, 5, 25), "a.mp4", thumbnail=50)
    assert (new.thumbnail, warnings) == (None, [])


# What goes wrong


def _lying_png():
    content = comfy_png()
    at = content.index(b"IDAT") - 4
    return content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        comfy_png()[:-60],
        comfy_png()[:60],
        comfy_jpeg()[:-40],
        comfy_webp()[:-40],
        comfy_webp()[:20],
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\xff\xffWEBP" + b"VP8X\xff\xff\xff\xff",
        saved(speckled(), "AVIF")[:80],
        b"v/1\x01" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_a_broken_picture_is_delivered_as_it_is(finished, left_over, content):
    new, made, warnings = finished(content, format="webp", metadata="values", thumbnail=50)
    if new.content_type != "image/webp":
        assert warnings[0].startswith("ComfyUI_00001_.png: can't be converted to webp: it is broken")
    assert warnings[-1].startswith("ComfyUI_00001_.png: has no thumbnail: it is broken")
    assert made == content
    assert new.thumbnail is None
    assert not left_over()


@pytest.mark.parametrize("content", [comfy_png()[:-6], comfy_png()[:-20], _lying_png()])
def test_a_picture_whose_parts_make_no_sense_gets_no_stamp(finished, left_over, content):
    new, made, warnings = finished(content)
    assert len(warnings) == 1
    assert warnings[0].startswith("ComfyUI_00001_.png: can't be given other metadata: it ")
    assert made == content
    assert read_stamp(new.path) is None
    assert not left_over()


def test_a_picture_that_ends_too_soon_but_shows_is_made_whole(finished):
    new, made, warnings = finished(comfy_png()[:-12], format="webp", lossless=True)
    assert frames_of(made) == frames_of(comfy_png())
    assert read_stamp(new.path) == STAMP
    assert warnings == []


def test_a_picture_too_large_to_decode_is_stamped_all_the_same(finished):
    content = media.png_that_claims(60_000, 60_000)
    new, _, warnings = finished(content, format="webp", thumbnail=50)
    assert warnings == [
        "ComfyUI_00001_.png: can't be converted to webp: it has too many pixels",
        "ComfyUI_00001_.png: has no thumbnail: it has too many pixels",
    ]
    assert read_stamp(new.path) == STAMP


def test_a_picture_too_large_for_the_format(finished, left_over):
    new, made, warnings = finished(saved(Image.new("1", (17_000, 2)), "PNG"), format="webp", metadata="strip")
    assert new.content_type == "image/png"
    assert opened(made).size == (17_000, 2)
    assert warnings == [
        "ComfyUI_00001_.png: can't be converted to webp: it is broken, or too large or unusual for that"
    ]
    assert not left_over()


def test_an_avif_that_no_one_could_read_is_not_written(finished, left_over):
    _, made, warnings = finished(saved(Image.new("1", (32_769, 2)), "PNG"), format="avif", metadata="strip")
    assert opened(made).size == (32_769, 2)
    assert warnings == ["ComfyUI_00001_.png: can't be converted to avif: AVIF takes 32768 pixels a side"]
    assert not left_over()


def test_a_folder_that_can_not_be_made(result, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    output = result(comfy_png())
    new, warnings = finish(
        output, delivery=Delivery("inline", format="webp"), stamp=STAMP, folder=tmp_path / "file" / "folder"
    )
    assert new is output
    assert len(warnings) == 2
    assert str(tmp_path) not in " ".join(warnings)


def test_a_stamp_that_is_no_json_is_a_mistake_of_ours(result, tmp_path):
    for form in (None, "webp", "png"):
        with pytest.raises(TypeError):
            finish(
                result(comfy_jpeg()),
                delivery=Delivery("inline", format=form),
                stamp={"values": {1, 2}},
                folder=tmp_path / "finished",
            )
