"""Snapshots in a folder: found, listed, frozen of a ComfyUI, compared with one."""

import json

import pytest
from support.command import run_engine
from support.repositories import git, repository
from support.web import serve_web

from engine.comfyui import ComfyClient
from engine.errors import InvalidMap, UsageError
from engine.node_packs import known_packs
from engine.nodes import NodeCatalogue, load_catalogue
from engine.simulator import Simulator
from engine.snapshots.freezing import freeze
from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack, read_lock
from engine.snapshots.shelf import shelved, snapshots_in
from engine.snapshots.snapshot import disagreements, parse_snapshot, read_snapshot

COMMIT, OTHER = "a" * 40, "b" * 40
URL = "https://x.example/a/Some_Pack.git"
# As comfyui-manager 4.3 exports it.
EXPORTED = {
    "comfyui": None,
    "git_custom_nodes": {
        URL: {"hash": COMMIT, "disabled": False},
        "https://x.example/a/off": {"hash": OTHER, "disabled": True},
        "https://github.com/ltdrdata/ComfyUI-Manager": {"hash": OTHER, "disabled": False},
    },
    "cnr_custom_nodes": {"from-registry": "1.2.0", "comfyui-manager": "3.0.0"},
    "file_custom_nodes": [
        {"filename": "websocket_image_save.py", "disabled": False},
        {"filename": "single.py", "disabled": False},
        {"filename": "gone.py.disabled", "disabled": True},
    ],
    "pips": {"numpy==2.3.4": ""},
}
LOCK = Lock(
    comfyui=LockedComfyUI(version="0.8.0"),
    packs={
        "Some_Pack": LockedPack(repository=URL, commit=COMMIT, classes=("SomeClass",)),
        "registered": LockedPack(version="1.2.0", registry="from-registry", classes=("Registered",)),
        "single": LockedPack(classes=("Single",)),
    },
)
STATS = {"system": {"comfyui_version": "0.8.0", "python_version": "3.12.3", "pytorch_version": "2.8.0", "argv": []}}


def nodes_with(**packs):
    """The bundled node catalogue, and classes of packs, by class."""
    one = {"input": {"required": {"n": ["INT", {"max": 9}]}}, "output": ["INT"], "display_name": "x"}
    more = {name: one | {"python_module": f"custom_nodes.{pack}"} for name, pack in packs.items()}
    return NodeCatalogue(load_catalogue().object_info | more, version="0.8.0")


@pytest.fixture
def comfy():
    """A ComfyUI with a node pack."""
    with Simulator(nodes_with(SomeClass="Some_Pack")) as simulator:
        yield simulator.url


@pytest.fixture
def folder(tmp_path):
    """A folder with a snapshot as it was exported, and its lock."""
    folder = tmp_path / "snapshots"
    folder.mkdir()
    (folder / "2025-11-21_12-30-00_snapshot.json").write_text(json.dumps(EXPORTED))
    (folder / "2025-11-21_12-30-00.lock.json").write_text(LOCK.text())
    return folder


def engine(folder, *words, status=0):
    return run_engine(folder.parent, "snapshot", *words, "--folder", folder, status=status)


def test_a_snapshot_is_found_as_it_was_exported(folder):
    (folder / "base.json").write_text(json.dumps(EXPORTED))
    (folder / "left.lock.json").write_text(LOCK.text())
    (folder / "node-catalogue.json.gz").write_bytes(b"")

    found = snapshots_in(folder)

    assert list(found) == ["2025-11-21_12-30-00", "base", "left"]
    assert [path.name for path in found["2025-11-21_12-30-00"].files] == ["2025-11-21_12-30-00_snapshot.json"]
    assert not found["left"].files
    for name in ("2025-11-21_12-30-00", "2025-11-21_12-30-00_snapshot", "2025-11-21_12-30-00_snapshot.json"):
        assert shelved(name, folder) == found["2025-11-21_12-30-00"]
        assert shelved(f"{folder}/{name}") == found["2025-11-21_12-30-00"]


