"""Which node pack has a class, as snapshots say it."""

import json

import pytest

from engine.node_packs import node_packs

PACKS = {
    "ComfyUI_IPAdapter_plus": {"repository": "https://x.example/a", "commit": "a0", "classes": ["IPAdapterAdvanced"]},
    "other": {"classes": ["Other", "IPAdapterAdvanced"]},
}


def test_classes_are_found_by_their_pack(tmp_path):
    (tmp_path / "base.lock.json").write_text(json.dumps({"packs": PACKS}))
    (tmp_path / "more.lock.json").write_text(json.dumps({"packs": {"third": {"classes": ["Third", "Other"]}}}))

    assert dict(node_packs(tmp_path)) == {
        "IPAdapterAdvanced": "ComfyUI_IPAdapter_plus",
        "Other": "other",
        "Third": "third",
    }


def test_without_a_snapshot_nothing_is_known(tmp_path):
    assert dict(node_packs(tmp_path / "nowhere")) == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"packs": 3}', '{"packs": {"a": 3, "b": {"classes": "X"}, "c": {"classes": [1]}}}']
)
def test_a_broken_snapshot_takes_nothing_from_the_others(tmp_path, text):
    (tmp_path / "a.lock.json").write_text(text)
    (tmp_path / "b.lock.json").write_text(json.dumps({"packs": {"pack": {"classes": ["Fine"]}}}))

    assert dict(node_packs(tmp_path)) == {"Fine": "pack"}
