"""`engine add` in a process of its own, with what a person in a hurry does wrong."""

import json
import os
import pty
import shutil
import signal
import subprocess

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from support.command import ENGINE, run_engine
from support.workflows import ROOT, SHARED, sampler_graph

from engine import Catalog
from engine.authoring.saving import save_all
from engine.errors import StorageError

EXPORT = (ROOT / "templates" / "txt2img.json").read_bytes()


@pytest.fixture
def folder(tmp_path):
    """The user's own workflows, beside those that come with the engine; not made yet."""
    return tmp_path / "mine"


@pytest.fixture
def environment(folder):
    """What a shell of the user has."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"WORKFLOWS_PATH": f"{ROOT}{os.pathsep}{folder}"}


@pytest.fixture
def engine(tmp_path, environment):
    """Run `engine …` in an empty folder."""

    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{**environment, **more})

    return run


@pytest.fixture
def export(tmp_path):
    """A file as ComfyUI saved it."""
    path = tmp_path / "Poster v2.json"
    path.write_bytes(EXPORT)
    return path


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def save(path, graph):
    path.write_text(json.dumps(graph))
    return path


def test_an_export_becomes_a_workflow_that_runs(engine, export, folder):
    done = engine("add", export)
    assert (folder / "templates" / "Poster_v2.json").read_bytes() == EXPORT
    assert "wrote mine/templates/Poster_v2.json\nwrote mine/schemas/Poster_v2.json" in done.stdout
    workflow = Catalog([folder])["Poster_v2"]
    assert workflow.title == "Poster v2"
    assert {"prompt", "seed", "steps", "width", "ckpt_name"} <= set(workflow.parameters)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["steps", "integer", "default", "20", "KSampler", "(3).steps"] in lines
    assert ["image", "image", "SaveImage", "(9)"] in lines
    assert "ok      Poster_v2" in done.stdout
    assert done.stdout.splitlines()[-1] == 'next: engine run Poster_v2 -p prompt="…"'


def test_an_editor_completes_the_map_in_a_new_folder(engine, export, folder):
    engine("add", export)
    document = json.loads((folder / "schemas" / "Poster_v2.json").read_text())
    beside = folder / "schemas" / document["$schema"]
    assert beside.read_bytes() == (ROOT / "schemas" / "parameter-map.schema.json").read_bytes()
    assert list(Catalog([folder])) == ["Poster_v2"]


def test_what_it_finds_beside_the_map_goes_in_with_all(engine, export, folder):
    first = engine("add", export)
    assert "also found: denoise; add them with --all" in first.stdout
    assert "denoise" not in Catalog([folder])["Poster_v2"].parameters
    engine("add", export, "--name", "whole", "--all")
    assert "denoise" in Catalog([folder])["whole"].parameters


def test_json_is_one_document_with_all_of_it(engine, export, folder):
    document = json.loads(engine("add", export, "--json").stdout)
    assert document["action"] == "add"
    assert document["files"][0] == str(folder / "templates" / "Poster_v2.json")
    assert document["parameters"][0] == {
        "name": "prompt",
        "type": "string",
        "value": "required",
        "places": ["CLIPTextEncode (6).text"],
    }
    assert "denoise" in document["left_out"]
    assert document["next"] == 'engine run Poster_v2 -p prompt="…"'
    failure = json.loads(engine("add", "nothing.json", "--json", status=1).stdout)
    assert failure["failure"]["code"] == "invalid_request"


def test_from_stdin_it_needs_a_name(engine, folder):
    assert "say --name NAME" in engine("add", "-", status=2, stdin=EXPORT).stderr
    engine("add", "-", "--name", "piped", stdin=EXPORT)
    assert (folder / "templates" / "piped.json").read_bytes() == EXPORT


def test_a_picture_with_its_graph_in_it(engine, tmp_path, folder):
    notes = PngInfo()
    notes.add_text("prompt", EXPORT.decode())
    Image.new("RGB", (8, 8)).save(tmp_path / "harbour.png", pnginfo=notes)
    engine("add", "harbour.png")
    assert json.loads((folder / "templates" / "harbour.json").read_text()) == json.loads(EXPORT)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the corpus")
def test_the_editors_own_format_is_converted(engine, folder):
    engine("add", SHARED / "corpus" / "api_workflows" / "sd15_text2img_not_api_version.json", "--name", "saved")
    assert {"prompt", "seed", "steps"} <= set(Catalog([folder])["saved"].parameters)


def test_required_files_are_in_the_next_command(engine):
    done = engine("add", ROOT / "templates" / "img2img.json", "--name", "again")
    assert "-p image=@picture.png" in done.stdout.splitlines()[-1]


def test_a_folder_that_nothing_names_is_in_the_next_command(engine, export, tmp_path):
    done = engine("add", export, "--folder", "other place")
    assert done.stdout.splitlines()[-1].startswith("next: WORKFLOWS_PATH='other place' engine run Poster_v2")
    assert "Poster_v2" in Catalog([tmp_path / "other place"])


def test_a_name_of_an_earlier_folder_is_taken_and_said(engine, export, folder):
    done = engine("add", export, "--name", "resize")
    assert f"it takes the place of the resize in {ROOT}" in done.stdout
    assert (folder / "templates" / "resize.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("add",), 2, "FILE"),
        (("add", "nothing.json"), 1, "nothing.json: can't be read: No such file"),
        (("add", "."), 1, "this is a folder"),
        (("add", "empty.json"), 1, "is empty"),
        (("add", "text.json"), 1, "not JSON"),
        (("add", "request.json"), 1, 'names the workflow "txt2img"'),
        (("add", "日本.json"), 2, "say --name NAME"),
        (("add", "日本.json", "--name", "a b"), 2, "hint: --name a_b"),
        (("add", "日本.json", "--name", "../up"), 2, "hint: --name up"),
        (("add", "日本.json", "--name", "x", "--folder", "empty.json"), 1, "this is a file"),
        (("add", "日本.json", "--name", "x", "--folder", "empty.json/deep"), 1, "can't be written"),
        (("add", "日本.json", "--name", "x", "--catalogue", "empty.json"), 1, "node catalogue empty.json"),
        (("add", "-", "--interactive"), 2, "save it to a file first"),
        (("add", "日本.json", "--name", "x", "--check", "--interactive"), 2, "--check only tells"),
    ],
)
def test_mistakes_get_an_answer_that_helps_and_write_nothing(engine, tmp_path, folder, arguments, status, words):
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "request.json").write_text('{"input": {"workflow": "txt2img", "payload": {}}}')
    (tmp_path / "日本.json").write_bytes(EXPORT)
    done = engine(*arguments, status=status)
    assert words in done.stderr
    assert not done.stdout
    assert not folder.exists()


def test_a_folder_that_can_not_be_written_to(engine, export, folder):
    (folder / "templates").mkdir(parents=True)
    (folder / "schemas").write_text("in the way")
    done = engine("add", export, status=1)
    assert "nothing was changed" in done.stderr
    assert set(files_below(folder)) == {"schemas"}


def test_a_disk_that_is_full_leaves_nothing_half_written(engine, export, folder, tmp_path, environment):
    engine("add", export, "--name", "poster")
    before = files_below(folder)
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    save(tmp_path / "small.json", graph | {"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}})
    # The template of the first alone is larger than a file may be here; of the second it is what stands beside it.
    for command in ("add changed.json --name poster", "add small.json --folder fresh"):
        changed_export(tmp_path / "changed.json")
        done = subprocess.run(
            ["bash", "-c", f"ulimit -f 1; exec {ENGINE} {command}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stdout
        assert "can't be written: File too large; nothing was changed" in done.stderr
    assert files_below(folder) == before
    assert not (tmp_path / "fresh").exists()


def test_where_one_file_can_not_be_put_into_place_the_others_are_as_they_were(tmp_path):
    (tmp_path / "first").write_text("before")
    (tmp_path / "third").mkdir()
    contents = {tmp_path / name: b"after" for name in ("first", "deep/second", "third")}
    with pytest.raises(StorageError):
        save_all(contents)
    assert files_below(tmp_path) == {"first": b"before"}
    assert not (tmp_path / "deep").exists()
    del contents[tmp_path / "third"]
    save_all(contents)
    assert files_below(tmp_path) == {"first": b"after", "deep/second": b"after"}


def test_check_writes_nothing_and_says_so_with_its_status(engine, export, folder):
    done = engine("add", export, "--check", status=1)
    assert "would write mine/templates/Poster_v2.json" in done.stdout
    assert not folder.exists()
    engine("add", export)
    before = files_below(folder)
    assert "Poster_v2 is up to date" in engine("add", export, "--check").stdout
    assert files_below(folder) == before


def test_adding_the_same_again_changes_nothing(engine, export, folder):
    engine("add", export)
    loose = (folder / "schemas" / "Poster_v2.json").read_text().replace("  ", "\t").replace("\n", "\r\n")
    (folder / "schemas" / "Poster_v2.json").write_bytes(loose.encode())
    before = files_below(folder)
    assert "Poster_v2 is up to date: nothing was changed" in engine("add", export).stdout
    assert files_below(folder) == before


def test_a_template_in_its_place_gets_a_map(engine, folder):
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "here.json").write_bytes(EXPORT)
    done = engine("add", folder / "templates" / "here.json")
    assert "templates/here.json" not in done.stdout
    assert (folder / "templates" / "here.json").read_bytes() == EXPORT
    assert "here" in Catalog([folder])


def test_a_template_that_was_replaced_in_its_place_takes_its_map_along(engine, export, folder):
    engine("add", export, "--name", "here")
    graph = sampler_graph()
    graph["33"] = graph.pop("3")
    graph["8"]["inputs"]["samples"] = ["33", 0]
    save(folder / "templates" / "here.json", graph)
    assert "moved: KSampler (3) is KSampler (33) now" in engine("add", folder / "templates" / "here.json").stdout
    assert "33" in (folder / "schemas" / "here.json").read_text()
    assert "here" in Catalog([folder])


def test_a_template_without_a_map_is_not_replaced_silently(engine, export, folder):
    (folder / "templates").mkdir(parents=True)
    save(folder / "templates" / "Poster_v2.json", {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}})
    before = files_below(folder)
    assert "--replace" in engine("add", export, status=1).stderr
    assert files_below(folder) == before
    assert "(replaced)" in engine("add", export, "--replace").stdout
    assert "Poster_v2" in Catalog([folder])


@pytest.fixture
def added(engine, export, folder):
    """A workflow whose map its author has worked on: its path."""
    engine("add", export, "--name", "poster")
    path = folder / "schemas" / "poster.json"
    text = path.read_text().replace('"steps": {', '"quality": {').replace('"title": "Poster"', '"title":   "My poster"')
    path.write_text("\n".join(line for line in text.splitlines() if '"scheduler"' not in line))
    return path


def changed_export(path):
    """The graph, worked on: a LoRA was added, and the sampler and the encoders have other ids."""
    graph = sampler_graph()
    ids = {"3": "31", "6": "7", "7": "6"}
    for node in graph.values():
        node["inputs"] = {
            key: [ids.get(value[0], value[0]), value[1]] if isinstance(value, list) else value
            for key, value in node["inputs"].items()
        }
    graph = {ids.get(node_id, node_id): node for node_id, node in graph.items()}
    graph["40"] = {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.5, "model": ["4", 0]},
    }
    graph["31"]["inputs"] |= {"model": ["40", 0], "seed": 5}
    return save(path, graph)


def test_a_changed_export_keeps_the_authors_map(engine, added, tmp_path, folder):
    before = added.read_text().splitlines()
    changed = changed_export(tmp_path / "changed.json")
    preview = engine("add", changed, "--name", "poster", "--check", status=1)
    assert "moved: CLIPTextEncode (6) is CLIPTextEncode (7) now" in preview.stdout
    assert added.read_text().splitlines() == before
    done = engine("add", changed, "--name", "poster")
    assert "wrote mine/schemas/poster.json (replaced)" in done.stdout
    assert "new in this export: " in done.stdout
    after = added.read_text().splitlines()
    assert len(after) == len(before)
    assert '  "title":   "My poster",' in after
    differ = [line for line, other in zip(before, after, strict=True) if line != other]
    assert all("$['" in line or "expects" in line for line in differ)
    workflow = Catalog([folder])["poster"]
    assert "quality" in workflow.parameters
    assert "scheduler" not in workflow.parameters
    graph = workflow.render(workflow.validate({"prompt": "a cat"}))
    assert graph["7"]["inputs"]["text"] == "a cat"
    assert "up to date" in engine("add", changed, "--name", "poster", "--check").stdout


def test_what_is_new_goes_in_when_it_is_wished(engine, added, tmp_path, folder):
    names = set(Catalog([folder])["poster"].parameters)
    engine("add", changed_export(tmp_path / "changed.json"), "--name", "poster", "--new")
    assert set(Catalog([folder])["poster"].parameters) > names


def test_what_would_be_lost_is_listed_and_nothing_is_written(engine, added, tmp_path, folder):
    graph = sampler_graph()
    del graph["7"]
    graph["3"]["inputs"]["negative"] = ["6", 0]
    lossy = save(tmp_path / "lossy.json", graph)
    before = files_below(folder)
    assert (
        "would be lost: parameters.negative_prompt.bind"
        in engine("add", lossy, "--name", "poster", "--check", status=1).stdout
    )
    refused = engine("add", lossy, "--name", "poster", status=1)
    assert "parameters.negative_prompt.bind: CLIPTextEncode (7) is not in the graph any more" in refused.stderr
    assert "--drop-lost" in refused.stderr
    assert files_below(folder) == before
    engine("add", lossy, "--name", "poster", "--drop-lost")
    assert "negative_prompt" not in Catalog([folder])["poster"].parameters
    assert '"title":   "My poster"' in added.read_text()


def test_another_workflow_under_a_name_that_is_taken(engine, added, folder):
    before = files_below(folder)
    other = ROOT / "templates" / "resize.json"
    for more in ((), ("--drop-lost",)):
        assert "looks like another workflow" in engine("add", other, "--name", "poster", *more, status=1).stderr
    assert files_below(folder) == before
    assert "(replaced)" in engine("add", other, "--name", "poster", "--replace").stdout
    assert "quality" not in Catalog([folder])["poster"].parameters


def test_a_map_that_is_broken_is_left_to_its_author(engine, added, tmp_path, folder):
    added.write_text(added.read_text().replace('"parameters"', '"parametres"'))
    before = files_below(folder)
    done = engine("add", changed_export(tmp_path / "changed.json"), "--name", "poster", status=1)
    assert 'did you mean "parameters"' in done.stderr
    assert "--replace" in done.stderr
    assert files_below(folder) == before


def test_a_link_to_a_map_stays_one(engine, added, tmp_path):
    shutil.move(added, tmp_path / "kept.json")
    added.symlink_to(tmp_path / "kept.json")
    engine("add", changed_export(tmp_path / "changed.json"), "--name", "poster")
    assert added.is_symlink()
    assert "$['31']" in (tmp_path / "kept.json").read_text()


def test_questions_are_answered_line_by_line(engine, export, folder):
    answers = b"\n".join([b"", b"text", b"-", b"2bad", b"seed_number", b"."]) + b"\n"
    done = engine("add", export, "--interactive", stdin=answers)
    assert "Also found:" in done.stderr
    assert '"2bad" is no name' in done.stderr
    parameters = Catalog([folder])["Poster_v2"].parameters
    assert {"text", "seed_number", "width"} <= set(parameters)
    assert not {"prompt", "negative_prompt", "seed"} & set(parameters)
    assert Catalog([folder])["Poster_v2"].examples[0].payload.keys() == {"text"}
    assert "7" not in json.loads((folder / "schemas" / "Poster_v2.json").read_text())["expects"]


@pytest.mark.parametrize("answers", [b"", b"\n\n-\n"])
def test_without_answers_nothing_is_written_and_nothing_waits(engine, export, folder, answers):
    assert "there are no more answers" in engine("add", export, "--interactive", stdin=answers, status=1).stderr
    assert not folder.exists()


def test_losses_are_agreed_to_when_asked(engine, added, tmp_path, folder):
    graph = sampler_graph()
    del graph["7"]
    graph["3"]["inputs"]["negative"] = ["6", 0]
    lossy = save(tmp_path / "lossy.json", graph)
    before = files_below(folder)
    engine("add", lossy, "--name", "poster", "--interactive", stdin=b"\n", status=1)
    assert files_below(folder) == before
    engine("add", lossy, "--name", "poster", "--interactive", stdin=b"y\n")
    assert "negative_prompt" not in Catalog([folder])["poster"].parameters


def test_the_keyboard_stops_it_at_a_terminal(environment, export, folder, tmp_path):
    main, terminal = pty.openpty()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [ENGINE, "add", export, "--interactive"],
            cwd=tmp_path,
            env=environment,
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        with process, process.stderr as said:
            while b"Names to add" not in (line := said.read1()):
                assert line, "it ended before it asked"
            process.send_signal(signal.SIGINT)
            assert b"stopped from the keyboard" in said.read()
        assert process.returncode == 130
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(main)
        os.close(terminal)
    assert not folder.exists()
