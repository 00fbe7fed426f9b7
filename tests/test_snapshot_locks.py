"""The lock of a snapshot: written, read, made of a live ComfyUI, and compared."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repositories import git, repository

from engine.errors import InvalidMap
from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack, differences, lock_of, notes, read_lock, same_name

COMMIT, OTHER = "a0f451a5113cf9becb0847b92884cb10cbdec0ef", "b" * 40
LOCK = Lock(
    comfyui=LockedComfyUI(version="0.8.0", commit=COMMIT),
    python="3.12.3",
    pytorch="2.8.0+cu128",
    packs={
        "Adapter": LockedPack(
            repository="https://x.example/a/Adapter", commit=COMMIT, classes=("AdapterApply", "AdapterLoad")
        ),
        "from-registry": LockedPack(version="1.2.0", classes=("Registered",)),
    },
)
STATS = {
    "system": {
        "comfyui_version": "0.8.0",
        "python_version": "3.12.3 (main, Jan 17 2025) [GCC]",
        "pytorch_version": "2.8.0+cu128",
        "argv": ["main.py"],
    }
}


def with_pack(lock, name, **changed):
    """The lock with something else said of a pack."""
    packs = {**lock.packs, name: lock.packs[name].model_copy(update=changed)}
    return lock.model_copy(update={"packs": packs})


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "base.lock.json"
    path.write_text(LOCK.text())

    assert read_lock(path) == LOCK
    assert list(json.loads(path.read_text())) == ["format", "comfyui", "python", "pytorch", "packs"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "base.lock.json: format: must be 1"),
        ({"comfyui": {}}, "base.lock.json: comfyui.version: is missing"),
        ({"packs": []}, "base.lock.json: packs: must be an object (got an array)"),
        ({"packs": {"a": None}}, "base.lock.json: packs.a: must be an object (got null)"),
        ({"pack": {}}, 'base.lock.json: pack: is no key of a lock (did you mean "packs"?)'),
        ({"packs": {"a": {"classes": "X"}}}, "base.lock.json: packs.a.classes: must be an array (got a string)"),
        ({"packs": {"a": {"clases": []}}}, 'packs.a.clases: is no key of a lock (did you mean "classes"?)'),
        ({"packs": {"a": {"commit": 3}}}, "base.lock.json: packs.a.commit: must be a string (got a number)"),
    ],
)
def test_a_wrong_lock_is_told_with_its_file_and_key(tmp_path, change, said):
    path = tmp_path / "base.lock.json"
    path.write_text(json.dumps(json.loads(LOCK.text()) | change))

    with pytest.raises(InvalidMap) as raised:
        read_lock(path)

    assert said in raised.value.message
    assert "engine snapshot freeze" in raised.value.hint


def test_what_is_live_is_read_from_comfyui_and_its_folders(tmp_path):
    adapter = tmp_path / "custom_nodes" / "Adapter"
    registry = tmp_path / "custom_nodes" / "from-registry"
    for folder in (
        adapter,
        registry,
        tmp_path / "custom_nodes" / "off.disabled",
        tmp_path / "custom_nodes/__pycache__",
    ):
        folder.mkdir(parents=True)
    (tmp_path / "custom_nodes" / "single.py").write_text("")
    (tmp_path / "custom_nodes" / "websocket_image_save.py").write_text("")
    (tmp_path / "custom_nodes" / "notes.txt").write_text("")
    commit = repository(adapter, __init__="")
    git(adapter, "remote", "add", "origin", "https://user:secret@x.example/a/Adapter.git")
    (registry / ".tracking").write_text("__init__.py\n")
    (registry / "pyproject.toml").write_text(
        '[project]\nname = "From-Registry"\nversion = "1.2"\n[project.urls]\nRepository = "https://x.example/r"\n'
    )
    object_info = {
        "KSampler": {"python_module": "nodes"},
        "SaveImageWebsocket": {"python_module": "custom_nodes.websocket_image_save"},
        "AdapterLoad": {"python_module": "custom_nodes.Adapter"},
        "AdapterApply": {"python_module": "custom_nodes.Adapter"},
        "Dotted": {"python_module": "custom_nodes.some.pack"},
    }

    lock = lock_of(object_info, STATS, tmp_path)

    assert lock.comfyui == LockedComfyUI(version="0.8.0", commit=None)
    assert (lock.python, lock.pytorch) == ("3.12.3", "2.8.0+cu128")
    assert dict(lock.packs) == {
        "Adapter": LockedPack(
            repository="https://x.example/a/Adapter.git",
            commit=commit,
            classes=("AdapterApply", "AdapterLoad"),
        ),
        "from-registry": LockedPack(repository="https://x.example/r", version="1.2.0", registry="from-registry"),
        "single": LockedPack(),
        "some.pack": LockedPack(classes=("Dotted",)),
    }


def test_without_the_folders_the_classes_are_known_all_the_same():
    lock = lock_of({"A": {"python_module": "custom_nodes.pack"}}, STATS, None)

    assert dict(lock.packs) == {"pack": LockedPack(classes=("A",))}


@pytest.mark.parametrize("arguments", [["--base-directory", "{}"], ["--base-directory={}"]])
def test_the_packs_are_where_comfyui_was_told_to_have_them(tmp_path, arguments):
    (tmp_path / "base" / "custom_nodes" / "there").mkdir(parents=True)
    (tmp_path / "home" / "custom_nodes" / "elsewhere").mkdir(parents=True)
    argv = ["main.py", *(each.format(tmp_path / "base") for each in arguments)]

    lock = lock_of({}, {"system": STATS["system"] | {"argv": argv}}, tmp_path / "home")

    assert list(lock.packs) == ["there"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            LOCK.model_copy(update={"packs": {"from-registry": LOCK.packs["from-registry"]}}),
            ["the pack Adapter is missing (https://x.example/a/Adapter)"],
        ),
        (with_pack(LOCK, "Adapter", commit=OTHER), ["Adapter is at bbbbbbb, the lock says a0f451a"]),
        (with_pack(LOCK, "from-registry", version="1.3.0"), ["from-registry is 1.3.0, the lock says 1.2.0"]),
        (with_pack(LOCK, "Adapter", classes=("AdapterLoad",)), ["Adapter lacks the classes AdapterApply"]),
        (
            with_pack(LOCK, "Adapter", classes=()),
            ["Adapter gives none of its classes (AdapterApply, AdapterLoad): it was not imported"],
        ),
        (
            LOCK.model_copy(update={"comfyui": LockedComfyUI(version="0.3.64")}),
            ["ComfyUI is 0.3.64, the lock says 0.8.0"],
        ),
        (
            LOCK.model_copy(update={"comfyui": LockedComfyUI(version="0.8.0", commit=OTHER)}),
            ["ComfyUI is at bbbbbbb, the lock says a0f451a"],
        ),
        # What is not known there, as in an image without the clones, or is more than the lock has, is no difference.
        (LOCK.model_copy(update={"comfyui": LockedComfyUI(version="0.8.0")}), []),
        (with_pack(LOCK, "Adapter", commit=None, repository=None), []),
        (with_pack(LOCK, "Adapter", classes=("AdapterApply", "AdapterLoad", "AdapterNew")), []),
        (LOCK.model_copy(update={"packs": {**LOCK.packs, "more": LockedPack(classes=("M",))}}), []),
        (LOCK.model_copy(update={"python": "3.11.2", "pytorch": "2.9.0+cpu"}), []),
        # One installer keeps the name of the repository, another writes it small.
        (LOCK.model_copy(update={"packs": {name.lower(): pack for name, pack in LOCK.packs.items()}}), []),
        (
            LOCK.model_copy(
                update={
                    "packs": {
                        "renamed": LOCK.packs["Adapter"].model_copy(
                            update={"repository": "https://x.example/a/adapter.git"}
                        ),
                        "from-registry": LOCK.packs["from-registry"],
                    }
                }
            ),
            [],
        ),
    ],
)
def test_differences_are_told_in_words(there, said):
    assert differences(LOCK, there) == said


def test_a_pack_whose_folder_was_given_another_name_is_found_where_there_are_no_clones():
    mine = LOCK.packs["Adapter"]
    lock = LOCK.model_copy(update={"packs": {"my adapter": mine}})
    built = LOCK.model_copy(update={"packs": {"adapter": mine.model_copy(update={"repository": None, "commit": None})}})
    fork = mine.model_copy(update={"repository": "https://x.example/another/Adapter"})

    assert differences(lock, built) == differences(built, lock) == []
    assert differences(lock, LOCK.model_copy(update={"packs": {"Adapter": fork}})) == [
        "the pack my adapter is missing (https://x.example/a/Adapter)"
    ]


def test_another_python_is_worth_a_note():
    there = LOCK.model_copy(update={"python": "3.11.2", "pytorch": None})

    assert notes(LOCK, there) == ["Python is 3.11.2, the lock says 3.12.3"]


PACKS = st.builds(
    LockedPack,
    commit=st.none() | st.sampled_from([COMMIT, OTHER]),
    version=st.none() | st.text(min_size=1, max_size=3),
    classes=st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=4).map(lambda each: tuple(sorted(each))),
)
LOCKS = st.builds(
    Lock,
    comfyui=st.builds(LockedComfyUI, version=st.sampled_from(["0.8.0", "0.3.64"])),
    packs=st.dictionaries(st.text(min_size=1, max_size=4), PACKS, max_size=4),
)


@given(LOCKS)
def test_nothing_differs_from_itself_and_the_file_keeps_all(lock):
    again = Lock.model_validate_json(lock.text())

    assert differences(lock, again) == []
    assert again == lock


@given(LOCKS, LOCKS)
def test_a_pack_that_is_missing_is_always_named(wanted, there):
    said = differences(wanted, there)

    missing = [name for name in wanted.packs if not any(same_name(name, each) for each in there.packs)]
    assert all(f"the pack {name} is missing" in said for name in missing)
