"""What docs/scaling.md reckons and claims: its arithmetic, and what ComfyUI keeps from one job to the next."""

import json
import re
import subprocess
import sys

import pytest
import requests
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import new_prompt_id
from engine.settings import variables

SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", SCALING, re.DOTALL | re.MULTILINE)


def test_the_arithmetic_of_the_worked_example_prints_what_the_page_shows():
    programs, printed = blocks("python"), blocks("text")
    assert len(programs) == len(printed) == 2
    for text, shown in zip(programs, printed, strict=True):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == shown


def test_the_defaults_of_the_timeouts_are_the_settings():
    defaults = {variable.names[0]: variable.default for variable in variables()}
    for name in ("TIMEOUT_SECONDS", "STALL_SECONDS", "QUEUE_TIMEOUT_SECONDS"):
        assert f"| `{name}` | {float(defaults[name]):.0f} s |" in SCALING


def rendered(name, **payload):
    workflow = Catalog([ROOT])[name]
    return workflow.render(workflow.validate(payload))


def picture(checkpoint, seed):
    return rendered("txt2img", prompt="x", steps=1, width=64, height=64, ckpt_name=checkpoint, seed=seed)


@pytest.fixture
def kept(wait_until):
    """Run a graph on a ComfyUI; gives the nodes whose results it still had."""

    def kept(process, graph):
        prompt_id = new_prompt_id()
        body = {"prompt": graph, "prompt_id": prompt_id}
        requests.post(f"{process.url}/prompt", json=body, timeout=20).raise_for_status()

        def status():
            history = requests.get(f"{process.url}/history/{prompt_id}", timeout=20).json()
            return history.get(prompt_id, {}).get("status", {})

        wait_until(lambda: status().get("completed"))
        return next(data["nodes"] for kind, data in status()["messages"] if kind == "execution_cached")

    return kept


@pytest.mark.comfyui
@pytest.mark.parametrize("arguments", [(), ("--cache-lru", "20")], ids=["as it is", "with --cache-lru"])
def test_a_job_of_another_kind_in_between_loads_the_checkpoint_again(arguments, comfy_process_with, checkpoint, kept):
    process = comfy_process_with(*arguments)
    process.start()
    kept(process, picture(checkpoint, 1))
    assert "4" in kept(process, picture(checkpoint, 2))
    other_ids = json.loads(json.dumps(picture(checkpoint, 3)).replace('"4"', '"44"'))
    assert "44" in kept(process, other_ids)
    kept(process, rendered("resize", width=32))
    assert ("4" in kept(process, picture(checkpoint, 4))) == bool(arguments)
