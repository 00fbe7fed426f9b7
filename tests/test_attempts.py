"""Jobs whose result must pass a check: what a caller gets of those that do, that do not, and that do later."""

import base64
import io
import logging
import shutil
import tempfile
from pathlib import Path

import pytest
from PIL import Image
from support.media import picture
from support.runners import asked, refused, runner_on
from support.simulator import text_to_image
from support.workflows import write_workflow

from engine import Catalog
from engine.cancellation import CancellationToken
from engine.comfyui import ComfyUI
from engine.envelope import answer
from engine.errors import Cancelled
from engine.journal import Journal
from engine.media import read_stamp
from engine.simulator import Simulator

WHITE = 0xFFFFFF
BLACK_IF_0 = f"0 if seed == 0 else {WHITE}"
DARK = "seed % 13 * 65793"  # 65793 is 0x010101: grey of a level from 0 to 12
NEVER_BLACK = {"check": "not_black"}


def graph(*, save="SaveImage", size=16):
    """A picture of one colour."""
    inputs = {"images": ["1", 0], "filename_prefix": "gated"} if save == "SaveImage" else {"images": ["1", 0]}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": size, "height": size, "batch_size": 1, "color": 0}},
        "9": {"class_type": save, "inputs": inputs},
    }


def gated(color, **more):
    """A map whose picture has a colour that the seed decides."""
    return {
        "parameters": {"seed": {"type": "seed"}},
        "computed": {"$['1'].inputs.color": color},
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [NEVER_BLACK],
        **more,
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "workflows"


@pytest.fixture
def runner(comfy, folder, tmp_path):
    """Makes a runner that has one workflow, `w`."""

    def runner(parameter_map, template=None, *, on=None, **settings):
        write_workflow(folder, "w", template or graph(), parameter_map)
        return runner_on(on or comfy, tmp_path, Catalog([folder]), **settings)

    return runner


def request(*, payload=None, **keys):
    return {"workflow": "w", "payload": payload or {}, **keys}


def level(reply, index=0):
    """The brightness of a result, which is of one grey."""
    with Image.open(reply["outputs"][index]["path"]) as made:
        return made.convert("L").getpixel((3, 3))


def files_below(base):
    return [path for part in ("input", "output", "temp") for path in (base / part).rglob("*") if path.is_file()]


def test_a_result_that_passes_at_once_is_returned(runner):
    heard = []
    reply = asked(runner(gated(f"{WHITE} + seed * 0")), request(), on_progress=heard.append)
    seed = reply["values"]["seed"]
    score = {"check": "not_black", "output": "image", "index": 0, "score": 1.0, "passed": True}
    (only,) = reply["quality"]["tries"]
    assert {key: only["scores"][0][key] for key in score} == score
    assert (only["try"], only["accepted"], only["values"]) == (1, True, {"seed": seed})
    assert (reply["quality"]["accepted"], reply["quality"]["try"], reply["warnings"]) == (True, 1, [])
    assert [progress.attempt for progress in heard] == [1] * len(heard)
    assert heard[-1].fraction == 1.0


def test_a_refused_result_is_made_anew_with_another_seed(runner, caplog):
    heard = []
    with caplog.at_level(logging.INFO):
        reply = asked(runner(gated(BLACK_IF_0)), request(payload={"seed": 0}, retries=2), on_progress=heard.append)
    first, second = reply["quality"]["tries"]
    assert (first["accepted"], second["accepted"], reply["quality"]["accepted"]) == (False, True, True)
    assert first["values"] == {"seed": 0}
    assert second["values"] == {"seed": reply["values"]["seed"]} != {"seed": 0}
    assert reply["quality"]["try"] == 2
    assert reply["warnings"] == []
    assert level(reply) == 255
    assert read_stamp(Path(reply["outputs"][0]["path"]))["values"] == reply["values"]
    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [each.attempt for each in heard] == sorted(each.attempt for each in heard)
    assert heard[-1].attempt == 2
    (told,) = [record for record in caplog.records if record.getMessage() == "a result was refused"]
    assert told.fields["attempt"] == 1
    assert "not_black of image is 0, must be at least" in told.fields["scores"]


def test_of_results_that_all_do_not_pass_the_best_is_returned(runner, tmp_path):
    reply = asked(runner(gated(DARK, retries=4)), request())
    tries = reply["quality"]["tries"]
    seeds = [each["values"]["seed"] for each in tries]
    levels = [seed % 13 for seed in seeds]
    assert len(set(seeds)) == len(tries) == 5
    assert [round(each["scores"][0]["score"] * 255) for each in tries] == levels
    chosen = levels.index(max(levels))
    assert reply["quality"]["try"] == chosen + 1
    assert (reply["quality"]["accepted"], reply["values"]["seed"], level(reply)) == (False, seeds[chosen], max(levels))
    (warning,) = reply["warnings"]
    assert (
        f"no result passed the quality checks in 5 tries; the best is try {chosen + 1}: not_black of image" in warning
    )
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_of_results_that_all_do_not_pass_none_is_returned_where_the_map_says_so(runner, tmp_path):
    failure = refused(runner(gated(DARK, retries=2, otherwise="fail")), request())
    assert (failure["code"], failure["retryable"]) == ("quality_rejected", True)
    assert "no result passed the quality checks in 3 tries" in failure["message"]
    assert [problem["parameter"] for problem in failure["problems"]] == ["image"] * 3
    assert [problem["message"][:6] for problem in failure["problems"]] == ["try 1:", "try 2:", "try 3:"]
    assert "seeds" in failure["hint"]
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_the_maps_own_words_are_what_the_caller_reads(runner):
    accept = [{**NEVER_BLACK, "message": "nothing is to be seen"}]
    told = "nothing is to be seen (not_black of image is "
    assert told in asked(runner(gated(DARK, accept=accept, retries=1)), request())["warnings"][0]
    failure = refused(runner(gated(DARK, accept=accept, retries=1, otherwise="fail")), request())
    assert told in failure["message"]
    assert [problem["message"].startswith(told, 7) for problem in failure["problems"]] == [True, True]


def test_the_callers_own_seed_is_kept(runner):
    reply = asked(runner(gated(BLACK_IF_0)), request(payload={"seed": 0}))
    assert (len(reply["quality"]["tries"]), reply["values"]["seed"], level(reply)) == (1, 0, 0)
    assert [each.partition(":")[0] for each in reply["warnings"]] == [
        "the result did not pass the quality checks",
        "it was not made anew, since the seed is your own",
    ]
    failure = refused(runner(gated(BLACK_IF_0, otherwise="fail")), request(payload={"seed": 0}))
    assert (failure["code"], failure["retryable"]) == ("quality_rejected", False)
    assert "`retries`" in failure["hint"]
    assert len(failure["problems"]) == 1


def test_an_own_seed_of_several_is_kept_and_the_others_are_drawn(runner):
    parameter_map = gated("seed * 0 + (colour_seed % 13) * 65793", retries=2)
    parameter_map["parameters"]["colour_seed"] = {"type": "seed"}
    reply = asked(runner(parameter_map), request(payload={"seed": 4}))
    values = [each["values"] for each in reply["quality"]["tries"]]
    assert [each["seed"] for each in values] == [4, 4, 4]
    assert len({each["colour_seed"] for each in values}) == 3


@pytest.mark.parametrize(("allowed", "tries"), [(None, 3), (0, 1), (1, 2), (10, 3)])
def test_a_request_may_allow_fewer_tries_than_the_map(runner, allowed, tries):
    keys = {} if allowed is None else {"retries": allowed}
    reply = asked(runner(gated(DARK, retries=2)), request(**keys))
    assert len(reply["quality"]["tries"]) == tries


def test_a_seed_is_tried_once_and_the_tries_end_with_the_seeds(runner):
    parameter_map = gated("seed", retries=9)  # blue of a level from 0 to 2
    parameter_map["parameters"]["seed"]["maximum"] = 2
    reply = asked(runner(parameter_map), request())
    assert sorted(each["values"]["seed"] for each in reply["quality"]["tries"]) == [0, 1, 2]
    assert "no other seed" in reply["warnings"][1]


def test_all_pictures_of_an_output_must_pass(runner):
    template = graph()
    template["2"] = {"class_type": "EmptyImage", "inputs": {**template["1"]["inputs"], "color": WHITE}}
    template["3"] = {"class_type": "ImageBatch", "inputs": {"image1": ["2", 0], "image2": ["1", 0]}}
    template["9"]["inputs"]["images"] = ["3", 0]
    reply = asked(runner(gated(BLACK_IF_0), template), request(payload={"seed": 0}, retries=1))
    first, second = reply["quality"]["tries"]
    assert [(each["index"], each["passed"]) for each in first["scores"]] == [(0, True), (1, False)]
    assert [(each["index"], each["passed"]) for each in second["scores"]] == [(0, True), (1, True)]
    assert len(reply["outputs"]) == 2


def test_a_picture_that_is_no_better_than_the_one_that_was_sent(runner):
    template = graph() | {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    template["2"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    template["9"]["inputs"]["images"] = ["1", 0]
    parameter_map = {
        "parameters": {
            "image": {"type": "image", "required": True, "bind": "$['1'].inputs.image"},
            "invert": {"type": "boolean", "default": False},
        },
        "computed": {"$['9'].inputs.images": {"expression": "['2', 0] if invert else ['1', 0]", "replaces_link": True}},
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "not_identical_to_input"}],
    }
    source = f"data:image/png;base64,{base64.b64encode(picture((64, 48))).decode()}"
    chosen = runner(parameter_map, template)
    reply = asked(chosen, request(payload={"image": source}))
    (only,) = reply["quality"]["tries"]  # there is no seed, and so no other try
    assert (only["accepted"], only["values"]) == (False, {})
    assert "not_identical_to_input of image" in reply["warnings"][0]
    assert asked(chosen, request(payload={"image": source, "invert": True}))["quality"]["accepted"]


def test_a_picture_with_transparency_that_comes_back_as_it_was(runner):
    """Graphs get the colours below what is transparent; people see what is behind."""
    template = graph() | {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    parameter_map = {
        "parameters": {"image": {"type": "image", "required": True, "bind": "$['1'].inputs.image"}},
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "not_identical_to_input"}],
    }
    cut_out = io.BytesIO()
    Image.new("RGBA", (64, 64), (40, 90, 60, 0)).save(cut_out, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(cut_out.getvalue()).decode()}"
    reply = asked(runner(parameter_map, template), request(payload={"image": source}))
    assert reply["quality"]["tries"][0]["scores"][0]["score"] == 0


