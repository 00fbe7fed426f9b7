"""A job's own place in ComfyUI's folders: its files are found, are its own, and are gone in the end."""

import logging
import time

import pytest
from PIL import Image
from support.graphs import fresh_number, picture

from engine.comfyui import ComfyUI, SharedFolders, new_prompt_id
from engine.errors import Cancelled, ExecutionFailed, ResultTooLarge, StorageError


def scaled(name):
    """A graph that loads a picture, halves it, saves and previews it."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "nearest-exact",
                "width": 8,
                "height": 6,
                "crop": "disabled",
            },
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "sub/halved"}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.png"
    Image.new("RGB", (16, 12), (fresh_number() % 256, 20, 30)).save(path)
    return path


def size_of(path):
    with Image.open(path) as image:
        return image.size


def contents(base):
    return {path.relative_to(base) for part in ("input", "output", "temp") for path in (base / part).rglob("*")}


def forgotten(comfy, prompt_id):
    """Whether ComfyUI soon knows nothing of a prompt any more: its entry is removed behind the reply."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if comfy.client.history(prompt_id) is None:
            return True
        time.sleep(0.02)
    return False


def job(comfy, run, source, tmp_path):
    """The job as `engine.jobs` does it; gives the sizes of the pictures that came."""
    results = tmp_path / "results"
    results.mkdir(exist_ok=True)
    prompt_id = new_prompt_id()
    with comfy.workspace("job 1/../x", prompt_id) as space:
        graph = space.isolated(scaled(space.add(source, "in.png")))
        execution = run(graph, comfy=comfy, prompt_id=prompt_id)
        made = comfy.collect(execution, [], results, previews=True)
        sizes = [size_of(path) for _, path in made]
    return made, sizes, execution


def test_a_job_leaves_nothing_behind_where_the_disk_is_ours(sharing_comfy, comfy_base, run, source, tmp_path):
    before = contents(comfy_base)

    made, sizes, execution = job(sharing_comfy, run, source, tmp_path)

    assert sizes == [(8, 6), (8, 6)]
    assert {raw.type for raw, _ in made} == {"output", "temp"}
    assert contents(comfy_base) <= before
    assert forgotten(sharing_comfy, execution.prompt_id)
    assert source.exists()


def test_the_same_job_again_has_its_files_although_the_first_ones_are_gone(
    sharing_comfy, comfy_base, run, source, tmp_path
):
    """ComfyUI takes a node whose inputs are the same for done, and would name the files of before."""
    before = contents(comfy_base)
    with sharing_comfy.workspace("one", new_prompt_id()) as space:
        name = space.add(source, "same.png")
        for number in range(2):
            prompt_id = new_prompt_id()
            with sharing_comfy.workspace(f"job-{number}", prompt_id) as own:
                execution = run(own.isolated(scaled(name)), comfy=sharing_comfy, prompt_id=prompt_id)
                made = sharing_comfy.collect(execution, [], tmp_path, previews=True)
                assert [size_of(path) for _, path in made] == [(8, 6), (8, 6)]
    assert contents(comfy_base) <= before


def test_files_of_other_jobs_and_of_people_stay(sharing_comfy, comfy_base, run, source, tmp_path):
    own = run(picture(prefix="somebody"), comfy=sharing_comfy)
    [(_, kept)] = sharing_comfy.collect(own, [], tmp_path)
    (comfy_base / "input" / "theirs.png").write_bytes(source.read_bytes())

    with sharing_comfy.workspace("other", new_prompt_id()) as other:
        others_file = comfy_base / "input" / other.add(source, "o.png")
        job(sharing_comfy, run, source, tmp_path)
        assert others_file.exists()

    assert kept.exists()
    assert (comfy_base / "input" / "theirs.png").exists()
    assert sharing_comfy.client.history(own.prompt_id)
    (comfy_base / "input" / "theirs.png").unlink()


def test_a_failed_job_leaves_nothing_either(sharing_comfy, comfy_base, run, tmp_path):
    no_picture = tmp_path / "text.png"
    no_picture.write_text("no picture")
    before = contents(comfy_base)

    def failing():
        with sharing_comfy.workspace("failing", prompt_id) as space:
            graph = space.isolated(scaled(space.add(no_picture, "text.png")))
            graph["5"] = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
            graph["6"] = {
                "class_type": "SaveImage",
                "inputs": {"images": ["5", 0], "filename_prefix": f"{space.folder}/early"},
            }
            run(graph, comfy=sharing_comfy, prompt_id=prompt_id)

    prompt_id = new_prompt_id()
    with pytest.raises(ExecutionFailed):
        failing()

    assert contents(comfy_base) <= before
    assert forgotten(sharing_comfy, prompt_id)


def test_results_that_were_not_stored_stay(sharing_comfy, comfy_base, run, source, tmp_path):
    def unstored():
        with sharing_comfy.workspace("unstored", new_prompt_id()) as space:
            execution = run(space.isolated(scaled(space.add(source, "a.png"))), comfy=sharing_comfy)
            made.extend(sharing_comfy.collect(execution, [], tmp_path))
            raise StorageError

    made = []
    with pytest.raises(StorageError):
        unstored()

    assert [path.exists() for _, path in made] == [True]
    assert not list((comfy_base / "input").glob("unstored*"))
    made[0][1].unlink()
    made[0][1].parent.rmdir()


