"""`engine check` proves where every node class comes from."""

import pytest
from support.command import run_engine
from support.workflows import sampler_graph, write_workflow

from engine import Catalog
from engine.authoring.checking import check_entry
from engine.node_packs import KnownPacks
from engine.nodes import NodeCatalogue, load_catalogue
from engine.snapshots.catalogues import with_packs
from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack

URL = "https://x.example/some-pack"
HAS_IT = Lock(
    comfyui=LockedComfyUI(version="0.8.0"),
    packs={"some-pack": LockedPack(repository=URL, commit="a" * 40, classes=("DecodeOfSomePack",))},
)
LACKS_IT = Lock(comfyui=LockedComfyUI(version="0.8.0"))


def written(folder, class_type="DecodeOfSomePack", packs=()):
    graph = sampler_graph()
    graph["8"]["class_type"] = class_type
    parameter_map = {
        "parameters": {
            "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
            "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
        },
        "outputs": {"image": {"node": "9"}},
        "expects": {"3": "KSampler", "6": "CLIPTextEncode", "9": "SaveImage"},
        "requires": {
            "models": [{"path": "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"}],
            "node_packs": list(packs),
        },
        "examples": [{"title": "A cat", "payload": {"prompt": "a cat", "seed": 7}}],
    }
    return write_workflow(folder, "made", graph, parameter_map)


def findings(folder, packs, nodes=None):
    """Code, severity, place and message of what is found."""
    (entry,) = Catalog([folder], nodes).entries(["made"])
    found = check_entry(entry, nodes or load_catalogue(), packs).findings
    return {each.code: (each.severity, each.where, f"{each.message}; {each.remedy}") for each in found}


def test_a_class_of_the_chosen_snapshot_is_proven(tmp_path):
    packs = KnownPacks({"base": HAS_IT}, "base")

    assert findings(written(tmp_path, packs=["some_pack"]), packs) == {}
    assert findings(written(tmp_path), packs)["unlisted_pack"][0] == "note"


def test_a_class_that_another_snapshot_has_is_told_with_its_pack_and_repository(tmp_path):
    packs = KnownPacks({"base": LACKS_IT, "other": HAS_IT}, "base")

    found = findings(written(tmp_path, packs=["some-pack"]), packs)

    severity, where, said = found["not_in_snapshot"]
    assert (severity, where) == ("error", "8.class_type")
    assert f"is of the pack some-pack ({URL}), which the snapshot base lacks and other has" in said
    severity, where, said = found["missing_pack"]
    assert (severity, where) == ("error", "requires.node_packs[0]")
    assert f"the snapshot base has no pack some-pack; other has some-pack ({URL})" in said


def test_a_pack_that_only_the_lock_still_has_is_told(tmp_path):
    packs = KnownPacks({"base": HAS_IT}, "base", frozenset({"some-pack"}))

    found = findings(written(tmp_path, packs=["some-pack"]), packs)

    assert "which the snapshot base lacks, though its lock has it" in found["not_in_snapshot"][2]
    assert found["missing_pack"][0] == "error"
    assert f"the snapshot base lacks the pack some-pack ({URL}), though its lock has it" in found["missing_pack"][2]


@pytest.mark.parametrize("said", ["folder of mine", "Some_Pack", "registered-as"])
def test_a_map_may_call_a_pack_by_its_folder_its_repository_or_its_name_in_the_registry(tmp_path, said):
    pack = HAS_IT.packs["some-pack"].model_copy(update={"registry": "registered-as"})
    packs = KnownPacks({"base": HAS_IT.model_copy(update={"packs": {"folder of mine": pack}})}, "base")

    assert findings(written(tmp_path, packs=[said]), packs) == {}


def test_a_class_that_no_lock_knows_is_told_as_such(tmp_path):
    found = findings(written(tmp_path), KnownPacks({"base": LACKS_IT, "other": LACKS_IT}, "base"))

    severity, _, said = found["unknown_class"]
    assert severity == "error"
    assert "neither ComfyUI 0.8.0 nor a pack of the snapshot base has DecodeOfSomePack" in said
    assert "no other snapshot knows which pack has it (other)" in said


def test_without_a_choice_the_snapshot_that_is_needed_is_named(tmp_path):
    found = findings(written(tmp_path, packs=["some-pack"]), KnownPacks({"base": LACKS_IT, "other": HAS_IT}))

    assert {code: each[0] for code, each in found.items()} == {"needs_snapshot": "note"}
    assert f"is of the pack some-pack ({URL}): it needs the snapshot other" in found["needs_snapshot"][2]


