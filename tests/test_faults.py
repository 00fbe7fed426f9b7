"""Faults of ComfyUI: how the job ends, and that the next one works and nothing stays behind."""

import pytest
from support.fault_cases import (
    DONE,
    IN_THIS_PROCESS,
    REAL,
    SUPERVISED,
    pixels,
    scratch_below,
    simulated_bench,
    started_bench,
)
from support.reliability import record, rows_of
from support.simulated_home import simulated_home
from support.workflows import ROOT


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The pixels of a seed where nothing goes wrong."""
    with simulated_bench(tmp_path_factory.mktemp("right")) as bench:
        return {seed: pixels(bench.run(seed).reply) for seed in (1, 2)}


def held_to(case, bench, right, request):
    """Run the case's job and one more: the first ends as it should, the next one works, and nothing stays behind."""
    trial = bench.run(1, request=case.request, cancel_at=case.cancel_at)
    record(request, case.name, "Simulator", trial.end, trial.seconds)
    assert trial.end == case.end, trial.reply
    if case.end == DONE:
        assert pixels(trial.reply) == right[1]
    else:
        assert case.words in trial.reply["failure"].get("message", "")

    bench.faults.clear()  # those that did not come to it
    following = bench.run(2, job_id="job-2")
    assert following.end == DONE, following.reply
    assert pixels(following.reply) == right[2]
    assert not any(bench.comfy().client.queue())
    assert bench.leftovers() == []


@pytest.mark.parametrize("case", IN_THIS_PROCESS, ids=str)
def test_a_fault_of_one_that_goes_on_running(case, right, tmp_path, request):
    with simulated_bench(tmp_path, case.script, case.settings) as bench, scratch_below(bench.scratch):
        held_to(case, bench, right, request)


@pytest.mark.parametrize("case", SUPERVISED, ids=str)
def test_a_fault_of_one_that_is_started_again(case, right, tmp_path, request):
    home = simulated_home(tmp_path / "home", case.script, step_seconds=0.02)
    with started_bench(tmp_path, home, case.settings) as bench, scratch_below(bench.scratch):
        bench.comfy().ready()
        held_to(case, bench, right, request)


def test_every_case_is_in_the_table_and_no_other():
    sections = rows_of((ROOT / "docs" / "reliability.md").read_text())
    simulated = sections.pop("Simulator")
    assert set(simulated) == {case.name for case in (*IN_THIS_PROCESS, *SUPERVISED)}, "make reliability"
    assert sections
    for rows in sections.values():
        assert set(rows) == set(REAL), "make reliability COMFY_HOME=…"
