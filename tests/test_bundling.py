"""`engine bundle`: chosen workflows in a folder of their own, and nothing else."""

import json

import pytest
from support.command import run_engine
from support.workflows import ROOT, sampler_graph, write_workflow

MAP = {
    "parameters": {"prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"}},
    "outputs": {"image": {"node": "9"}},
}


@pytest.fixture
def engine(tmp_path):
    """Run `engine …` in an empty folder; its workflows are those in `workflows/`."""
    for name in ("poster", "banner", "card"):
        write_workflow(tmp_path / "workflows", name, sampler_graph(), json.dumps(MAP, indent=3) + "\n\n")

    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{"WORKFLOWS_PATH": str(tmp_path / "workflows"), **more})

    return run


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EDITORS = {"schemas/parameter-map.schema.json": (ROOT / "schemas" / "parameter-map.schema.json").read_bytes()}


def of(folder, *names):
    paths = [f"{part}/{name}.json" for name in names for part in ("schemas", "templates")]
    return {path: (folder / path).read_bytes() for path in paths}


@pytest.mark.parametrize("names", [["poster", "card"], ["poster,card"], [" card, poster ,"], ["card", "poster,card"]])
def test_the_chosen_ones_are_copied_byte_for_byte_and_nothing_else(engine, tmp_path, names):
    done = engine("bundle", "into", *names)
    assert done.stdout.splitlines() == ["into: card", "into: poster"]
    assert files_in(tmp_path / "into") == of(tmp_path / "workflows", "poster", "card") | EDITORS
    assert engine("check", WORKFLOWS_PATH=str(tmp_path / "into")).stdout.count("ok ") == 2


@pytest.mark.parametrize("names", [[], [""], [" , "]])
def test_all_are_copied_where_none_is_chosen(engine, tmp_path, names):
    document = json.loads(engine("bundle", "into", *names, "--json").stdout)
    assert document == {"folder": "into", "workflows": ["banner", "card", "poster"]}
    assert files_in(tmp_path / "into") == of(tmp_path / "workflows", "banner", "card", "poster") | EDITORS


def test_another_folder_can_be_named(engine, tmp_path):
    write_workflow(tmp_path / "others", "flyer", sampler_graph(), MAP)
    engine("bundle", "into", "--folder", "others")
    assert files_in(tmp_path / "into") == of(tmp_path / "others", "flyer") | EDITORS


def test_unknown_names_are_refused_with_the_nearest_of_each(engine, tmp_path):
    assert 'unknown workflow "postr"; did you mean "poster"?' in engine("bundle", "into", "postr", status=2).stderr
    said = engine("bundle", "into", "card,postr,banners", status=2).stderr
    assert 'postr: no such workflow; did you mean "poster"?' in said
    assert 'banners: no such workflow; did you mean "banner"?' in said
    assert "the workflows are: banner, card, poster" in said
    assert not (tmp_path / "into").exists()


def test_one_that_does_not_load_is_refused_with_what_is_wrong(engine, tmp_path):
    write_workflow(tmp_path / "workflows", "broken", sampler_graph(), {**MAP, "outputs": {"image": {"node": "99"}}})
    (tmp_path / "workflows" / "schemas" / "lonely.json").write_text("{}")
    engine("bundle", "into", "card")
    said = engine("bundle", "all", status=1).stderr
    assert "schemas/broken.json: outputs.image" in said
    assert "schemas/lonely.json: there is no templates/lonely.json" in said
    assert not (tmp_path / "all").exists()


def test_the_same_again_is_fine_and_another_file_is_never_overwritten(engine, tmp_path):
    engine("bundle", "into", "card")
    engine("bundle", "into", "card,poster")
    (tmp_path / "into" / "schemas" / "card.json").write_text("mine")
    said = engine("bundle", "into", status=1).stderr
    assert "into/schemas/card.json: there is another file of that name; nothing was written" in said
    assert (tmp_path / "into" / "schemas" / "card.json").read_text() == "mine"
    assert not (tmp_path / "into" / "schemas" / "banner.json").exists()


def test_no_folder_no_workflows_and_a_file_in_the_way_are_named(engine, tmp_path):
    assert "--folder nowhere: there is no such folder" in engine("bundle", "in", "--folder", "nowhere", status=2).stderr
    (tmp_path / "empty").mkdir()
    assert "there is no workflow to bundle" in engine("bundle", "into", "--folder", "empty", status=1).stderr
    (tmp_path / "file").touch()
    assert "choose a folder that can be written" in engine("bundle", "file", "card", status=1).stderr