def test_an_unknown_one_and_one_that_is_there_twice_are_told(folder):
    for name in ("base.json", "base_snapshot.json"):
        (folder / name).write_text(json.dumps(EXPORTED))

    with pytest.raises(UsageError, match=r'no snapshot bse .*did you mean "base"'):
        shelved("bse", folder)
    with pytest.raises(UsageError, match=r"twice, as base\.json and base_snapshot\.json"):
        shelved("base", folder)


def test_its_packs_are_those_that_comfyui_loads(folder):
    packs = read_snapshot(shelved("2025-11-21_12-30-00", folder).file).packs()

    assert packs == {
        "Some_Pack": LockedPack(repository=URL, commit=COMMIT),
        "from-registry": LockedPack(version="1.2.0", registry="from-registry"),
        "single": LockedPack(),
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "made.json: a snapshot of ComfyUI-Manager is an object with"),
        ({"nodes": {}}, "it has none of these keys"),
        ({"git_custom_nodes": []}, "made.json: git_custom_nodes: must be an object (got an array)"),
        (
            {"git_custom_nodes": {URL: {"hash": 3}}},
            f"git_custom_nodes.{URL}.hash: must be a string (got a number)",
        ),
        ({"file_custom_nodes": [{}]}, "made.json: file_custom_nodes.0.filename: "),
    ],
)
def test_what_is_no_snapshot_is_told_with_its_file_and_key(document, said):
    with pytest.raises(InvalidMap) as raised:
        parse_snapshot(document, label="made.json")

    assert said in raised.value.message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"comfyui": None, "pips": None, "cnr_custom_nodes": {"From-Registry": "1.2.0"}}, []),
        ({"git_custom_nodes": {}}, ["the lock has the pack Some_Pack, the snapshot has not"]),
        (
            {"git_custom_nodes": {URL: {"hash": OTHER}}},
            ["Some_Pack is at aaaaaaa, the snapshot says bbbbbbb"],
        ),
        (
            {"cnr_custom_nodes": {"from-registry": "1.3.0"}},
            ["registered is 1.2.0, the snapshot says 1.3.0"],
        ),
        (
            {"git_custom_nodes": {**EXPORTED["git_custom_nodes"], "https://x.example/new": {"hash": OTHER}}},
            ["the pack new is missing (https://x.example/new)"],
        ),
    ],
)
def test_where_a_lock_is_not_of_its_snapshot(changed, said):
    snapshot = parse_snapshot(EXPORTED | changed, label="made.json")

    found = disagreements(snapshot, LOCK)

    assert found == [each.replace("registered is", "from-registry is") for each in said]


def test_a_listing_tells_packs_and_locks(folder):
    done = engine(folder, "list")

    assert done.stdout.splitlines() == [
        "2025-11-21_12-30-00  (2025-11-21_12-30-00_snapshot.json)",
        "    packs: Some_Pack, registered, single",
        "    lock: ComfyUI 0.8.0, 3 packs with 3 classes; it agrees with the snapshot",
    ]


def test_a_listing_tells_what_is_wrong(folder):
    (folder / "base.json").write_text('{"git_custom_nodes": {"https://x.example/p": {"hash": 3}}}')
    (folder / "2025-11-21_12-30-00.lock.json").write_text(LOCK.text().replace(COMMIT, OTHER))

    done = engine(folder, "list", "--json", status=1)

    first, second = json.loads(done.stdout)["snapshots"]
    assert first["problems"] == ["Some_Pack is at bbbbbbb, the snapshot says aaaaaaa"]
    assert second["problems"][0].startswith("base.json: git_custom_nodes.https://x.example/p.hash: ")
    assert second["lock"].startswith("none: ")


