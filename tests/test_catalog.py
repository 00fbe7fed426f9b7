"""The catalog: by name, lazily, from several folders, and one broken workflow never takes the others down."""

import json
import os

import pytest
from support.workflows import ROOT, sampler_graph, write_workflow

from engine import Catalog
from engine.catalog import Folder
from engine.errors import InvalidMap, UnknownWorkflow

GOOD = {"title": "Good", "parameters": {"steps": {"type": "integer", "bind": "$['3'].inputs.steps"}}}


def test_the_shipped_workflows_load():
    assert set(Catalog([ROOT])) >= {"txt2img", "img2img", "resize"}
    assert all(entry.error is None for entry in Catalog([ROOT]).entries())


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UnknownWorkflow) as caught:
        Catalog([ROOT])["txt2imgg"]
    assert 'did you mean "txt2img"?' in caught.value.message
    assert f"the workflows are: {', '.join(sorted(Catalog([ROOT])))}" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["../secrets", "a/b", "..", "", "x" * 200, "txt2img.json", "a\0b", "/etc/passwd", ".hidden"]
)
def test_names_that_are_paths_lead_nowhere(tmp_path, name):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    with pytest.raises(UnknownWorkflow):
        Catalog([tmp_path])[name]
    assert name not in Catalog([tmp_path])


def test_a_later_folder_wins_and_the_listing_says_so(tmp_path):
    first = write_workflow(tmp_path / "first", "same", sampler_graph(), GOOD)
    second = write_workflow(tmp_path / "second", "same", sampler_graph(), {**GOOD, "title": "Second"})
    catalog = Catalog([first, second])
    assert catalog["same"].title == "Second"
    assert catalog.sources()["same"].shadowed == (first,)


def test_a_file_that_changes_is_read_again(tmp_path):
    catalog = Catalog([write_workflow(tmp_path, "good", sampler_graph(), GOOD)])
    assert catalog["good"].title == "Good"
    assert catalog["good"] is catalog["good"]
    write_workflow(tmp_path, "good", sampler_graph(), {**GOOD, "title": "Better"})
    assert catalog["good"].title == "Better"
    write_workflow(tmp_path, "good", sampler_graph(), "{")
    with pytest.raises(InvalidMap):
        catalog["good"]
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    assert catalog["good"].title == "Good"


def test_a_change_that_leaves_time_and_length_as_they_are_is_found_a_little_later(tmp_path, wait_until):
    catalog = Catalog([write_workflow(tmp_path, "good", sampler_graph(), {**GOOD, "title": "One"})])
    path = tmp_path / "schemas" / "good.json"
    before = path.stat()
    assert catalog["good"].title == "One"
    path.write_text(path.read_text().replace("One", "Two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a clock of whole seconds has it
    wait_until(lambda: catalog["good"].title == "Two")


def test_a_new_workflow_is_there_at_once_and_a_deleted_one_gone(tmp_path):
    catalog = Catalog([write_workflow(tmp_path, "good", sampler_graph(), GOOD)])
    write_workflow(tmp_path, "new", sampler_graph(), GOOD)
    assert set(catalog) == {"good", "new"}
    for path in tmp_path.glob("*/new.json"):
        path.unlink()
    assert set(catalog) == {"good"}
    assert "new" not in catalog


def test_broken_workflows_are_listed_with_the_reason_and_the_others_work(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    write_workflow(tmp_path, "typo", sampler_graph(), {**GOOD, "titel": "x"})
    write_workflow(tmp_path, "no-map", sampler_graph(), None)
    write_workflow(tmp_path, "no-template", None, GOOD)
    write_workflow(tmp_path, "bad name", sampler_graph(), GOOD)
    catalog = Catalog([tmp_path])
    errors = {entry.source.name: str(entry.error) for entry in catalog.entries() if entry.error}
    assert set(errors) == {"typo", "no-map", "no-template", "bad name"}
    assert "there is no schemas/no-map.json beside it" in errors["no-map"]
    assert "there is no templates/no-template.json beside it" in errors["no-template"]
    assert "is no name for a workflow" in errors["bad name"]
    assert catalog["good"].validate({"steps": 3}) == {"steps": 3}


def test_a_file_that_can_not_be_read_breaks_its_workflow_alone(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    (tmp_path / "schemas" / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / "templates" / "bytes.json").mkdir()
    errors = {entry.source.name for entry in Catalog([tmp_path]).entries() if entry.error}
    assert errors == {"bytes"}


def test_whatever_a_file_holds_the_others_work(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    write_workflow(tmp_path, "digits", sampler_graph(), '{"parameters": {}, "timeout_seconds": ' + "9" * 5000 + "}")
    write_workflow(tmp_path, "endless", '{"3": {"class_type": "X", "inputs": {"a": ["4", 1e400]}}}', GOOD)
    write_workflow(tmp_path, "deep", "[" * 100_000, GOOD)
    path = "$[?(@._meta.title =~ '(')].inputs.steps"
    write_workflow(tmp_path, "path", sampler_graph(), {"parameters": {"a": {"type": "integer", "bind": path}}})
    assert {entry.source.name for entry in Catalog([tmp_path]).entries() if not entry.error} == {"good"}


def test_a_folder_that_answers_with_errors_takes_no_other_folders_workflows_along(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    broken = Folder(tmp_path / ("x" * 300), needed=False)  # as a volume whose mount broke: no question has an answer
    catalog = Catalog([tmp_path, broken])
    assert catalog["good"].title == "Good"
    assert list(catalog) == ["good"]
    assert "other" not in catalog


def test_a_folder_that_is_named_twice_hides_nothing(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    assert Catalog([tmp_path, tmp_path]).sources()["good"].shadowed == ()


def test_a_folder_that_does_not_exist_is_named():
    with pytest.raises(InvalidMap, match="workflow folder nowhere does not exist"):
        Catalog(["nowhere"])


def test_a_byte_order_mark_is_no_error(tmp_path):
    write_workflow(tmp_path, "good", "\ufeff" + json.dumps(sampler_graph()), "\ufeff" + json.dumps(GOOD))
    assert Catalog([tmp_path])["good"].title == "Good"


def test_looking_at_names_reads_no_file(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), GOOD)
    os.mkfifo(tmp_path / "schemas" / "pipe.json")  # reading it would never return
    (tmp_path / "templates" / "pipe.json").write_text("{}")
    assert set(Catalog([tmp_path])) == {"good", "pipe"}
