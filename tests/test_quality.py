"""The checks that judge pictures: each tells the pictures it is for from the others, whoever is on them."""

import importlib.util
import io
import math
import re
import textwrap

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from support.portraits import (
    BACKGROUNDS,
    CASTS,
    FURTHER_TONES,
    LIGHTS,
    MONK_TONES,
    drawn_share,
    lit,
    meadow,
    noise,
    portrait,
    speckled,
    stripes,
    sunset,
)
from support.workflows import ROOT

from engine.quality import CHECKS

TONES = st.sampled_from(sorted(MONK_TONES))
NEUTRAL_LIGHTS = st.sampled_from(["plain", "warm", "dim", "dim and warm"])
SIZES = st.tuples(st.integers(256, 900), st.integers(256, 900))
bounded = settings(max_examples=25)  # each draws pictures


def score(name, picture, against=None):
    return CHECKS[name].score(picture, against)


def passes(name, picture, against=None):
    check, found = CHECKS[name], score(name, picture, against)
    return (check.minimum is None or found >= check.minimum) and (check.maximum is None or found <= check.maximum)


def as_jpeg(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def blurred(picture, radius):
    return picture.filter(ImageFilter.GaussianBlur(radius))


def plain(colour, size=(320, 240)):
    return Image.new("RGB", size, colour)


PEOPLE = {f"tone {number}": portrait(tone) for number, tone in MONK_TONES.items()}
SCENES = {"sunset": sunset(), "meadow": meadow(), "stripes": stripes()}


# skin_tone


@bounded
@given(first=TONES, second=TONES, light=NEUTRAL_LIGHTS, background=st.sampled_from(["wall", "grass", "sky"]))
@example(first=1, second=10, light="plain", background="wall")
def test_no_tone_is_favoured(first, second, light, background):
    one, other = (
        score("skin_tone", lit(portrait(MONK_TONES[tone], background=background), LIGHTS[light]))
        for tone in (first, second)
    )
    assert one == pytest.approx(other, rel=0.05)


@pytest.mark.parametrize("tone", MONK_TONES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_score_is_the_share_that_is_skin(tone, background):
    picture = portrait(MONK_TONES[tone], background=background)
    assert score("skin_tone", picture) == pytest.approx(drawn_share(), rel=0.1)


@pytest.mark.parametrize("tone", FURTHER_TONES)
def test_golden_and_reddish_skin_is_skin_as_well(tone):
    assert score("skin_tone", portrait(FURTHER_TONES[tone])) == pytest.approx(drawn_share(), rel=0.1)
    for light in LIGHTS.values():
        assert score("skin_tone", lit(portrait(FURTHER_TONES[tone]), light)) > drawn_share() * 0.7


@pytest.mark.parametrize("tone", [*MONK_TONES.values(), *FURTHER_TONES.values()])
def test_little_light_takes_nobody_away(tone):
    assert score("skin_tone", lit(portrait(tone), (0.3, 0.3, 0.3))) > drawn_share() * 0.5


@bounded
@given(
    first=st.tuples(*[st.integers(0, 255)] * 3),
    part=st.floats(0, 1),
    tones=st.tuples(TONES, TONES),
)
def test_tones_between_those_of_the_scale_are_skin_as_well(first, part, tones):
    shirt = (first[0] // 3, first[1] // 2, 90 + first[2] // 2)
    one, other = (Image.new("RGB", (1, 1), MONK_TONES[tone]) for tone in tones)
    between = Image.blend(one, other, part).getpixel((0, 0))
    picture = portrait("#{:02x}{:02x}{:02x}".format(*between), shirt=shirt)
    assert score("skin_tone", picture) == pytest.approx(drawn_share(), rel=0.1)


@bounded
@given(tone=TONES, size=SIZES)
def test_neither_size_nor_mirroring_matters(tone, size):
    picture = portrait(MONK_TONES[tone])
    known = score("skin_tone", picture)
    assert score("skin_tone", picture.resize(size, Image.Resampling.LANCZOS)) == pytest.approx(known, rel=0.06)
    assert score("skin_tone", ImageOps.mirror(picture)) == pytest.approx(known, rel=0.02)


@pytest.mark.parametrize("tone", MONK_TONES)
@pytest.mark.parametrize("light", LIGHTS)
def test_everyone_passes_in_every_light(tone, light):
    assert passes("skin_tone", lit(portrait(MONK_TONES[tone]), LIGHTS[light]))


@pytest.mark.parametrize("tone", MONK_TONES)
@pytest.mark.parametrize("cast", CASTS)
def test_nobody_whose_colours_came_out_wrong_passes(tone, cast):
    assert score("skin_tone", lit(portrait(MONK_TONES[tone]), CASTS[cast])) < CHECKS["skin_tone"].minimum / 2


@pytest.mark.parametrize("tone", MONK_TONES)
def test_a_green_face_before_grass_does_not_pass_and_a_good_one_does(tone):
    picture = portrait(MONK_TONES[tone], background="grass")
    assert passes("skin_tone", picture)
    assert not passes("skin_tone", lit(picture, CASTS["green"]))


@pytest.mark.parametrize("tone", MONK_TONES)
def test_a_portrait_without_its_colours_scores_nothing(tone):
    assert score("skin_tone", portrait(MONK_TONES[tone]).convert("L").convert("RGB")) == 0


@pytest.mark.parametrize("name", SCENES)
def test_scenes_without_people_do_not_pass(name):
    assert not passes("skin_tone", SCENES[name])


@pytest.mark.parametrize("tone", MONK_TONES)
def test_nothing_but_skin_is_too_much(tone):
    assert score("skin_tone", plain(MONK_TONES[tone])) == 1
    assert not passes("skin_tone", plain(MONK_TONES[tone]))


@bounded
@given(level=st.integers(0, 255))
def test_grey_scores_nothing(level):
    assert score("skin_tone", plain((level, level, level))) == 0


# not_black and not_blank


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("check", ["not_black", "not_blank"])
def test_a_portrait_in_dim_light_is_neither_black_nor_blank(name, check):
    assert passes(check, lit(PEOPLE[name], LIGHTS["dim"]))


def test_black_is_black_whatever_little_is_on_it():
    black = plain((0, 0, 0), (512, 512))
    hot = black.copy()
    ImageDraw.Draw(hot).point([(100, 100), (300, 7)], fill=(255, 255, 255))
    captioned = black.copy()
    ImageDraw.Draw(captioned).text((10, 490), "not shown: unsafe", fill=(255, 255, 255))
    for picture in (black, hot, captioned, as_jpeg(black, 30), speckled(black, 6)):
        assert not passes("not_black", picture)


def test_a_night_is_not_black():
    night = plain((2, 3, 8), (512, 512))
    ImageDraw.Draw(night).ellipse((380, 60, 450, 130), fill=(235, 235, 220))
    assert passes("not_black", night)
    assert passes("not_black", plain((0, 0, 60)))


@bounded
@given(colour=st.tuples(*[st.integers(0, 255)] * 3), spread=st.integers(1, 10))
def test_a_flat_colour_is_blank_with_faint_noise_and_as_jpeg_too(colour, spread):
    flat = plain(colour)
    assert score("not_blank", flat) == 0
    assert not passes("not_blank", speckled(flat, spread))
    assert not passes("not_blank", as_jpeg(flat, 20))


def test_a_caption_on_grey_is_as_good_as_blank_and_noise_and_skies_are_not():
    captioned = plain((128, 128, 128), (512, 512))
    ImageDraw.Draw(captioned).text((10, 490), "failed", fill=(255, 255, 255))
    assert not passes("not_blank", captioned)
    assert passes("not_blank", noise((200, 200)))
    assert passes("not_blank", SCENES["sunset"])
    assert passes("not_blank", Image.linear_gradient("L").convert("RGB"))


def test_a_drawing_on_white_is_not_blank():
    sheet = plain((255, 255, 255), (512, 512))
    ImageDraw.Draw(sheet).ellipse((100, 100, 400, 400), outline=(0, 0, 0), width=4)
    assert passes("not_blank", sheet)


# sharpness


@pytest.mark.parametrize("name", PEOPLE)
def test_a_blurred_portrait_is_not_sharp(name):
    assert passes("sharpness", PEOPLE[name])
    assert not passes("sharpness", blurred(PEOPLE[name], 2))
    assert not passes("sharpness", as_jpeg(blurred(PEOPLE[name], 4), 30))


@bounded
@given(tone=TONES, radii=st.tuples(st.floats(0.3, 8), st.floats(0.3, 8)))
def test_more_blur_is_less_sharp(tone, radii):
    little, much = sorted(radii)
    assume(much - little > 0.3)
    picture = portrait(MONK_TONES[tone])
    assert score("sharpness", blurred(picture, much)) <= score("sharpness", blurred(picture, little)) + 0.01


@bounded
@given(tone=TONES, brightness=st.floats(0.4, 1))
def test_a_darker_picture_is_as_sharp(tone, brightness):
    picture = portrait(MONK_TONES[tone])
    darker = lit(picture, (brightness, brightness, brightness))
    assert score("sharpness", darker) == pytest.approx(score("sharpness", picture), rel=0.15)


def test_a_face_before_a_blurred_background_is_sharp():
    meadow_behind = blurred(meadow((1024, 768)), 12)
    meadow_behind.paste(portrait(MONK_TONES[6], size=(288, 384)), (300, 200))
    assert passes("sharpness", meadow_behind)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_larger_size_of_a_large_picture_is_as_sharp(name):
    large = PEOPLE[name].resize((768, 1024), Image.Resampling.BICUBIC)
    larger = PEOPLE[name].resize((1536, 2048), Image.Resampling.BICUBIC)
    assert score("sharpness", larger) == pytest.approx(score("sharpness", large), rel=0.15)


# not_identical_to_input


@bounded
@given(tone=TONES, quality=st.integers(30, 95), size=SIZES)
def test_the_same_picture_in_another_form_is_the_same(tone, quality, size):
    picture = portrait(MONK_TONES[tone])
    assert score("not_identical_to_input", picture, picture) == 0
    other = as_jpeg(picture.resize(size, Image.Resampling.BICUBIC), quality)
    assert not passes("not_identical_to_input", other, picture)


def changed_face():
    other = portrait(MONK_TONES[5])
    draw = ImageDraw.Draw(other)
    for x in (152, 232):
        draw.ellipse((x - 14, 196, x + 14, 214), fill=(70, 120, 70))
    draw.ellipse((150, 282, 234, 312), fill=(150, 40, 50))
    return other


EDITS = {
    "another person": PEOPLE["tone 4"],
    "eyes and lips": changed_face(),
    "mirrored": ImageOps.mirror(PEOPLE["tone 5"]),
    "without colour": PEOPLE["tone 5"].convert("L").convert("RGB"),
    "another background": portrait(MONK_TONES[5], background="grass"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_picture_is_another_one(name):
    assert passes("not_identical_to_input", EDITS[name], PEOPLE["tone 5"])


@bounded
@given(amounts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_more_change_scores_more(amounts):
    less, more = sorted(amounts)
    first, last = PEOPLE["tone 5"], SCENES["meadow"].resize(PEOPLE["tone 5"].size)
    scores = [score("not_identical_to_input", Image.blend(first, last, amount), first) for amount in (less, more)]
    assert scores[0] <= scores[1] + 0.003


def test_black_and_white_are_as_far_apart_as_can_be():
    assert score("not_identical_to_input", plain((0, 0, 0)), plain((255, 255, 255))) == 1


# every check

HOSTILE = {
    "one pixel": plain((200, 120, 90), (1, 1)),
    "two pixels": noise((2, 1)),
    "a line": noise((1000, 1)),
    "a column": noise((1, 1000)),
    "a strip": noise((4000, 2)),
    "huge and flat": plain((90, 90, 90), (5000, 3000)),
    "white": plain((255, 255, 255)),
    "black": plain((0, 0, 0)),
    "noise": noise((300, 200)),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", HOSTILE)
def test_every_picture_gets_a_score_from_0_to_1(check, name):
    for against in (None, HOSTILE["noise"], HOSTILE[name]):
        found = score(check, HOSTILE[name], against)
        assert isinstance(found, float)
        assert math.isfinite(found)
        assert 0 <= found <= 1


@pytest.mark.parametrize("check", CHECKS)
def test_a_score_is_the_same_each_time_and_the_picture_stays(check):
    picture = portrait(MONK_TONES[7])
    before = picture.copy()
    assert score(check, picture, SCENES["meadow"]) == score(check, picture, SCENES["meadow"])
    assert ImageChops.difference(picture, before).getbbox() is None


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_a_bound_a_name_and_words(check):
    each = CHECKS[check]
    assert each.name == check
    assert re.fullmatch(r"[a-z][a-z0-9_]*", check)
    assert each.measures
    assert (each.minimum, each.maximum) != (None, None)


def test_every_check_has_a_section_of_its_own():
    page = (ROOT / "docs" / "quality.md").read_text()
    assert re.findall(r"^## `(\w+)`$", page, re.MULTILINE) == list(CHECKS)


def test_the_table_of_checks_is_current():
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    text = (ROOT / "docs" / "quality.md").read_text()
    assert all(f"| `{check}` |" in text for check in CHECKS)
    assert generate.quality_page(text) == text, "make generated"


def test_the_check_of_the_recipe_works(tmp_path):
    recipe = (ROOT / "engine" / "quality" / "new_check.md").read_text()
    module = tmp_path / "brightness.py"
    module.write_text(textwrap.dedent(re.search(r" +```python\n(.*?)```", recipe, re.DOTALL)[1]))
    specification = importlib.util.spec_from_file_location("brightness", module)
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    check = made.BRIGHTNESS
    scores = [check.score(plain((level, level, level)), None) for level in (0, 128, 255)]
    assert scores == [0, pytest.approx(0.5, abs=0.01), 1]
    assert not scores[0] >= check.minimum
    assert all(math.isfinite(check.score(picture, None)) for picture in HOSTILE.values())
