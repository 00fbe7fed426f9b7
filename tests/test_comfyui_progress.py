"""Progress: whatever ComfyUI sends, the fraction only grows; pictures are small and few."""

import io
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.comfyui.events import FRAME, Event
from engine.comfyui.previews import LONGEST_SIDE, MOST_BYTES, Previews, small_jpeg
from engine.comfyui.progress import ProgressMeter

GRAPH = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {}},
    "3": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Second pass"}},
    "9": {"class_type": "SaveImage", "inputs": {}, "_meta": {"title": "SaveImage"}},
    "7": {"class_type": "SaveImageWebsocket", "inputs": {}},
}


def encoded(size=(512, 320), form="JPEG", mode="RGB"):
    noise = random.Random(7).randbytes(size[0] * size[1] * 3)
    target = io.BytesIO()
    Image.frombytes("RGB", size, noise).convert(mode).save(target, form)
    return target.getvalue()


JPEG = encoded()
NODES = st.sampled_from(["3", "4", "9", "7", "unknown", "", None, 3, True]) | st.lists(st.just("3"))
NUMBERS = (
    st.sampled_from(
        [0, 1, 2, 20, -1, -7.5, float("nan"), float("inf"), 10**400, True, None, "4", [], 0.5, 1e308, 2**70]
    )
    | st.integers()
    | st.floats()
)
STATES = st.dictionaries(
    NODES.filter(lambda key: isinstance(key, str)),
    st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["running", "finished", "pending", "error", 4, None]),
            "value": NUMBERS,
            "max": NUMBERS,
            "display_node_id": NODES,
        },
    )
    | st.sampled_from([None, 1, "x"]),
    max_size=4,
)
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda nodes: Event("execution_cached", {"nodes": nodes}), st.lists(NODES, max_size=4) | NUMBERS),
        st.builds(lambda nodes: Event("progress_state", {"nodes": nodes}), STATES | NUMBERS),
        st.builds(
            lambda node, value, most: Event("progress", {"node": node, "value": value, "max": most}),
            NODES,
            NUMBERS,
            NUMBERS,
        ),
        st.builds(lambda node, shown: Event("executing", {"node": node, "display_node": shown}), NODES, NODES),
        st.builds(
            lambda node, data: Event(FRAME, {"node": node, "content_type": "image/jpeg", "picture": data}),
            NODES,
            st.sampled_from([JPEG, b"", b"\xff\xd8\xff", None, "text"]),
        ),
        st.builds(lambda kind: Event(kind, {}), st.sampled_from(["status", "executed", "progress", "x"])),
    ),
    max_size=25,
)


@given(EVENTS, st.floats(0, 1), st.booleans(), st.booleans(), st.randoms())
def test_the_fraction_never_goes_down_whatever_comes(events, floor, previews, twice, order):
    if twice:
        events = events * 2
        order.shuffle(events)
    seen = []
    meter = ProgressMeter(GRAPH, seen.append, floor=floor, previews=previews)

    for event in events:
        meter.hear(event)
        assert meter.where()
    meter.finish()

    fractions = [floor, *(each.fraction for each in seen)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(0 <= each.step <= each.steps for each in seen)
    assert all(each.node_id is None or each.node_class == GRAPH[each.node_id]["class_type"] for each in seen)
    assert all(each.preview is None or len(each.preview) <= MOST_BYTES for each in seen)
    assert previews or all(each.preview is None for each in seen)


def test_a_node_is_named_by_its_title_and_class():
    seen = []
    meter = ProgressMeter(GRAPH, seen.append)
    assert meter.where() == "no node had begun"

    meter.hear(Event("progress", {"node": "3", "value": 4, "max": 20}))
    assert seen[-1].node_title == "Second pass"
    assert meter.where() == 'KSampler "Second pass" (3), step 4 of 20'

    meter.hear(Event("executing", {"node": "9"}))
    assert meter.where() == "SaveImage (9)"


def test_a_second_try_goes_on_from_where_the_first_was():
    first, second = [], []
    meter = ProgressMeter(GRAPH, first.append)
    meter.hear(Event("progress", {"node": "3", "value": 10, "max": 20}))

    again = ProgressMeter(GRAPH, second.append, floor=meter.latest.fraction)
    again.hear(Event("executing", {"node": "4"}))
    again.hear(Event("progress", {"node": "3", "value": 1, "max": 20}))
    again.hear(Event("progress", {"node": "3", "value": 20, "max": 20}))
    again.finish()

    fractions = [each.fraction for each in first + second]
    assert fractions == sorted(fractions)
    assert second[0].fraction >= first[-1].fraction
    assert second[1].fraction > second[0].fraction


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1")]
)
def test_a_preview_is_a_small_jpeg(form, mode):
    small = small_jpeg(encoded((900, 300), form, mode))

    assert len(small) <= MOST_BYTES
    with Image.open(io.BytesIO(small)) as picture:
        assert (picture.format, max(picture.size), picture.mode) == ("JPEG", LONGEST_SIDE, "RGB")


def bomb():
    target = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize("data", [b"", b"text", JPEG[:40], encoded(form="PNG")[:500], bomb(), b"\0" * 9_000_000])
def test_a_broken_preview_is_ignored(data):
    assert small_jpeg(data) is None


def test_previews_are_few():
    previews = Previews(every_seconds=3600)

    assert previews.take(b"broken") is None
    assert previews.take(JPEG) is not None
    assert previews.take(JPEG) is None


def frame(node="3"):
    return Event(FRAME, {"node": node, "content_type": "image/jpeg", "picture": JPEG})


def test_a_preview_stays_with_its_node():
    seen = []
    meter = ProgressMeter(GRAPH, seen.append, previews=True)
    meter.hear(frame())
    assert not seen  # of a node that has not begun

    meter.hear(Event("progress", {"node": "3", "value": 1, "max": 20}))
    meter.hear(frame())
    meter.hear(Event("progress", {"node": "3", "value": 2, "max": 20}))
    meter.hear(Event("executing", {"node": "9"}))

    assert [each.preview is not None for each in seen] == [False, True, True, False]
    assert seen[2].preview is seen[1].preview
    assert "preview" not in repr(seen[1])
    json.dumps(seen[1].fraction)


def test_pictures_that_are_results_are_no_previews():
    seen = []
    meter = ProgressMeter(GRAPH, seen.append, previews=True)
    meter.hear(Event("executing", {"node": "7"}))
    meter.hear(frame("7"))

    assert [each.preview for each in seen] == [None]
