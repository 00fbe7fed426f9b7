"""The parts of picture files: what is put in, what stays, what goes, and files that lie about themselves."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.finishing import (
    COMFY_WORDS,
    comfy_animated_png,
    comfy_jpeg,
    comfy_png,
    comfy_webp,
    frames_of,
    saved,
    speckled,
    with_profile,
)

from engine.containers import BrokenContainer, NoRoom, exif, jpeg, png, stamp_text, webp

STAMP = '{"seed":7}'
PICTURES = {
    "png": (png, comfy_png()),
    "animated png": (png, comfy_animated_png()),
    "jpeg": (jpeg, comfy_jpeg()),
    "progressive jpeg": (jpeg, comfy_jpeg(progressive=True)),
    "jpeg with restarts": (jpeg, comfy_jpeg(restart_marker_blocks=1)),
    "plain webp": (webp, saved(speckled(), "WEBP")),
    "lossless webp": (webp, saved(speckled(), "WEBP", lossless=True)),
    "transparent webp": (webp, saved(speckled(mode="RGBA"), "WEBP", lossless=True, exact=True)),
    "transparent lossy webp": (webp, saved(speckled(mode="RGBA"), "WEBP")),
    "webp": (webp, comfy_webp()),
    "animated webp": (webp, comfy_webp(frames=3)),
}
every_picture = pytest.mark.parametrize(("container", "content"), PICTURES.values(), ids=PICTURES)


def rewritten(container, content, *, keep=True, stamp=STAMP):
    pieces = container.plan(content, keep=keep, stamp=stamp)
    return b"".join(piece if isinstance(piece, bytes) else content[piece.start : piece.stop] for piece in pieces)


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def named_chunks(content):
    return [(chunk.name, content[chunk.whole.start : chunk.whole.stop]) for chunk in png.chunks(content)]


@every_picture
@pytest.mark.parametrize("keep", [True, False])
def test_pixels_stay_and_the_stamp_can_be_read(container, content, keep):
    new = rewritten(container, content, keep=keep)
    assert frames_of(new) == frames_of(content)
    assert container.stamp_of(new) == {"seed": 7}
    with Image.open(io.BytesIO(new)) as picture:
        picture.verify()


@every_picture
def test_nothing_else_is_lost(container, content):
    new = rewritten(container, content)
    for word in COMFY_WORDS:
        assert (word in content) == (word in new)


@every_picture
@pytest.mark.parametrize("stamp", [STAMP, None])
def test_all_else_goes(container, content, stamp):
    new = rewritten(container, content, keep=False, stamp=stamp)
    assert not [word for word in COMFY_WORDS if word in new]
    assert frames_of(new) == frames_of(content)


@every_picture
def test_stripping_twice_changes_nothing_more(container, content):
    once = rewritten(container, content, keep=False, stamp=None)
    assert container.plan(once, keep=False, stamp=None) == [range(len(once))]
    assert container.stamp_of(once) is None


@every_picture
def test_a_new_stamp_takes_the_place_of_the_old(container, content):
    again = rewritten(container, rewritten(container, content, stamp='{"seed":1}'), stamp='{"seed":2}')
    assert container.stamp_of(again) == {"seed": 2}
    with Image.open(io.BytesIO(again)) as picture:
        assert list(picture.getexif().values()).count('workflow_engine:{"seed":1}') == 0


@every_picture
def test_bytes_after_the_picture_stay_with_all_else_or_go(container, content):
    trailing = content + b"KSampler once more"
    assert rewritten(container, trailing).endswith(b"KSampler once more")
    assert b"KSampler" not in rewritten(container, trailing, keep=False, stamp=None)


@every_picture
@given(data=st.data())
def test_a_file_cut_off_anywhere_is_refused(container, content, data):
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(BrokenContainer):
        container.plan(content[:length], keep=True, stamp=STAMP)


@every_picture
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_refused_or_understood(container, content, data):
    wrong = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        wrong[place] = data.draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)))
    try:
        new = rewritten(container, bytes(wrong), keep=data.draw(st.booleans()))
    except (BrokenContainer, NoRoom):
        return
    assert container.stamp_of(new) == {"seed": 7}


@pytest.mark.parametrize("length", [2**31, 2**32 - 1, 10_000])
def test_a_png_chunk_that_lies_about_its_length(length):
    content = comfy_png()
    at = content.index(b"IDAT")
    lying = content[: at - 4] + struct.pack(">I", length) + content[at:]
    with pytest.raises(BrokenContainer, match="longer than the file"):
        png.plan(lying, keep=True, stamp=STAMP)


@pytest.mark.parametrize("place", [26, 28])
def test_a_plain_webp_without_a_width_or_a_height(place):
    buffer = io.BytesIO()
    Image.new("RGB", (24, 18)).save(buffer, "WEBP", quality=50)
    content = bytearray(buffer.getvalue())
    content[place : place + 2] = b"\0\0"
    with pytest.raises(BrokenContainer, match="without a size"):
        webp.plan(bytes(content), keep=True, stamp=STAMP)


def test_a_webp_chunk_that_lies_about_its_length():
    content = comfy_webp()
    at = content.index(b"EXIF") + 4
    with pytest.raises(BrokenContainer, match="longer than the file"):
        webp.plan(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :], keep=True, stamp=STAMP)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3).map(lambda rest: b"z" + rest.encode())
CHUNKS = st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=6)


@given(before=CHUNKS, after=CHUNKS)
def test_chunks_of_any_name_survive_in_order(before, after):
    base = named_chunks(comfy_png())
    first_data = [name for name, _ in base].index(b"IDAT")
    chunks = [whole for _, whole in base]
    chunks[-1:-1] = [png_chunk(*chunk) for chunk in after]
    chunks[first_data:first_data] = [png_chunk(*chunk) for chunk in before]
    content = png.SIGNATURE + b"".join(chunks)
    new = rewritten(png, content)
    found = [whole for _, whole in named_chunks(new)]
    assert b"workflow_engine" in found[1]
    assert [found[0], *found[2:]] == chunks
    stripped = named_chunks(rewritten(png, content, keep=False, stamp=None))
    assert {name for name, _ in stripped} == {b"IHDR", b"IDAT", b"IEND"}


SEGMENTS = st.lists(
    st.tuples(st.sampled_from([0xE3, 0xE5, 0xEC, 0xED, 0xFE]), st.binary(max_size=60)), min_size=1, max_size=5
)


@given(SEGMENTS)
def test_segments_of_any_application_survive_in_order(segments):
    content = comfy_jpeg()
    at = next(each.whole.stop for each in jpeg.segments(content) if each.marker == 0xE0)
    parts = [b"\xff" + bytes([marker]) + struct.pack(">H", len(more) + 2) + more for marker, more in segments]
    content = content[:at] + b"".join(parts) + content[at:]
    new = rewritten(jpeg, content)
    assert b"".join(parts) in new
    assert frames_of(new) == frames_of(content)
    stripped = rewritten(jpeg, content, keep=False, stamp=None)
    assert {each.marker for each in jpeg.segments(stripped)}.isdisjoint(range(0xE1, 0xEE))
    assert 0xFE not in {each.marker for each in jpeg.segments(stripped)}


@given(st.binary(max_size=41))
def test_unknown_webp_chunks_survive(more):
    content = comfy_webp(xmp=b"<x:xmpmeta>KSampler</x:xmpmeta>")
    part = b"zzzz" + struct.pack("<I", len(more)) + more + bytes(len(more) % 2)
    content = content[:4] + struct.pack("<I", len(content) - 8 + len(part)) + content[8:] + part
    new = rewritten(webp, content)
    assert new.endswith(part)
    assert b"XMP " in new
    assert frames_of(new) == frames_of(content)
    stripped = rewritten(webp, content, keep=False, stamp=None)
    assert [chunk.name for chunk in webp.chunks(stripped)] == [b"VP8X", b"VP8L"]
    with Image.open(io.BytesIO(stripped)) as picture:
        assert not picture.getexif()
        assert "xmp" not in picture.info


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_what_decides_how_a_picture_looks_stays(form):
    more = {} if form == "WEBP" else {"dpi": (300, 300)}
    turned = Image.Exif()
    turned[0x0112], turned[0x0131] = 6, "KSampler"
    content = saved(speckled(), form, icc_profile=with_profile(), exif=turned, **more)
    container = {"PNG": png, "JPEG": jpeg, "WEBP": webp}[form]
    with Image.open(io.BytesIO(rewritten(container, content, keep=False, stamp=None))) as picture:
        assert picture.info["icc_profile"] == with_profile()
        assert form == "WEBP" or tuple(map(round, picture.info["dpi"])) == (300, 300)
        assert dict(picture.getexif()) == {0x0112: 6}


def test_a_jpeg_takes_64_kb_of_exif():
    with pytest.raises(NoRoom):
        jpeg.plan(comfy_jpeg(), keep=True, stamp=f'{{"a":"{"x" * 65_600}"}}')
    assert webp.stamp_of(rewritten(webp, comfy_webp(), stamp=f'{{"a":"{"x" * 65_600}"}}'))


TAGS = st.dictionaries(
    st.integers(1, 0xFFFF).filter(lambda tag: tag != 0x0112),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30),
    max_size=8,
)


@given(first=TAGS, second=TAGS)
def test_exif_texts_are_added_to_those_that_are_there(first, second):
    block = exif.changed(exif.changed(b"", first, turned=6), second)
    assert exif.texts(block) == first | second
    assert exif.orientation(block) == 6


def test_exif_texts_that_lie_over_each_other_are_none():
    """Nine thousand tags of one stretch of 15 KB would be texts of 135 MB."""
    tags = [struct.pack("<HHII", tag, 2, 15_000, 200_000) for tag in range(9_000)]
    block = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4) + b"a" * 250_000
    assert exif.readable(block)
    assert exif.texts(block) == {}


@pytest.mark.parametrize("order", ["little", "big"])
def test_exif_of_others_survives_byte_for_byte(order):
    theirs = Image.Exif()
    theirs.endian = "<" if order == "little" else ">"
    theirs[0x0131], theirs[0x9000] = "Someone's program", "0232"
    theirs.get_ifd(0x8769)[0x927C] = b"maker's note"
    block = exif.block(theirs.tobytes())
    stamped = stamp_text.into_exif(block, STAMP)
    assert block[8:] in stamped
    read = Image.Exif()
    read.load(stamped)
    assert read[0x0131] == "Someone's program"
    assert read.get_ifd(0x8769)[0x927C] == b"maker's note"
    assert stamp_text.in_exif(stamped) == {"seed": 7}


def test_a_description_by_someone_else_stays():
    block = exif.changed(b"", {exif.IMAGE_DESCRIPTION: "Workflow: theirs"})
    stamped = stamp_text.into_exif(block, STAMP)
    assert exif.texts(stamped)[exif.IMAGE_DESCRIPTION] == "Workflow: theirs"
    assert stamp_text.in_exif(stamped) == {"seed": 7}


@given(st.binary(max_size=200))
def test_exif_of_any_bytes(content):
    for start in (b"", b"II*\0", b"MM\0*\0\0\0\x08"):
        block = start + content
        exif.texts(block)
        exif.orientation(block)
        assert exif.readable(block) or not stamp_text.in_exif(block)


def test_a_text_whose_length_is_wrong_hides_no_other():
    block = bytearray(exif.changed(b"", {exif.MAKE: "workflow:{}", exif.MODEL: "prompt:{}"}))
    directory = struct.unpack("<I", block[4:8])[0]
    struct.pack_into("<I", block, directory + 2 + 4, len(block))  # the count of the first tag
    found = exif.texts(exif.changed(bytes(block), {exif.IMAGE_DESCRIPTION: "ours"}))
    assert found[exif.MODEL] == "prompt:{}"
    assert found[exif.IMAGE_DESCRIPTION] == "ours"
