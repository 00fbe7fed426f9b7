"""Still pictures in another format: what they look like stays, and what they carry goes along."""

import io
import json

import pytest
from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo
from support import media
from support.finishing import (
    COMFY_WORDS,
    GRAPH,
    STAMP,
    WORKFLOW,
    comfy_animated_png,
    comfy_png,
    comfy_webp,
    frames_of,
    saved,
    speckled,
    with_profile,
)

from engine.containers import exif
from engine.delivery import Delivery
from engine.media import describe, finish, read_stamp
from engine.results import RawOutput

CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}
every_format = pytest.mark.parametrize("form", CONTENT_TYPES)


@pytest.fixture
def converted(tmp_path):
    """A picture brought into a format: the result, its bytes, and the warnings."""

    def converting(content, form, filename="a.tiff", stamp=STAMP, **wishes):
        path = tmp_path / "fetched"
        path.write_bytes(content)
        output = describe(RawOutput("image", 0, "image", "9", filename=filename), path)
        new, warnings = finish(
            output, delivery=Delivery("inline", format=form, **wishes), stamp=stamp, folder=tmp_path / "finished"
        )
        assert path.read_bytes() == content
        return new, new.path.read_bytes(), warnings

    return converting


def opened(content):
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def gradient(mode):
    """A smooth picture, which lossy formats change little; where the mode has transparency, with a hole."""
    rising = Image.linear_gradient("L").resize((32, 24))
    falling = rising.transpose(Image.Transpose.ROTATE_180)
    hole = Image.new("L", (32, 24), 255)
    hole.paste(0, (0, 0, 32, 8))
    colours = Image.merge("RGBA", (rising, falling, Image.new("L", (32, 24), 90), hole))
    if mode.startswith("I"):
        return rising.convert("I").point(lambda level: level * 257).convert(mode)
    if mode == "LA":
        return Image.merge("LA", (rising, hole))
    if mode == "P":
        return colours.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    return colours if mode == "RGBA" else colours.convert("RGB").convert(mode)


def shown(picture):
    """What is seen, in eight bits."""
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    return picture.convert("RGBA")