def test_what_is_frozen_is_read_again_and_agrees(comfy, tmp_path):
    home = tmp_path / "comfyui"
    commit = repository(home / "custom_nodes" / "Some_Pack", __init__="")
    git(home / "custom_nodes" / "Some_Pack", "remote", "add", "origin", URL)
    (home / "main.py").write_text("")
    folder = tmp_path / "made"

    done = engine(folder, "freeze", "--from", comfy, "--home", home, "--name", "base")

    assert done.stdout == f"Some_Pack  {commit[:12]}  1 class\n"
    assert sorted(path.name for path in folder.iterdir()) == ["base.json", "base.lock.json", "base.nodes.json.gz"]
    lock = read_lock(folder / "base.lock.json")
    assert dict(lock.packs) == {"Some_Pack": LockedPack(repository=URL, commit=commit, classes=("SomeClass",))}
    assert disagreements(read_snapshot(folder / "base.json"), lock) == []
    assert NodeCatalogue.load(folder / "base.nodes.json.gz").input("SomeClass", "n").maximum == 9
    assert engine(folder, "verify", "--from", comfy).stdout.startswith("ok      base  (ComfyUI 0.8.0, 1 packs)")


def test_from_afar_what_is_not_known_is_null_and_told(comfy, tmp_path):
    folder = tmp_path / "made"

    done = engine(folder, "freeze", "--from", comfy)

    assert "warning: Some_Pack: where it is from is not known; start that ComfyUI with --enable-manager" in done.stderr
    assert dict(read_lock(folder / "comfyui-0.8.0.lock.json").packs) == {
        "Some_Pack": LockedPack(classes=("SomeClass",))
    }


def test_another_snapshot_is_replaced_only_when_that_is_said(comfy, tmp_path):
    folder = tmp_path / "made"
    engine(folder, "freeze", "--from", comfy, "--name", "base")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    engine(folder, "freeze", "--from", comfy, "--name", "base")  # the same again changes nothing
    with Simulator(nodes_with(Other="other")) as simulator:
        done = engine(folder, "freeze", "--from", simulator.url, "--name", "base", status=2)
        assert "base.lock.json: the pack Some_Pack goes" in done.stderr
        assert "base.lock.json: the pack other comes" in done.stderr
        assert "--replace" in done.stderr
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

        engine(folder, "freeze", "--from", simulator.url, "--name", "base", "--replace")

    assert list(read_lock(folder / "base.lock.json").packs) == ["other"]


