"""Further tries of a job while ComfyUI or the bucket is in trouble: what its caller gets."""

import json
import logging

import pytest
from PIL import Image
from support.runners import runner_on
from support.s3 import serve_s3_with_outages
from support.simulated_home import simulated_home
from support.workflows import ROOT

from engine import Catalog
from engine.cancellation import CancellationToken
from engine.comfyui import ComfyProcess, ComfyUI, SharedFolders, Supervisor
from engine.envelope import answer
from engine.errors import Cancelled

NEVER = {"accept": [{"check": "not_black", "min": 2}], "retries": 2}
ASKED = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "steps": 4, "width": 64, "height": 64}}


class Trying:
    """A runner whose results never pass, on a supervised simulator with faults."""

    def __init__(self, folder, faults, *, gates=NEVER, step_seconds=0.0, **settings):
        workflows = folder / "workflows"
        for kind in ("templates", "schemas"):
            (workflows / kind).mkdir(parents=True)
        parameter_map = json.loads((ROOT / "schemas/txt2img.json").read_text()) | gates
        (workflows / "schemas/txt2img.json").write_text(json.dumps(parameter_map))
        (workflows / "templates/txt2img.json").write_bytes((ROOT / "templates/txt2img.json").read_bytes())
        self.home = simulated_home(folder / "home", faults, step_seconds=step_seconds)
        process = ComfyProcess(self.home, log_file=folder / "log", start_timeout=60, stop_timeout=5)
        self.comfy = ComfyUI(process.url, watch=Supervisor(process), folders=SharedFolders.below(self.home))
        self.runner = runner_on(self.comfy, folder, Catalog([workflows]), **settings)

    def ask(self, document=ASKED, **options):
        return answer(document, self.runner, job_id="job-1", **options)

    def leftovers(self):
        return [
            path for part in ("input", "output", "temp") for path in (self.home / part).rglob("*") if path.is_file()
        ]


@pytest.fixture
def trying(tmp_path):
    made = []

    def make(*faults, **options):
        made.append(Trying(tmp_path / str(len(made)), faults, **options))
        return made[-1]

    yield make
    for each in made:
        each.runner.close()
        each.comfy.close()


def in_the_second_try(fault, **more):
    """At the third step of a sampler, once the first try's sampler came by it."""
    return {"fault": fault, "node": "KSampler", "step": 3, "after": 1, **more}


def readable(reply):
    with Image.open(reply["outputs"][0]["path"]) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize("fault", ["kill", "exit"])
def test_a_try_that_comfyui_does_not_survive_is_made_again(trying, fault):
    on = trying(in_the_second_try(fault))
    reply = on.ask()
    assert len(reply["quality"]["tries"]) == 3
    assert len({each["values"]["seed"] for each in reply["quality"]["tries"]}) == 3
    assert reply["warnings"][0] == "ComfyUI stopped while it ran the job, and the job was run again"
    assert readable(reply) == (64, 64)
    assert on.leftovers() == []


@pytest.mark.parametrize(("fault", "times"), [("kill", 2), ("out_of_memory", 1)])
def test_a_try_that_fails_for_good_leaves_the_result_before_it(trying, fault, times):
    on = trying(in_the_second_try(fault, times=times))
    reply = on.ask()
    assert (len(reply["quality"]["tries"]), reply["quality"]["try"]) == (1, 1)
    assert "try 2 of 3 ended in an error" in reply["warnings"][-1]
    assert readable(reply) == (64, 64)
    assert on.leftovers() == []
    assert on.ask()["quality"]["try"]  # the next job has a ComfyUI


def test_a_try_that_hangs_ends_with_the_jobs_time(trying):
    on = trying(in_the_second_try("hang", seconds=8))
    reply = on.ask({**ASKED, "timeout_seconds": 4})
    assert len(reply["quality"]["tries"]) == 1
    assert "try 2 of 3 ended in an error" in reply["warnings"][-1]
    assert "left of the 4 s that the job may run" in reply["warnings"][-1]
    assert readable(reply) == (64, 64)


@pytest.mark.parametrize("stage", ["begun", "sampling", "judged"])
def test_a_job_cancelled_in_its_second_try_leaves_nothing(trying, stage, caplog):
    on, cancel = trying(), CancellationToken()

    def on_progress(progress):
        at = {"begun": progress.step == 0, "sampling": progress.step == 2, "judged": progress.node_id is None}
        if progress.attempt == 2 and at[stage]:
            cancel.cancel()

    with caplog.at_level(logging.INFO), pytest.raises(Cancelled):
        on.ask(cancel=cancel, on_progress=on_progress)
    assert on.leftovers() == []


def test_the_best_of_several_waits_for_a_bucket_that_is_away(trying, tmp_path, wait_until):
    with serve_s3_with_outages(tmp_path / "s3") as outages:
        server = {f"s3_{name}": value for name, value in outages.server.options().items()}
        on = trying(default="inline", spool_path=tmp_path / "spool", upload_retry_seconds=0.2, **server)
        outages.stop()
        reply = on.ask()
        assert len(reply["quality"]["tries"]) == 3
        assert reply["outputs"][0]["base64"]
        assert on.leftovers() == []
