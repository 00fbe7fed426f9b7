"""Files read where they are looked at, which show themselves as bytes do."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.finishing import comfy_jpeg, comfy_png, comfy_webp

from engine.containers import BrokenContainer, jpeg, png, viewed, webp
from engine.containers.pieces import counted, joined
from engine.containers.view import READ_AT_ONCE, first_match

CONTENT = bytes(range(256)) * 50
PLACES = st.integers(0, len(CONTENT) + 10)


@given(looks=st.lists(st.tuples(PLACES, PLACES), max_size=20))
def test_a_view_shows_what_the_file_holds(tmp_path_factory, looks):
    path = tmp_path_factory.mktemp("view") / "file"
    path.write_bytes(CONTENT)
    with viewed(path) as data:
        assert len(data) == len(CONTENT)
        for start, stop in looks:
            assert data[start:stop] == CONTENT[start:stop]
            assert data[start:stop:3] == CONTENT[start:stop:3]
            if start < len(CONTENT):
                assert data[start] == CONTENT[start]


def test_a_view_ends_where_the_file_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with viewed(path) as data:
        assert (data[:2], data[-1:], data[5:9]) == (b"ab", b"c", b"")
        with pytest.raises(IndexError):
            data[3]


def test_an_empty_file_and_one_that_became_shorter(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(BrokenContainer, match="is empty"), viewed(path):
        pass
    path.write_bytes(CONTENT)
    with viewed(path) as data:
        path.write_bytes(b"")
        with pytest.raises(BrokenContainer, match="became shorter"):
            data[0:10]


@pytest.mark.parametrize("start", [0, 7, READ_AT_ONCE - 1])
@pytest.mark.parametrize("place", [READ_AT_ONCE - 1, READ_AT_ONCE, READ_AT_ONCE + 6, 2 * READ_AT_ONCE - 1])
def test_what_lies_across_two_stretches_is_found(tmp_path, start, place):
    content = bytes(place) + b"\xff\xd9" + bytes(40) + b"\xff\xd9"
    path = tmp_path / "file"
    path.write_bytes(content)
    with viewed(path) as data:
        assert first_match(data, re.compile(rb"\xff\xd9"), start, width=2) == place
        assert first_match(data, re.compile(rb"\xff\xd8"), start, width=2) is None


@pytest.mark.parametrize(
    ("container", "content"), [(png, comfy_png()), (jpeg, comfy_jpeg()), (webp, comfy_webp(frames=3))]
)
@pytest.mark.parametrize("keep", [True, False])
def test_a_file_is_planned_as_its_bytes_are(tmp_path, container, content, keep):
    path = tmp_path / "file"
    path.write_bytes(content)
    with viewed(path) as data:
        assert container.plan(data, keep=keep, stamp='{"a":1}') == container.plan(content, keep=keep, stamp='{"a":1}')


STRETCHES = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda ends: range(min(ends), max(ends)))
PIECES = st.lists(st.binary(max_size=3) | STRETCHES)


@given(PIECES)
def test_joined_pieces_give_the_same_file(pieces):
    def bytes_of(some):
        return b"".join(piece if isinstance(piece, bytes) else CONTENT[piece.start : piece.stop] for piece in some)

    shorter = joined(pieces)
    assert bytes_of(shorter) == bytes_of(pieces)
    assert all(shorter)
    for one, other in itertools.pairwise(shorter):
        assert not (isinstance(one, range) and isinstance(other, range) and one.stop == other.start)


def test_more_parts_than_any_program_writes_are_refused():
    assert len(counted(range(100_000))) == 100_000
    with pytest.raises(BrokenContainer, match="more parts than can be handled"):
        counted(range(100_001))