def test_without_a_choice_an_unknown_class_is_a_warning_and_so_is_a_pack_that_none_has(tmp_path):
    found = findings(written(tmp_path, packs=["som-pack"]), KnownPacks({"other": LACKS_IT}))
    assert {code: each[0] for code, each in found.items()} == {"unknown_class": "warning", "missing_pack": "warning"}
    assert "no lock knows which pack has it" in found["unknown_class"][2]

    found = findings(written(tmp_path, packs=["som-pack"]), KnownPacks({"other": HAS_IT}))
    assert 'no snapshot has the pack som-pack (did you mean "some-pack"?)' in found["missing_pack"][2]


def test_without_any_snapshot_all_is_as_ever(tmp_path):
    found = findings(written(tmp_path, packs=["whatever"]), KnownPacks())

    assert {code: each[0] for code, each in found.items()} == {"unknown_class": "warning"}


def test_a_running_comfyui_says_what_it_lacks_and_the_lock_whose_it_is(tmp_path):
    live = NodeCatalogue(load_catalogue().object_info, version="0.8.0", live=True)

    found = findings(written(tmp_path, packs=["some-pack"]), KnownPacks({"other": HAS_IT}), live)

    assert found["unknown_class"][0] == "error"
    assert f"it comes with the node pack some-pack ({URL}); install that" in found["unknown_class"][2]


def test_the_inputs_of_a_packs_class_are_those_of_its_snapshot():
    own = {"input": {"required": {"n": ["INT", {"max": 9}]}}, "output": ["INT"], "python_module": "custom_nodes.p"}
    changed = own | {"python_module": "nodes"}
    other = NodeCatalogue({"OfPack": own, "KSampler": changed}, version="0.3.64")

    merged = with_packs(load_catalogue(), [other])

    assert merged.input("OfPack", "n").maximum == 9
    assert merged.input("KSampler", "n") is None  # ComfyUI's own are the bundled ones
    assert merged.version == load_catalogue().version


@pytest.mark.parametrize(
    ("words", "variables", "status"),
    [
        (["--snapshot", "{}/has"], {}, 0),
        (["--snapshot", "{}/lacks"], {}, 1),
        ([], {"SNAPSHOT": "{}/lacks"}, 1),
        (["--snapshot", "{}/has"], {"SNAPSHOT": "{}/lacks"}, 0),
        (["--snapshot", "{}/none"], {}, 2),
        (["--snapshot", "{}/unlocked"], {}, 2),
        ([], {"SNAPSHOT": "{}/unlocked"}, 0),
        (["--snapshot", "{}/has", "--live", "http://127.0.0.1:1"], {}, 2),
    ],
)
def test_the_command_takes_the_snapshot_and_its_status_says_whether_it_has_all(tmp_path, words, variables, status):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    (folder / "has.lock.json").write_text(HAS_IT.text())
    (folder / "lacks.lock.json").write_text(LACKS_IT.text())
    (folder / "unlocked.json").write_text('{"git_custom_nodes": {}}')
    written(tmp_path / "workflows", packs=["some-pack"])
    given = {name: text.format(folder) for name, text in variables.items()}

    done = run_engine(
        tmp_path,
        *("check", *(word.format(folder) for word in words)),
        status=status,
        WORKFLOWS_PATH=str(tmp_path / "workflows"),
        **given,
    )

    if "{}/unlocked" in [*words, *variables.values()]:
        assert "the snapshot unlocked has no lock" in done.stderr
    if status == 1:
        assert f"some-pack ({URL})" in done.stdout


def test_a_lock_of_another_comfyui_than_the_catalogue_is_told(tmp_path):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    older = HAS_IT.model_copy(update={"comfyui": LockedComfyUI(version="0.3.64")})
    (folder / "old.lock.json").write_text(older.text())
    written(tmp_path / "workflows", packs=["some-pack"])

    def told():
        words = ("check", "--snapshot", f"{folder}/old")
        return run_engine(tmp_path, *words, WORKFLOWS_PATH=str(tmp_path / "workflows")).stderr

    assert "ComfyUI's own classes are those of 0.8.0, and the lock of old says 0.3.64" in told()
    load_catalogue().dump(folder / "old.nodes.json.gz")
    listing = run_engine(tmp_path, "snapshot", "list", "--folder", folder, status=1).stdout
    assert "old.nodes.json.gz is of ComfyUI 0.8.0, the lock says 0.3.64" in listing
    (folder / "old.nodes.json.gz").write_text("junk")
    listing = run_engine(tmp_path, "snapshot", "list", "--folder", folder, status=1).stdout
    assert "old.nodes.json.gz can't be read" in listing
    (folder / "old.nodes.json.gz").unlink()
    (folder / "old.lock.json").write_text(HAS_IT.text())
    assert "own classes" not in told()
