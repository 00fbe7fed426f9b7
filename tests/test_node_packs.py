"""Which node pack has a class, as the locks of snapshots say it."""

import json

import pytest

from engine.errors import InvalidMap
from engine.node_packs import KnownPack, known_packs, node_packs
from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack
from engine.snapshots.shelf import Shelved


def write_lock(folder, name, **classes):
    """A lock with these packs, each a list of classes."""
    packs = {
        pack: LockedPack(repository=f"https://x.example/{pack}", classes=tuple(each)) for pack, each in classes.items()
    }
    (folder / f"{name}.lock.json").write_text(Lock(comfyui=LockedComfyUI(version="0.8.0"), packs=packs).text())


def test_classes_are_found_by_their_pack(tmp_path):
    write_lock(tmp_path, "base", Adapter=["AdapterLoad"], other=["Other", "AdapterLoad"])
    write_lock(tmp_path, "more", third=["Third", "Other"])

    assert dict(node_packs(tmp_path)) == {"AdapterLoad": "Adapter", "Other": "other", "Third": "third"}


def test_what_the_chosen_snapshot_says_comes_first(tmp_path):
    write_lock(tmp_path, "base", Adapter=["AdapterLoad"])
    write_lock(tmp_path, "more", fork=["AdapterLoad"])

    known = known_packs(tmp_path, Shelved("more", tmp_path))

    assert known.of_class("AdapterLoad") == KnownPack("fork", "https://x.example/fork", "more")
    assert known.of_class("Unknown") is None
    assert [each.snapshot for each in known.named("ADAPTER")] == ["base"]


def test_what_the_snapshot_has_no_more_is_gone_from_its_lock(tmp_path):
    write_lock(tmp_path, "base", one=["One"], two=["Two"])
    url = "https://x.example/one"
    (tmp_path / "base.json").write_text(json.dumps({"git_custom_nodes": {url: {"hash": "a" * 40}}}))

    assert known_packs(tmp_path, Shelved("base", tmp_path, (tmp_path / "base.json",))).gone == {"two"}


def test_without_a_snapshot_nothing_is_known(tmp_path):
    assert dict(node_packs(tmp_path / "nowhere")) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"packs": 3}', '{"packs": {"a": {"classes": "X"}}}'])
def test_a_broken_lock_takes_nothing_from_the_others_unless_it_was_chosen(tmp_path, text):
    (tmp_path / "a.lock.json").write_text(text)
    write_lock(tmp_path, "b", pack=["Fine"])

    assert dict(node_packs(tmp_path)) == {"Fine": "pack"}
    with pytest.raises(InvalidMap, match=r"a\.lock\.json"):
        known_packs(tmp_path, Shelved("a", tmp_path))
