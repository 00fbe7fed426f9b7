"""Faults of a ComfyUI that the engine starts: it is started again, and the job goes on where it can."""

import pytest
from support.fault_cases import DONE, SUPERVISED, pixels, scratch_below, simulated_bench, started_bench
from support.reliability import record
from support.simulated_home import simulated_home


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The pixels of a seed where nothing goes wrong."""
    with simulated_bench(tmp_path_factory.mktemp("right")) as bench:
        return {seed: pixels(bench.run(seed).reply) for seed in (1, 2)}


@pytest.mark.parametrize("case", SUPERVISED, ids=str)
def test_a_fault_ends_the_job_as_it_should_and_the_next_one_works(case, right, tmp_path, request):
    home = simulated_home(tmp_path / "home", case.script, step_seconds=0.02)
    with started_bench(tmp_path, home, case.settings) as bench, scratch_below(bench.scratch):
        bench.comfy().ready()
        trial = bench.run(1, request=case.request, cancel_at=case.cancel_at)
        record(request, case.name, "Simulator", trial.end, trial.seconds)
        assert trial.end == case.end, trial.reply
        if case.end == DONE:
            assert pixels(trial.reply) == right[1]
        else:
            assert case.words in trial.reply["failure"].get("message", "")

        following = bench.run(2, job_id="job-2")
        assert following.end == DONE, following.reply
        assert pixels(following.reply) == right[2]
        assert not any(bench.comfy().client.queue())
        assert bench.leftovers() == []
