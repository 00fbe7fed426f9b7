"""Aspect ratios as people write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.aspect_ratio import bounds_of, ratio_of

sides = st.integers(1, 99_999)


@given(sides, sides, sides, sides)
def test_a_range_is_what_lies_between_its_ratios(width, height, other_width, other_height):
    written = sorted([(width, height), (other_width, other_height)], key=lambda side: Fraction(*side))
    low, high = bounds_of([f"{one}:{other}" for one, other in written])
    assert (low, high) == tuple(Fraction(*side) for side in written)
    assert bounds_of(f"{width}:{height}") == (Fraction(width, height),) * 2


def test_ratios_of_the_cinema():
    assert ratio_of("2.35:1") == Fraction(47, 20)


@pytest.mark.parametrize(
    "text", ["", "16", "16x9", "16:9:1", "-1:2", "1:-2", "1e9:1", " 1:1", "1:1\n", "½:1", "0:1", "1:0.0"]
)
def test_what_is_none_is_refused_by_name(text):
    with pytest.raises(ValueError, match="is no aspect ratio"):
        ratio_of(text)


@pytest.mark.parametrize("written", [[], ["1:1"], ["1:1", "2:1", "3:1"], ["2:1", "1:1"]])
def test_a_range_has_two_ends_in_order(written):
    with pytest.raises(ValueError, match="range"):
        bounds_of(written)