def test_a_check_that_does_not_apply_is_not_made(runner):
    parameter_map = gated("seed * 0", accept=[{**NEVER_BLACK, "when": "strict"}], retries=0)
    parameter_map["parameters"]["strict"] = {"type": "boolean", "default": False}
    chosen = runner(parameter_map)
    assert "quality" not in asked(chosen, request())
    assert not asked(chosen, request(payload={"strict": True}))["quality"]["accepted"]


def test_a_check_that_can_not_be_decided_is_told_before_anything_runs(runner):
    parameter_map = gated(DARK, accept=[{**NEVER_BLACK, "when": "1 // size > 0"}])
    parameter_map["parameters"]["size"] = {"type": "integer", "default": 1}
    failure = refused(runner(parameter_map), request(payload={"size": 0}))
    assert (failure["code"], failure["problems"][0]["parameter"]) == ("render_failed", "accept[0].when")


def test_a_cancelled_job_ends_in_whichever_try_it_is(runner, sharing_comfy, comfy_base, tmp_path):
    cancel, attempts = CancellationToken(), []

    def on_progress(progress):
        attempts.append(progress.attempt)
        if progress.attempt == 2:
            cancel.cancel()

    chosen = runner(gated(DARK, retries=9), on=sharing_comfy)
    before = files_below(comfy_base)
    with pytest.raises(Cancelled):
        answer(request(), chosen, job_id="j", cancel=cancel, on_progress=on_progress)
    assert max(attempts) == 2
    assert files_below(comfy_base) == before
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_nothing_is_left_behind_and_no_more_than_the_best_is_kept(runner, sharing_comfy, comfy_base):
    before, seen = len(files_below(comfy_base)), []
    chosen = runner(gated(DARK, retries=5), on=sharing_comfy)
    reply = asked(chosen, request(), on_progress=lambda _: seen.append(len(files_below(comfy_base)) - before))
    assert len(reply["quality"]["tries"]) == 6
    assert max(seen) <= 2  # the best so far, and the one that is being made
    assert len(files_below(comfy_base)) == before
    assert level(reply) == reply["values"]["seed"] % 13