@pytest.mark.parametrize("end", [Cancelled, ResultTooLarge])
def test_results_that_nobody_will_fetch_go(sharing_comfy, comfy_base, run, source, tmp_path, end):
    def unwanted():
        with sharing_comfy.workspace("unwanted", prompt_id) as space:
            run(space.isolated(scaled(space.add(source, "a.png"))), comfy=sharing_comfy, prompt_id=prompt_id)
            raise end

    before, prompt_id = contents(comfy_base), new_prompt_id()
    with pytest.raises(end):
        unwanted()

    assert contents(comfy_base) <= before
    assert forgotten(sharing_comfy, prompt_id)


def test_a_file_that_a_node_only_shows_is_not_the_jobs_to_remove(sharing_comfy, comfy_base, run):
    shown = comfy_base / "output" / "library" / "chair.glb"
    shown.parent.mkdir(exist_ok=True)
    shown.write_bytes(b"glTF")
    graph = {"1": {"class_type": "Preview3D", "inputs": {"model_file": "library/chair.glb"}}}
    prompt_id = new_prompt_id()

    with sharing_comfy.workspace("viewing", prompt_id) as space:
        run(space.isolated(graph), comfy=sharing_comfy, prompt_id=prompt_id)

    assert shown.exists()
    shown.unlink()
    shown.parent.rmdir()


@pytest.mark.parametrize("prefix", ["../up", "../../x", "..", "/abs", "a/../../b", "..\\up"])
def test_a_prefix_does_not_lead_out_of_the_jobs_folder(sharing_comfy, comfy_base, run, prefix):
    graph = picture(prefix=prefix)
    before, prompt_id = contents(comfy_base), new_prompt_id()

    with sharing_comfy.workspace("climbing", prompt_id) as space:
        execution = run(space.isolated(graph), comfy=sharing_comfy, prompt_id=prompt_id)
        assert execution.outputs["4"]["images"][0]["subfolder"].startswith(space.folder)

    assert contents(comfy_base) <= before


def test_nothing_is_removed_from_results_without_cleanup(comfy_url, comfy_base, run, source, tmp_path):
    with ComfyUI(comfy_url, folders=SharedFolders.below(comfy_base), cleanup=False) as comfy:
        made, _, execution = job(comfy, run, source, tmp_path)
        assert all(path.exists() for _, path in made)
        assert comfy.client.history(execution.prompt_id)
        assert {raw.subfolder for raw, _ in made if raw.type == "output"} == {"sub"}


def test_over_a_bare_url_it_works_and_the_log_says_what_stays(comfy, run, source, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "engine"):
        _, sizes, execution = job(comfy, run, source, tmp_path)

    assert sizes == [(8, 6), (8, 6)]
    assert "1 input files stay in ComfyUI's input folder" in caplog.text
    assert forgotten(comfy, execution.prompt_id)


def test_folders_that_are_not_comfyuis_are_found_out(comfy_url, run, source, tmp_path, caplog):
    for name in ("input", "output"):
        (tmp_path / name).mkdir()
    with ComfyUI(comfy_url, folders=SharedFolders.below(tmp_path)) as comfy:
        _, sizes, _ = job(comfy, run, source, tmp_path)

    assert sizes == [(8, 6), (8, 6)]
    assert "is not the input folder" in caplog.text
    assert list((tmp_path / "input").iterdir()) == []


@pytest.mark.parametrize(
    ("args", "input_folder", "temp_folder"),
    [
        ([], "home/input", "home/temp"),
        (["--cpu", "--base-directory", "/data"], "/data/input", "/data/temp"),
        (["--base-directory=/data", "--input-directory=/in"], "/in", "/data/temp"),
        (["--temp-directory", "/scratch"], "home/input", "/scratch/temp"),
        (["--input-directory"], "home/input", "home/temp"),
    ],
)
def test_the_folders_follow_from_the_arguments(tmp_path, args, input_folder, temp_folder):
    folders = SharedFolders.of_process(tmp_path / "home", args)

    assert folders.input == tmp_path / input_folder
    assert folders.temp == tmp_path / temp_folder


def test_what_waits_to_be_forgotten_is_when_comfyui_is_closed(comfy_url, comfy_base, run, source, tmp_path):
    with ComfyUI(comfy_url, folders=SharedFolders.below(comfy_base)) as comfy:
        _, _, first = job(comfy, run, source, tmp_path)
        _, _, second = job(comfy, run, source, tmp_path)
        late = comfy.workspace("late", third := new_prompt_id()).__enter__()
        run(late.isolated(picture()), comfy=comfy, prompt_id=third)
    late.__exit__(None, None, None)  # a job that outlives the worker's own patience with it

    with ComfyUI(comfy_url) as other:
        assert [other.client.history(each) for each in (first.prompt_id, second.prompt_id, third)] == [None] * 3
