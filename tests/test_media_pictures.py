"""Pictures before they are queued: what is refused, what is changed, and that all else stays as it came."""

import io
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from support import media
from support.workflows import ROOT

from engine.media import pictures
from engine.media.pictures import PictureProblem
from engine.media.preparing import PictureBounds, prepare

ANY = PictureBounds(max_pixels=1_000_000)
ANIMATED = PictureBounds(max_pixels=1_000_000, animated=True)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def file(tmp_path):
    """Writes a picture, or bytes, to a file as a job has it."""

    def write(content):
        path = tmp_path / "picture.part"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def refusal(file):
    def refusing(content, bounds=ANY):
        path = file(content)
        with pytest.raises(PictureProblem) as caught:
            prepare(path, bounds)
        assert [each.name for each in path.parent.iterdir()] == [path.name]
        assert path.read_bytes() == content
        return str(caught.value)

    return refusing


def saved(image, form, *, orientation=None, **more):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, **({"exif": exif} if orientation else {}), **more)
    return buffer.getvalue()


def quarters(mode="RGB", size=(40, 24)):
    """A picture whose four quarters differ, so that no turn of it looks like another."""
    shades = [Image.new("L", size, 0)]
    width, height = size
    for number, corner in enumerate([(0, 0), (width // 2, 0), (0, height // 2), (width // 2, height // 2)]):
        shades[0].paste(40 + 60 * number, (*corner, corner[0] + width // 2, corner[1] + height // 2))
    if mode == "I;16":
        return shades[0].convert("I").point(lambda shade: shade * 256 + 7).convert("I;16")
    return shades[0].convert(mode)


def read_back(picture):
    with Image.open(picture.path) as image:
        image.load()
        return image


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_what_is_fit_stays_byte_for_byte(file, form):
    content = saved(quarters(), form)
    picture = prepare(file(content), PictureBounds(1000, False, (Fraction(1), Fraction(2)), 40))
    assert picture.path.read_bytes() == content
    assert (picture.content_type, picture.width, picture.height) == (f"image/{form.lower()}", 40, 24)
    assert not picture.changed


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(
    ("form", "mode"), [("PNG", "RGB"), ("PNG", "I;16"), ("TIFF", "L"), ("TIFF", "I;16"), ("WEBP", "RGB")]
)
def test_a_picture_on_its_side_is_turned_without_loss(file, form, mode, orientation):
    stored = quarters(mode)
    lossless = {"lossless": True} if form == "WEBP" else {}
    content = saved(stored, form, orientation=orientation, icc_profile=SRGB, **lossless)
    picture = prepare(file(content), ANY)
    tagged = stored.copy()
    tagged.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(tagged)
    found = read_back(picture)
    assert found.mode == mode
    assert found.tobytes() == upright.tobytes()
    assert (picture.content_type, found.format, picture.changed) == ("image/png", "PNG", True)
    assert (picture.width, picture.height) == found.size == ((24, 40) if orientation > 4 else (40, 24))
    assert found.getexif().get(0x0112) is None
    # A profile of colours says nothing of greys.
    assert found.info.get("icc_profile") == (SRGB if mode == "RGB" else None)
    assert [each.name for each in picture.path.parent.iterdir()] == ["picture.part"]


@pytest.mark.parametrize("bounds", [ANY, PictureBounds(1_000_000, resize_to=10)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "I", "F", "I;16", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_turned_and_scaled(file, mode, bounds):
    picture = prepare(
        file(saved(quarters("L").convert(mode) if mode != "I;16" else quarters(mode), "TIFF", orientation=6)), bounds
    )
    found = read_back(picture)
    assert found.format == "PNG"
    assert found.size == (picture.width, picture.height) == ((6, 10) if bounds.resize_to else (24, 40))
    if mode == "I;16":
        assert found.mode == "I;16"
        assert max(found.tobytes()[1::2]) > 200  # the upper of two bytes: sixteen bits are still in use


def test_a_jpeg_in_inks_is_turned_into_the_colours_that_loadimage_sees(file):
    stored = quarters().convert("CMYK")
    content = saved(stored, "JPEG", orientation=3, quality=100, icc_profile=b"\0" * 16 + b"CMYK" + b"\0" * 108)
    with Image.open(io.BytesIO(content)) as unturned:
        expected = unturned.convert("RGB").transpose(Image.Transpose.ROTATE_180)
    found = read_back(prepare(file(content), ANY))
    assert found.mode == "RGB"
    assert found.tobytes() == expected.tobytes()
    assert "icc_profile" not in found.info


@pytest.mark.parametrize("orientation", [None, 6])
def test_avif_becomes_png(file, orientation):
    picture = prepare(file(saved(quarters(), "AVIF", orientation=orientation, icc_profile=SRGB)), ANY)
    found = read_back(picture)
    assert (found.format, picture.content_type, picture.changed) == ("PNG", "image/png", True)
    assert found.size == (picture.width, picture.height) == ((24, 40) if orientation else (40, 24))
    assert found.info["icc_profile"] == SRGB


def test_heic_becomes_png_the_way_it_is_looked_at(file):
    """A photo of 48 by 32 pixels, red on the left, blue on the right, stored on its side."""
    path = file((ROOT / "tests" / "data" / "sideways.heic").read_bytes())
    assert pictures.check(path, max_pixels=48 * 32) == (48, 32)
    picture = prepare(path, ANY)
    found = read_back(picture)
    assert (found.format, picture.content_type, found.size) == ("PNG", "image/png", (48, 32))
    (red, _, _), (_, _, blue) = found.getpixel((4, 16)), found.getpixel((43, 16))
    assert red > 150
    assert blue > 150


def test_of_a_heic_with_several_pictures_the_primary_one_counts(file):
    """The second of the two is: 64 by 64 pixels, green."""
    picture = prepare(file((ROOT / "tests" / "data" / "burst.heic").read_bytes()), PictureBounds(64 * 64))
    assert (picture.width, picture.height) == (64, 64)
    red, green, _ = read_back(picture).getpixel((32, 32))
    assert green > 150 > red


def test_the_pixels_of_a_heic_are_bounded(refusal):
    content = (ROOT / "tests" / "data" / "sideways.heic").read_bytes()
    assert refusal(content, PictureBounds(48 * 32 - 1)) == "is 48 by 32 pixels, 1536 in all; at most 1535 are allowed"


def test_a_heic_that_crashes_its_reader_is_a_broken_picture(refusal):
    """The name of its metadata, which should be `Exif`, is not even text."""
    content = (ROOT / "tests" / "data" / "sideways.heic").read_bytes()
    said = refusal(content.replace(b"Exif", b"E\xf1if", 1))
    assert said == "is broken or cut off; the picture can't be decoded"


@pytest.mark.parametrize("missing", [40, 200])
def test_a_heic_that_is_cut_off(refusal, missing):
    content = (ROOT / "tests" / "data" / "sideways.heic").read_bytes()
    said = refusal(content[:-missing])
    assert "broken or cut off" in said or "not a picture that can be read" in said


def frames(count, size=(40, 24)):
    return [Image.new("RGB", size, (60 * number % 256, 9, 9)) for number in range(count)]


def animation(form, count, **more):
    first, *rest = frames(count)
    return saved(first, form, save_all=True, append_images=rest, **more)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_is_refused_unless_it_is_asked_for(file, refusal, form):
    content = animation(form, 4)
    assert refusal(content) == "is animated (4 frames); this parameter takes a single picture"
    picture = prepare(file(content), ANIMATED)
    assert (picture.width, picture.height) == (40, 24)
    with Image.open(picture.path) as found:
        assert found.n_frames == 4
    if form != "AVIF":
        assert picture.path.read_bytes() == content


def test_an_avif_sequence_becomes_an_animated_png(file):
    picture = prepare(file(animation("AVIF", 3, duration=[100, 200, 300])), ANIMATED)
    assert picture.content_type == "image/png"
    durations = []
    with Image.open(picture.path) as found:
        assert found.format == "PNG"
        for number in range(found.n_frames):
            found.seek(number)
            found.load()
            durations.append(found.info["duration"])
    assert durations == [100, 200, 300]


def test_a_document_of_several_pages_is_refused_unless_it_is_asked_for(file, refusal):
    content = animation("TIFF", 3)
    assert refusal(content) == "has 3 pages; this parameter takes a single picture"
    assert prepare(file(content), ANIMATED).path.read_bytes() == content


def test_a_phones_jpeg_of_several_pictures_is_a_still(file):
    content = animation("MPO", 2)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    picture = prepare(file(content), PictureBounds(max_pixels=40 * 24))
    assert (picture.content_type, picture.path.read_bytes()) == ("image/jpeg", content)
    assert read_back(prepare(file(content), PictureBounds(1000, resize_to=20))).format == "JPEG"


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_all_frames_count_against_the_bound(file, refusal, form):
    content = animation(form, 4)
    said = refusal(content, PictureBounds(4 * 40 * 24 - 1, animated=True))
    assert said == "has more than 3839 pixels in its frames together; at most as many are allowed"
    assert prepare(file(content), PictureBounds(4 * 40 * 24, animated=True)).width == 40


def test_pixels_are_counted_before_anything_is_decoded(refusal):
    assert refusal(media.png_that_claims(9_000, 9_000)) == (
        "is 9000 by 9000 pixels, 81000000 in all; at most 1000000 are allowed"
    )


@pytest.mark.parametrize("size", [(12_000, 12_000), (60_000, 60_000)])
def test_no_warning_of_pillow_reaches_the_log(file, size):
    """In a process of its own, where warnings are printed as they are in a worker."""
    path = file(media.png_that_claims(*size))
    code = (
        "import sys; from pathlib import Path\n"
        "from engine.media.preparing import *; from engine.media.pictures import *\n"
        "try:\n    prepare(Path(sys.argv[1]), PictureBounds(1000))\n"
        "except PictureProblem as problem:\n    print(problem)\n"
        "print(size(Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == ""
    assert "at most 1000 are allowed" in done.stdout


@pytest.mark.parametrize(
    ("size", "allowed", "said"),
    [
        ((1000, 200), ("1/2", "2"), "is 1000 by 200 pixels (5:1); between 1:2 and 2:1 is allowed"),
        ((100, 300), ("1/2", "2"), "is 100 by 300 pixels (1:3); between 1:2 and 2:1 is allowed"),
        ((1003, 200), ("16/9", "16/9"), "is 1003 by 200 pixels (5.01:1); 16:9 is allowed"),
        ((200, 1003), ("1", "1"), "is 200 by 1003 pixels (1:5.01); 1:1 is allowed"),
        ((102, 100), ("1", "1"), "is 102 by 100 pixels (51:50); 1:1 is allowed"),
    ],
)
def test_a_ratio_out_of_bounds(refusal, size, allowed, said):
    bounds = PictureBounds(1_000_000, aspect_ratio=tuple(map(Fraction, allowed)))
    assert refusal(saved(Image.new("L", size), "PNG"), bounds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((40, 7), "is 40 by 7 pixels; at least 8 on each side are needed"),
        ((1, 1), "is 1 by 1 pixels; at least 8 on each side are needed"),
        ((1000, 70), "is 1000 by 70 pixels, 100 by 7 once it is scaled down; at least 8 on each side are needed"),
    ],
)
def test_a_side_too_short(refusal, size, said):
    assert refusal(saved(Image.new("L", size), "PNG"), PictureBounds(1_000_000, min_side=8, resize_to=100)) == said


@pytest.mark.parametrize("size", [(8, 40), (80, 1000)])
def test_a_side_just_long_enough(file, size):
    bounds = PictureBounds(1_000_000, min_side=8, resize_to=100)
    assert prepare(file(saved(Image.new("L", size), "PNG")), bounds).width == 8


@pytest.mark.parametrize("size", [(100, 100), (101, 100), (100, 101)])
def test_a_ratio_may_be_out_by_one_in_a_hundred(file, size):
    square = PictureBounds(1_000_000, aspect_ratio=(Fraction(1), Fraction(1)))
    assert prepare(file(saved(Image.new("L", size), "PNG")), square).width == size[0]


def test_the_ratio_is_that_of_the_picture_as_it_is_looked_at(file, refusal):
    tall = PictureBounds(1_000_000, aspect_ratio=(Fraction(3, 5), Fraction(3, 5)))
    assert prepare(file(saved(quarters(), "JPEG", orientation=6)), tall).height == 40
    assert "(5:3); 3:5 is allowed" in refusal(saved(quarters(), "JPEG"), tall)


def test_a_large_photo_is_scaled_down_as_a_photo(file):
    content = saved(quarters(size=(400, 240)), "JPEG", orientation=8, icc_profile=SRGB, comment=b"taken at home")
    picture = prepare(file(content), PictureBounds(1_000_000, resize_to=100))
    found = read_back(picture)
    assert (found.format, picture.content_type) == ("JPEG", "image/jpeg")
    assert found.size == (picture.width, picture.height) == (60, 100)
    assert found.info["icc_profile"] == SRGB
    assert found.getexif().get(0x0112) is None
    assert b"taken at home" not in picture.path.read_bytes()
    assert [round(found.getpixel(at)[0], -1) for at in ((15, 25), (45, 25), (15, 75), (45, 75))] == [100, 220, 40, 160]


def test_a_drawing_with_a_palette_is_scaled_smoothly(file):
    """Black and white halves: what lies between them is grey, which its palette does not have."""
    drawing = Image.new("P", (64, 64), 0)
    drawing.putpalette([0, 0, 0, 255, 255, 255])
    drawing.paste(1, (31, 0, 64, 64))
    found = read_back(prepare(file(saved(drawing, "PNG", transparency=0)), PictureBounds(10_000, resize_to=16)))
    assert found.mode == "RGBA"
    assert found.getpixel((15, 8)) == (255, 255, 255, 255)
    assert found.getpixel((0, 8))[3] == 0
    assert 0 < found.getpixel((7, 8))[3] < 255


@given(width=st.integers(1, 90), height=st.integers(1, 90), longest=st.integers(1, 90))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_longest_side_is_what_was_asked_for_and_nothing_grows(file, width, height, longest):
    picture = prepare(file(saved(Image.new("L", (width, height)), "PNG")), PictureBounds(10_000, resize_to=longest))
    assert max(picture.width, picture.height) == min(longest, max(width, height))
    assert abs(picture.width * max(width, height) - width * max(picture.width, picture.height)) <= max(width, height)
    assert read_back(picture).size == (picture.width, picture.height)
    assert picture.changed == (max(width, height) > longest)


def test_an_animation_is_not_scaled_but_refused(file, refusal):
    content = animation("GIF", 2)
    said = refusal(content, PictureBounds(10_000, animated=True, resize_to=39))
    assert said == (
        "is animated and 40 by 24 pixels; an animated picture is not scaled down, and at most 39 pixels on the longest "
        "side are allowed"
    )
    assert prepare(file(content), PictureBounds(10_000, animated=True, resize_to=40)).path.read_bytes() == content


def test_a_picture_that_can_not_be_written_is_not_called_broken(file):
    path = file(saved(quarters(), "AVIF"))
    (path.parent / "picture.part.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        prepare(path, ANY)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_the_size_in_the_header_is_that_of_the_picture_as_it_is_looked_at(file, form, orientation):
    path = file(saved(quarters(), form, orientation=orientation))
    assert pictures.size(path) == pictures.check(path, max_pixels=1000) == ((40, 24) if orientation == 1 else (24, 40))


@pytest.mark.parametrize("content", [b"", b"words", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic" + bytes(40)])
def test_what_is_no_picture_has_no_size(file, refusal, content):
    refusal(content)
    assert pictures.size(file(content)) is None


@given(at=st.integers(0, 2000), byte=st.integers(0, 255), form=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "AVIF"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_wrong_byte_gives_a_picture_or_a_reason(file, at, byte, form):
    content = bytearray(saved(quarters(), form, orientation=6))
    content[at % len(content)] = byte
    try:
        picture = prepare(file(bytes(content)), ANY)
    except PictureProblem as problem:
        said = str(problem)
    else:
        said = read_back(picture).format
    assert said