def test_an_exported_snapshot_stays_byte_for_byte_where_it_is_of_the_same_packs(comfy, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    exported = {"git_custom_nodes": {URL: {"hash": COMMIT}}, "cnr_custom_nodes": {}, "note": "mine"}
    (folder / "base_snapshot.json").write_text(json.dumps(exported))

    done = engine(folder, "freeze", "--from", comfy, "--name", "base")

    assert "base_snapshot.json was there and asks for all that can be restored" in done.stderr
    assert json.loads((folder / "base_snapshot.json").read_text()) == exported
    assert {path.name for path in folder.iterdir()} == {"base_snapshot.json", "base.lock.json", "base.nodes.json.gz"}


def test_all_files_are_written_or_none(comfy, tmp_path):
    folder = tmp_path / "made"
    (folder / "base.nodes.json.gz").mkdir(parents=True)

    done = engine(folder, "freeze", "--from", comfy, "--name", "base", status=1)

    assert "nothing was changed" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["base.nodes.json.gz"]


def test_what_a_comfyui_lacks_fails_the_verification(comfy, tmp_path):
    folder = tmp_path / "made"
    engine(folder, "freeze", "--from", comfy, "--name", "base")

    with Simulator() as bare:
        done = engine(folder, "verify", "base", "--from", bare.url, status=1)

    assert done.stdout.splitlines() == [
        "FAILED  base  (ComfyUI 0.8.0, 0 packs)",
        "        the pack Some_Pack is missing",
    ]


def test_a_snapshot_without_a_lock_is_verified_by_its_packs(comfy, folder):
    (folder / "2025-11-21_12-30-00.lock.json").unlink()

    done = engine(folder, "verify", "--from", comfy, status=1)

    assert "the pack from-registry is missing" in done.stdout
    assert "Some_Pack" not in done.stdout
    assert "has no lock" in done.stderr


@pytest.mark.parametrize("route", ["/v2/snapshot/get_current", "/snapshot/get_current"])
def test_what_comfyui_manager_says_is_asked_of_it(route):
    with serve_web() as server:
        server.serve(route, json.dumps(EXPORTED).encode(), Content_Type="application/json; charset=utf-8")
        client = ComfyClient(server.url)
        assert client.managers_snapshot() == EXPORTED
        server.answers.clear()
        server.serve(route, b"", status=400)
        assert client.managers_snapshot() is None
        client.close()


def test_what_comfyui_manager_knows_is_in_the_lock():
    frozen = freeze(nodes_with(SomeClass="Some_Pack", Registered="from-registry"), STATS, managers=EXPORTED)

    assert frozen.snapshot == EXPORTED  # as it was given, with what we do not need
    assert dict(frozen.lock.packs) == {
        "Some_Pack": LockedPack(repository=URL, commit=COMMIT, classes=("SomeClass",)),
        "from-registry": LockedPack(version="1.2.0", registry="from-registry", classes=("Registered",)),
        "single": LockedPack(),
    }
    assert disagreements(parse_snapshot(frozen.snapshot, label="x"), frozen.lock) == []


def test_what_nobody_can_restore_is_told_with_what_to_do(tmp_path):
    packs = tmp_path / "custom_nodes"
    repository(packs / "without-remote", __init__="")
    repository(packs / "changed", __init__="")
    git(packs / "changed", "remote", "add", "origin", "https://x.example/changed")
    (packs / "changed" / "__init__.py").write_text("more")
    for name in ("copied", "off.disabled"):
        (packs / name).mkdir()
    (packs / "single.py").write_text("")

    told = freeze(nodes_with(A="copied"), STATS, home=tmp_path).warnings

    for said in (
        "without-remote: its clone has no remote",
        "changed: changed since its commit",
        "copied: neither a clone nor of the registry",
        "single: one file, which nothing restores; put single.py beside the snapshot",
        "off: it is disabled",
        "ComfyUI: its commit is not known",
    ):
        assert any(each.startswith(said) for each in told), said


def test_of_a_pack_that_is_there_and_put_aside_as_well_the_one_that_is_loaded_is_restored(tmp_path):
    packs = tmp_path / "custom_nodes"
    loaded, aside = packs / "pack", packs / ".disabled" / "pack@nightly"
    for each, text in ((loaded, "new"), (aside, "old"), (packs / "pack.disabled", "older")):
        repository(each, __init__=text)
        git(each, "remote", "add", "origin", URL)

    frozen = freeze(nodes_with(A="pack"), STATS, home=tmp_path)

    assert frozen.snapshot["git_custom_nodes"] == {URL: {"hash": git(loaded, "rev-parse", "HEAD"), "disabled": False}}
    assert disagreements(parse_snapshot(frozen.snapshot, label="x"), frozen.lock) == []


@pytest.mark.parametrize("name", ["base", "base_snapshot", "base_snapshot.json", "base.json"])
def test_a_name_may_be_written_as_that_of_the_file(comfy, tmp_path, name):
    folder = tmp_path / "made"

    engine(folder, "freeze", "--from", comfy, "--name", name)

    assert {path.name for path in folder.iterdir()} == {"base.json", "base.lock.json", "base.nodes.json.gz"}
    assert list(snapshots_in(folder)) == ["base"]


@pytest.mark.parametrize("name", ["a.lock", "a.lock.json", "node-catalogue", "../a", ".a", "a b"])
def test_a_name_that_would_be_taken_for_something_else_is_refused(comfy, tmp_path, name):
    done = engine(tmp_path / "made", "freeze", "--from", comfy, "--name", name, status=2)

    assert "a name is made of" in done.stderr
    assert not (tmp_path / "made").exists()


def test_what_a_killed_process_left_is_no_snapshot(folder):
    (folder / ".new-7-base.json").write_text("{")
    (folder / ".new-7-base.lock.json").write_text("{")

    assert list(snapshots_in(folder)) == ["2025-11-21_12-30-00"]
    assert list(known_packs(folder).locks) == ["2025-11-21_12-30-00"]