def test_the_best_stays_in_comfyui_where_it_can_not_be_stored(runner, sharing_comfy, comfy_base, tmp_path):
    before = {*files_below(comfy_base)}
    (tmp_path / "out").write_text("in the way")
    failure = refused(runner(gated(DARK, retries=3), on=sharing_comfy), request())
    assert failure["code"] == "storage_error"
    (kept,) = {*files_below(comfy_base)} - before
    with Image.open(kept) as best:
        assert best.format == "PNG"
    kept.unlink()


def test_the_best_outlives_a_comfyui_that_is_started_anew(runner, sharing_comfy, comfy_base):
    """One that starts empties its temp folder; a node that only previews leaves its picture there."""

    def on_progress(progress):
        if progress.attempt == 2:
            for path in (comfy_base / "temp").glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    parameter_map = gated("655360 if seed == 0 else 0", retries=1)
    chosen = runner(parameter_map, graph(save="PreviewImage"), on=sharing_comfy)
    reply = asked(chosen, request(payload={"seed": 0}, retries=1), on_progress=on_progress)
    assert reply["quality"]["try"] == 1
    with Image.open(reply["outputs"][0]["path"]) as made:
        assert made.convert("RGB").getpixel((3, 3)) == (10, 0, 0)


ERROR_LATER = "0 // (1 if seed == 0 else 0)"