def on_white(picture):
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def difference(one, other):
    """The mean difference of the two on white, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(on_white(one), on_white(other))).mean)


@every_format
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "I;16B", "CMYK", "YCbCr"])
def test_every_mode_in_every_format(converted, mode, form):
    source = gradient(mode)
    new, made, warnings = converted(saved(source, "TIFF"), form, quality=95)
    assert warnings == []
    assert (new.content_type, new.filename) == (CONTENT_TYPES[form], f"a{SUFFIXES[form]}")
    assert (new.width, new.height) == source.size
    found = shown(opened(made))
    assert difference(found, shown(source)) < (0.01 if form == "png" else 6)
    if mode in ("LA", "RGBA") and form != "jpeg":
        assert found.getchannel("A").getpixel((5, 2)) == 0


def test_sixteen_bits_stay_in_png(converted):
    fine = Image.new("I;16", (4, 1))
    for x in range(4):
        fine.putpixel((x, 0), 1000 + x)
    found = opened(converted(saved(fine, "TIFF"), "png")[1])
    assert [found.getpixel((x, 0)) for x in range(4)] == [1000, 1001, 1002, 1003]


@pytest.mark.parametrize("source", ["PNG", "GIF"])
@every_format
def test_a_transparent_colour_of_a_palette(converted, source, form):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(0, (0, 0, 8, 4))
    content = saved(picture, source, transparency=0)
    if source == "PNG" and form == "png":
        form = "webp"
    found = opened(converted(content, form, quality=100)[1]).convert("RGBA")
    if form == "jpeg":
        assert min(found.getpixel((4, 1))) > 240
    else:
        assert found.getpixel((4, 1))[3] == 0
    assert found.getpixel((4, 6))[2] > 200


def test_transparency_comes_onto_white_in_jpeg(converted):
    for mode, clear in (("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))):
        found = opened(converted(saved(Image.new(mode, (16, 16), clear), "PNG"), "jpeg")[1])
        assert min(found.convert("RGB").getpixel((8, 8))) > 250


def test_what_has_the_format_already_is_not_coded_again(converted):
    content = saved(speckled(), "JPEG", quality=30)
    new, made, warnings = converted(content, "jpeg", "a.jpeg", quality=95)
    assert frames_of(made) == frames_of(content)
    assert (new.filename, warnings) == ("a.jpeg", [])
    assert made.endswith(content[content.index(b"\xff\xdb") :])


def test_quality_and_lossless(converted):
    content = saved(speckled((96, 96)), "PNG")
    rough, fine = (len(converted(content, "webp", quality=quality)[1]) for quality in (20, 95))
    assert rough < fine
    _, made, warnings = converted(saved(speckled(mode="RGBA"), "PNG"), "webp", lossless=True, quality=20)
    assert opened(made).tobytes() == speckled(mode="RGBA").tobytes()
    assert warnings == []


def test_avif_is_not_quite_lossless(converted):
    content = saved(gradient("RGB"), "PNG")
    _, made, warnings = converted(content, "avif", "a.png", lossless=True, quality=20)
    assert difference(shown(opened(made)), shown(gradient("RGB"))) < 2
    assert warnings == [
        "a.png: AVIF is written at its highest quality, which can still change a colour by a few levels of 256"
    ]


@every_format
def test_the_colour_profile_stays_where_it_still_fits(converted, form):
    new = opened(converted(saved(gradient("RGB"), "TIFF", icc_profile=with_profile()), form, metadata="strip")[1])
    assert new.info["icc_profile"] == with_profile()
    grey = opened(converted(saved(gradient("L"), "TIFF", icc_profile=with_profile(b"GRAY")), form)[1])
    assert ("icc_profile" in grey.info) == (form != "webp")
    inks = opened(converted(saved(gradient("CMYK"), "TIFF", icc_profile=with_profile(b"CMYK")), form)[1])
    assert "icc_profile" not in inks.info


@every_format
def test_a_turned_picture_is_turned_for_good(converted, form):
    new, made, _ = converted(media.picture((40, 20), "TIFF", orientation=6), form)
    assert (new.width, new.height) == (20, 40)
    assert opened(made).size == (20, 40)
    assert opened(made).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("content", [comfy_png(), comfy_webp()], ids=["PNG", "WebP"])
@every_format
def test_the_graph_goes_along(converted, content, form):
    for metadata, graph_stays, stamp in (("keep", True, STAMP), ("values", False, STAMP), ("strip", False, None)):
        new, made, warnings = converted(content, form, "a.png", metadata=metadata)
        assert warnings == []
        assert read_stamp(new.path) == stamp
        picture = opened(made)
        texts = getattr(picture, "text", {}) if form == "png" else _texts_of_exif(picture)
        assert ("prompt" in texts, "workflow" in texts) == (graph_stays, graph_stays)
        assert any(word in made for word in COMFY_WORDS) == graph_stays
        if graph_stays:
            assert json.loads(texts["prompt"]) == GRAPH
            assert json.loads(texts["workflow"]) == WORKFLOW


def _texts_of_exif(picture):
    return dict(text.split(":", 1) for text in picture.getexif().values() if isinstance(text, str))


def test_a_graph_too_long_for_a_jpeg(converted):
    content = comfy_png(graph={"3": "x" * 70_000})
    new, made, warnings = converted(content, "jpeg", "a.png")
    assert read_stamp(new.path) == STAMP
    assert b"xxxx" not in made
    assert warnings == ["a.png: ComfyUI's graph is too long for a JPEG and is left out"]
    new, made, warnings = converted(content, "webp", "a.png")
    assert b"xxxx" in made
    assert warnings == []


ARTIST, EXIF_DIRECTORY, MAKERS_NOTE = 0x013B, 0x8769, 0x927C


def _exif(more=0, **texts):
    """As a camera or an editor writes it, with ComfyUI's texts if given."""
    block = Image.Exif()
    block[ARTIST] = "Grace"
    block.get_ifd(EXIF_DIRECTORY)[MAKERS_NOTE] = b"n" * (10 + more)
    for name, text in texts.items():
        block[{"prompt": 0x0110, "workflow": 0x010F}[name]] = f"{name}:{text}"
    return block


LONG_GRAPH = json.dumps({"3": "x" * 70_000})


@pytest.mark.parametrize(
    "content",
    [
        comfy_png(graph={"3": "x" * 70_000}, exif=_exif()),
        saved(speckled(), "WEBP", exif=_exif(prompt=LONG_GRAPH)),
        saved(speckled(), "WEBP", exif=_exif(prompt=json.dumps(GRAPH), workflow=LONG_GRAPH)),
    ],
)
def test_exif_stays_where_the_graph_has_to_go(converted, content):
    new, made, warnings = converted(content, "jpeg", "a.png")
    assert warnings == ["a.png: ComfyUI's graph is too long for a JPEG and is left out"]
    found = opened(made).getexif()
    assert found[ARTIST] == "Grace"
    assert found.get_ifd(EXIF_DIRECTORY)[MAKERS_NOTE] == b"n" * 10
    assert read_stamp(new.path) == STAMP
    assert b"KSampler" not in made
    assert b"xxxx" not in made


def test_exif_too_long_for_a_jpeg(converted):
    content = saved(speckled(), "PNG", exif=_exif(70_000))
    new, made, warnings = converted(content, "jpeg", "a.png")
    assert warnings == ["a.png: its EXIF data is too long for a JPEG and is left out"]
    assert ARTIST not in opened(made).getexif()
    assert read_stamp(new.path) == STAMP
    _, made, warnings = converted(content, "webp", "a.png")
    assert (opened(made).getexif()[ARTIST], warnings) == ("Grace", [])