def test_an_error_in_a_later_try_costs_no_result(runner):
    reply = asked(runner(gated(ERROR_LATER)), request(payload={"seed": 0}, retries=3))
    assert (reply["quality"]["accepted"], reply["quality"]["try"], level(reply)) == (False, 1, 0)
    assert len(reply["quality"]["tries"]) == 1
    assert "did not pass" in reply["warnings"][0]
    assert "try 2 of 4 ended in an error: " in reply["warnings"][1]
    assert "division by zero" in reply["warnings"][1]


def test_whatever_goes_wrong_in_a_later_try_costs_no_result(runner, monkeypatch, tmp_path):
    """The disk of the worker has a mishap that nobody foresaw."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    def on_progress(progress):
        if progress.attempt == 2:
            for folder in scratch.glob("job-*/*"):
                if folder.is_dir() and not any(folder.iterdir()):  # that of the try which runs
                    folder.rmdir()
                    folder.touch()

    reply = asked(runner(gated(DARK, retries=3)), request(), on_progress=on_progress)
    assert len(reply["quality"]["tries"]) == 1
    assert "try 2 of 4 ended in an error: something went wrong in the worker" in reply["warnings"][1]
    assert Path(reply["outputs"][0]["path"]).stat().st_size > 0


def test_an_error_in_a_later_try_is_named_where_there_is_no_result(runner):
    failure = refused(runner(gated(ERROR_LATER, otherwise="fail")), request(payload={"seed": 0}, retries=3))
    assert (failure["code"], failure["retryable"]) == ("quality_rejected", True)
    assert "division by zero" in failure["message"]
    assert len(failure["problems"]) == 1


def test_an_error_in_the_first_try_is_the_error(runner):
    assert refused(runner(gated(ERROR_LATER)), request(payload={"seed": 1}))["code"] == "render_failed"


def test_what_comfyui_does_wrong_in_a_later_try_costs_no_result(runner):
    faults = [{"fault": "out_of_memory", "node": "EmptyImage", "after": 1}]
    with Simulator(faults=faults) as simulator, ComfyUI(simulator.url) as comfy:
        reply = asked(runner(gated("65793 if seed == 0 else 0"), on=comfy), request(payload={"seed": 0}, retries=3))
    assert len(reply["quality"]["tries"]) == 1
    assert "try 2 of 4 ended in an error" in reply["warnings"][1]
    assert "memory" in reply["warnings"][1]


def test_a_person_who_came_out_grey_is_drawn_anew(runner):
    parameter_map = {
        "parameters": {
            "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
            "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
        },
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "skin_tone", "output": "image"}, {"check": "not_blank"}],
    }
    choices = {"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}
    template = text_to_image(width=256, height=256)
    with Simulator(choices=choices, faults=[{"fault": "grey"}]) as simulator, ComfyUI(simulator.url) as comfy:
        reply = asked(runner(parameter_map, template, on=comfy), request(payload={"prompt": "portrait of a woman"}))
    grey, person = reply["quality"]["tries"]
    assert (reply["quality"]["accepted"], reply["quality"]["try"], reply["warnings"]) == (True, 2, [])
    assert [(each["check"], each["passed"]) for each in grey["scores"]] == [("skin_tone", False), ("not_blank", False)]
    assert [(each["check"], each["passed"]) for each in person["scores"]] == [("skin_tone", True), ("not_blank", True)]
    assert grey["values"] != person["values"] == {"seed": reply["values"]["seed"]}


def test_a_crash_of_comfyui_is_no_try(runner):
    faults = [{"fault": "lose_prompt"}]
    with Simulator(faults=faults) as simulator, ComfyUI(simulator.url) as comfy:
        reply = asked(runner(gated(DARK, retries=1), on=comfy), request())
    assert len(reply["quality"]["tries"]) == 2


def test_no_try_is_begun_that_would_not_end_in_time(runner):
    template = text_to_image(steps=20)
    parameter_map = {
        "parameters": {"seed": {"type": "seed", "bind": "$['3'].inputs.seed"}},
        "outputs": {"image": {"node": "9", "kind": "image"}},
        "accept": [{"check": "not_black", "min": 2}],
        "retries": 10,
    }
    choices = {"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}
    with Simulator(choices=choices, step_seconds=0.1) as simulator, ComfyUI(simulator.url) as comfy:
        reply = asked(runner(parameter_map, template, on=comfy), request(timeout_seconds=3.9))
    assert len(reply["quality"]["tries"]) == 1
    assert "try 2 of 11 was not begun: the job may run for 3.9 s" in reply["warnings"][1]


def test_the_time_of_all_tries_is_told(runner):
    with Simulator(step_seconds=0.02) as simulator, ComfyUI(simulator.url) as comfy:
        reply = asked(runner(gated(DARK, retries=2), on=comfy), request())
    assert {"fetch", "queue", "execute", "judge", "store", "total"} <= set(reply["timings"])
    parts = sum(seconds for name, seconds in reply["timings"].items() if name != "total")
    assert parts <= reply["timings"]["total"] + 0.01


def test_a_workflow_is_warmed_up_with_one_try(runner, caplog):
    with caplog.at_level(logging.INFO):
        runner(gated("seed * 0", otherwise="fail")).rehearse("w")
    assert "a result was refused" not in caplog.text


def test_a_job_that_is_delivered_again_gets_the_same_result(runner, tmp_path):
    chosen = runner(gated(DARK, retries=1), default="inline")
    journal = Journal(tmp_path / "journal", longest_bytes=10**7, longest_seconds=100)

    def once():
        run = lambda: answer(request(), chosen, job_id="j")  # noqa: E731
        return journal.once("j", request(), run, CancellationToken())

    first = once()
    assert len(first["quality"]["tries"]) == 2
    assert once() == first


def test_a_whole_graph_has_no_quality(runner):
    chosen = runner(gated(DARK), allow_raw_workflows=True)
    reply = asked(chosen, {"workflow": graph(), "retries": 2})
    assert "quality" not in reply


def test_an_output_without_a_picture_does_not_pass(runner):
    """A node of one kind of file can come to give another."""
    template = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "no picture"}},
        "9": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    parameter_map = {
        "parameters": {"text": {"type": "string", "bind": "$['1'].inputs.value"}},
        "outputs": {"told": {"node": "9"}},
        "accept": [NEVER_BLACK],
    }
    reply = asked(runner(parameter_map, template), request())
    (score,) = reply["quality"]["tries"][0]["scores"]
    assert (score["output"], score["score"], score["passed"]) == ("told", None, False)
    assert "not_black of told could not be judged" in reply["warnings"][0]


@pytest.mark.parametrize("retries", [-1, 11, 1.5, True, "2"])
def test_a_request_for_a_wrong_number_of_tries_is_refused(runner, retries):
    failure = refused(runner(gated(DARK)), request(retries=retries))
    assert (failure["code"], failure["problems"][0]["parameter"]) == ("invalid_request", "retries")


def test_retries_of_a_workflow_without_checks_have_no_effect_and_say_so(runner):
    ungated = {key: value for key, value in gated(f"{WHITE} + seed * 0").items() if key != "accept"}
    there = runner(ungated)
    assert asked(there, request())["warnings"] == []
    reply = asked(there, request(retries=2))
    assert reply["warnings"] == ["retries had no effect: the workflow has no checks that a result could fail"]
    assert "quality" not in reply