def test_exif_that_leaves_no_room_for_the_values(converted):
    stamp = STAMP | {"values": {"prompt": "x" * 1000}}
    new, made, warnings = converted(saved(speckled(), "PNG", exif=_exif(65_000)), "jpeg", "a.png", stamp=stamp)
    assert warnings == ["a.png: the values are too long for a JPEG and are left out of what it carries"]
    assert opened(made).getexif()[ARTIST] == "Grace"
    assert read_stamp(new.path) == {name: value for name, value in stamp.items() if name != "values"}


def test_all_that_is_too_long_for_a_jpeg(converted):
    _, made, warnings = converted(
        comfy_png(graph={"3": "x" * 70_000}, exif=_exif(70_000)), "jpeg", "a.png", stamp={"workflow": "x" * 70_000}
    )
    assert warnings == [
        "a.png: ComfyUI's graph is too long for a JPEG and is left out",
        "a.png: its EXIF data is too long for a JPEG and is left out",
        "a.png: there is no room in this JPEG for what made it, which is left out",
    ]
    assert not opened(made).getexif()


def test_exif_that_can_not_be_written_anew(converted):
    resolution = {0x011A: "many"}  # a text, where a fraction belongs
    block = exif.PREFIX + exif.changed(exif.block(_exif(prompt=LONG_GRAPH).tobytes()), resolution)
    _, made, warnings = converted(saved(speckled(), "WEBP", exif=block), "jpeg", "a.webp")
    assert warnings == [
        "a.webp: ComfyUI's graph is too long for a JPEG and is left out",
        "a.webp: its EXIF data can't be read and is left out",
    ]
    assert b"xxxx" not in made


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, which makes do with what is there
@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_exif_that_can_not_be_read(converted, form):
    content = saved(speckled(), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0" + bytes(12))
    new, _, warnings = converted(content, form, "a.webp")
    assert warnings == ["a.webp: its EXIF data can't be read and is left out"]
    assert read_stamp(new.path) == STAMP


def test_xmp_too_long_for_a_jpeg(converted):
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b"someone" * 10_000 + b"</x:xmpmeta>"
    content = saved(speckled(), "WEBP", xmp=xmp)
    _, made, warnings = converted(content, "jpeg", "a.webp")
    assert warnings == ["a.webp: its XMP data is too long for a JPEG and is left out"]
    assert b"someone" not in made
    assert converted(content, "jpeg", "a.webp", metadata="strip")[2] == []
    assert converted(content, "png", "a.webp")[2] == []


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_exif_that_is_written_as_text(converted, form):
    block = _exif().tobytes()
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    _, made, warnings = converted(saved(speckled(), "PNG", pnginfo=info), form, "a.png")
    assert (opened(made).getexif()[ARTIST], warnings) == ("Grace", [])
    info.add_text("Raw profile type exif", "\nexif\n4\nzzzz\n")
    content = saved(speckled(), "PNG", pnginfo=info)
    _, made, warnings = converted(content, form, "a.png")
    assert made.startswith(b"\x89PNG")
    assert warnings == [f"a.png: can't be converted to {form}: it is broken, or too large or unusual for that"]


def test_texts_that_have_no_place(converted):
    info = PngInfo()
    info.add_text("parameters", "a lighthouse, steps: 20")
    info.add_text("Software", "someone's")
    _, _, warnings = converted(saved(speckled(), "PNG", pnginfo=info), "webp", "a.png")
    assert warnings == ["a.png: its texts parameters have no place in webp and are left out"]


@pytest.mark.parametrize("form", ["jpeg", "webp", "avif", "png"])
def test_comments_and_xmp(converted, form):
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>someone</x:xmpmeta>"
    content = saved(speckled(), "WEBP" if form == "jpeg" else "JPEG", xmp=xmp, comment=b"said by someone")
    assert b"someone" in converted(content, form)[1]
    assert b"someone" not in converted(content, form, metadata="strip")[1]
    assert b"someone" not in converted(content, form, metadata="values")[1]


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (media.picture((8, 8), "GIF", frames=3), "a.gif"),
        (comfy_animated_png(), "a.png"),
        (comfy_webp(frames=3), "a.webp"),
        (media.picture((8, 8), "TIFF", frames=2), "a.tiff"),
    ],
)
def test_moving_pictures_are_left_as_they_are(converted, content, filename):
    new, made, warnings = converted(content, "avif", filename)
    assert frames_of(made) == frames_of(content)
    assert warnings == [f"{filename}: is not converted to avif, because it has several frames"]
    assert new.filename == filename


def test_floating_point_pixels_are_left_as_they_are(converted):
    content = saved(Image.new("F", (4, 4), 0.5), "TIFF")
    _, made, warnings = converted(content, "png")
    assert made == content
    assert warnings == ["a.tiff: holds floating-point pixels, which have no agreed range to be converted from"]


def test_names_with_dots_and_without_an_ending(converted):
    for filename, expected in (
        ("a.b.png", "a.b.webp"),
        ("picture", "picture.webp"),
        ("ComfyUI_1_.png", "ComfyUI_1_.webp"),
    ):
        assert converted(comfy_png(), "webp", filename)[0].filename == expected
