"""A ComfyUI of our own that crashes, hangs or does not come, as a caller notices it. The simulator stands in for it."""

import contextlib
import json
import logging
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.runners import asked, runner_on
from support.simulated_home import simulated_home
from support.workflows import ROOT

from engine.cancellation import CancellationToken
from engine.comfyui import Bounds, ComfyProcess, ComfyUI, Elsewhere, SharedFolders, Supervisor
from engine.comfyui.memory_kills import memory_kills
from engine.comfyui.process_log import telling_lines
from engine.comfyui.workspace import sweep
from engine.envelope import answer
from engine.errors import Cancelled, ComfyUnavailable
from engine.nodes import load_catalogue
from engine.order import next_order
from engine.simulator import Simulator, choices_from

V2 = "low 0\nhigh 3\nmax 9\noom 2\noom_kill 2\n"
TEMPLATES = [json.loads(path.read_text()) for path in sorted((ROOT / "templates").glob("*.json"))]

PICTURE = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "seed": 7, "steps": 6}}
OTHER = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "seed": 8, "steps": 2}}


class Supervised:
    """A runner on a supervised simulator with faults, and what a test looks at."""

    def __init__(self, folder, faults=(), *, bounds=None, step_seconds=0.0, shared=True, **options):
        self.home = simulated_home(folder / "home", faults, step_seconds=step_seconds)
        start_timeout = options.pop("start_timeout", 60)
        process = ComfyProcess(self.home, log_file=folder / "comfyui.log", start_timeout=start_timeout, stop_timeout=5)
        self.process = process
        self.supervisor = Supervisor(process, **options)
        folders = SharedFolders.below(self.home) if shared else None
        self.comfy = ComfyUI(process.url, watch=self.supervisor, folders=folders, bounds=bounds)
        self.runner = runner_on(self.comfy, folder)

    def ask(self, document=PICTURE, **options):
        return answer(document, self.runner, job_id="job-1", **options)

    def leftovers(self):
        """What jobs left in ComfyUI's folders."""
        return [
            str(path.relative_to(self.home))
            for name in ("input", "output", "temp")
            for path in (self.home / name).rglob("*")
            if path.is_file()
        ]


@pytest.fixture
def unused_port_now():
    """A port that was free a moment ago, and is not held."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def supervised(tmp_path):
    made = []

    def make(faults=(), **options):
        made.append(Supervised(tmp_path / str(len(made)), faults, **options))
        return made[-1]

    yield make
    for each in made:
        each.runner.close()
        each.comfy.close()


def shown(reply):
    """What is to be seen on the first picture of a reply; its file also holds the names of its job's folder."""
    with Image.open(reply["outputs"][0]["path"]) as picture:
        return picture.tobytes()


def at_step(number, kind="kill", **more):
    return {"fault": kind, "node": "KSampler", "step": number, **more}


def test_it_is_started_by_the_first_job_that_needs_it(supervised):
    comfy = supervised()
    assert not comfy.process.alive
    assert not comfy.comfy.started

    asked(comfy.runner, PICTURE)

    assert comfy.process.alive
    assert comfy.comfy.started


def test_a_wrong_payload_starts_nothing(supervised):
    comfy = supervised()

    assert comfy.ask({"workflow": "txt2img", "payload": {}})["failure"]["code"] == "invalid_payload"
    assert not comfy.process.alive


def test_a_job_whose_comfyui_is_killed_is_run_again_with_the_same_seed(supervised, caplog):
    comfy = supervised([at_step(3)])

    with caplog.at_level(logging.WARNING):
        reply = comfy.ask({"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "steps": 6}})

    assert reply["warnings"] == ["ComfyUI stopped while it ran the job, and the job was run again"]
    seed = reply["values"]["seed"]
    again = comfy.ask({"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "steps": 6, "seed": seed}})
    assert shown(again) == shown(reply)
    (tried,) = [record for record in caplog.records if record.getMessage() == "the job is tried again"]
    assert tried.fields["reason"] == "ComfyUI stopped while running KSampler (3), step 3 of 6"
    assert tried.fields["detail"].startswith("it was killed by SIGKILL\nStarting server")
    (stopped,) = [record for record in caplog.records if record.message.startswith("ComfyUI stopped:")]
    assert stopped.message == "ComfyUI stopped: it was killed by SIGKILL"
    assert stopped.fields["detail"].startswith("Starting server")
    assert comfy.runner.worn_out is None
    assert comfy.leftovers() == []


def test_a_second_crash_fails_the_job_and_the_next_one_works(supervised):
    comfy = supervised([at_step(2, times=2)])

    failure = comfy.ask()["failure"]

    assert failure["code"] == "comfy_unavailable"
    assert failure["message"] == "ComfyUI stopped while running KSampler (3), step 2 of 6, twice"
    assert failure["retryable"]
    assert "SIGKILL" not in str(failure)
    asked(comfy.runner, OTHER)
    assert comfy.leftovers() == []


def test_one_that_stops_before_it_takes_the_job_costs_the_job_nothing(supervised):
    comfy = supervised()
    asked(comfy.runner, OTHER)

    os.kill(comfy.process.pid, signal.SIGKILL)
    reply = asked(comfy.runner, PICTURE)

    assert reply["warnings"] == []


def test_it_comes_back_while_no_job_runs(supervised, wait_until):
    comfy = supervised()
    asked(comfy.runner, OTHER)
    before = comfy.process.pid

    os.kill(before, signal.SIGSEGV)

    wait_until(lambda: comfy.comfy.started and comfy.process.pid not in {None, before})
    assert comfy.supervisor.crashes_in_a_row == 1


def test_of_several_jobs_only_the_one_that_executes_is_blamed_for_a_crash(supervised, wait_until):
    """The next is in ComfyUI's queue then, and two stand in line for that."""
    comfy = supervised([at_step(4, times=2)], step_seconds=0.3)
    comfy.comfy.ready()

    def executes():
        with contextlib.suppress(ComfyUnavailable):  # it is between its two crashes
            return comfy.comfy.client.queue()[0]
        return False

    with ThreadPoolExecutor(4) as pool:
        culprit = pool.submit(comfy.ask, PICTURE, order=next_order())
        wait_until(executes)
        innocent = [{**PICTURE, "payload": {**PICTURE["payload"], "seed": seed, "steps": 2}} for seed in (11, 12, 13)]
        replies = [pool.submit(comfy.ask, each, order=next_order()) for each in innocent]
        assert (
            culprit.result(60)["failure"]["message"] == "ComfyUI stopped while running KSampler (3), step 4 of 6, twice"
        )
        assert [each.result(60)["warnings"] for each in replies] == [[]] * 3


def test_crashes_in_a_row_wear_a_machine_out_and_a_good_job_redeems_it(supervised):
    comfy = supervised([at_step(1, times=4)], most_crashes=3)

    assert comfy.ask()["failure"]["code"] == "comfy_unavailable"
    assert comfy.runner.worn_out is None
    assert comfy.ask()["failure"]["code"] == "comfy_unavailable"
    assert comfy.runner.worn_out == "ComfyUI stopped 4 times in a row: it was killed by SIGKILL"

    asked(comfy.runner, OTHER)
    assert comfy.runner.worn_out is None


def test_one_that_ends_at_once_is_told_with_its_log_for_the_operator_alone(supervised, caplog):
    comfy = supervised([{"fault": "no_start", "times": None}], most_crashes=1)

    failure = comfy.ask()["failure"]

    assert failure["code"] == "comfy_unavailable"
    assert "ComfyUI was started and ended at once" in failure["message"]
    assert str(comfy.home) not in str(failure)
    (said, *_) = [record for record in caplog.records if record.message.startswith("ComfyUI was started")]
    assert "Starting server" in said.fields["detail"]
    assert "does not start" in comfy.runner.worn_out or "ended at once" in comfy.runner.worn_out


def test_memory_is_blamed_only_where_the_counter_says_so(supervised):
    counts = iter([0, 1, 1, 2, 2, 2, 2])
    comfy = supervised([at_step(2, times=2)], memory_kills=lambda: next(counts))

    failure = comfy.ask()["failure"]

    assert failure["code"] == "out_of_memory"
    assert failure["message"].startswith("ComfyUI was killed because the memory ran out while running KSampler (3)")
    assert "smaller" in failure["hint"]


def test_one_that_answers_nothing_is_restarted_and_its_job_run_again(supervised):
    comfy = supervised([at_step(2, "freeze")], bounds=Bounds(silent=1.0))

    reply = asked(comfy.runner, PICTURE)

    assert reply["warnings"] == ["ComfyUI stopped while it ran the job, and the job was run again"]


def test_one_that_hangs_between_jobs_is_restarted(supervised):
    comfy = supervised(silent_seconds=1.0, bounds=Bounds(silent=1.0))
    comfy.comfy.client.read_timeout = 1.0
    asked(comfy.runner, OTHER)
    before = comfy.process.pid

    os.kill(before, signal.SIGSTOP)
    asked(comfy.runner, PICTURE)

    assert comfy.process.pid != before


def test_a_job_that_makes_no_progress_is_stopped(supervised):
    comfy = supervised([at_step(2, "hang", seconds=30)], bounds=Bounds(stall=0.5, stop=0.5))

    failure = comfy.ask()["failure"]

    assert failure["code"] == "execution_timeout"
    assert failure["message"] == "the job made no progress for 0.5 s (KSampler (3), step 2 of 6)"


def test_a_prompt_that_ignores_the_interrupt_is_ended_by_a_restart(supervised, wait_until):
    comfy = supervised([{"fault": "ignore_interrupt", "times": None}], bounds=Bounds(stop=0.5), step_seconds=0.2)
    endless = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "seed": 7, "steps": 150}}
    cancel, begun = CancellationToken(), threading.Event()

    def on_progress(progress):
        if progress.step >= 1:
            begun.set()
            cancel.cancel()

    with pytest.raises(Cancelled):
        comfy.ask(endless, cancel=cancel, on_progress=on_progress)
    assert begun.is_set()

    asked(comfy.runner, OTHER)
    assert comfy.supervisor.generation == 2
    assert comfy.comfy.client.queue() == (frozenset(), frozenset())


def test_what_comfyui_gives_no_answer_to_counts_as_begun_where_nobody_heard(supervised):
    comfy = supervised([at_step(1, times=None), {"fault": "status", "path": "/ws", "times": None}])

    failure = comfy.ask()["failure"]

    assert failure["message"] == "ComfyUI stopped while it had the job, twice"
    assert comfy.supervisor.crashes_in_a_row == 2


def test_a_job_can_be_cancelled_while_comfyui_starts(supervised):
    comfy = supervised([{"fault": "slow_start", "seconds": 60}])
    cancel = CancellationToken()
    threading.Timer(0.3, cancel.cancel).start()

    with pytest.raises(Cancelled):
        comfy.ask(cancel=cancel)


def test_closing_ends_one_that_is_starting(supervised, wait_until):
    comfy = supervised([{"fault": "slow_start", "seconds": 60}])
    cancel = CancellationToken()
    threading.Timer(0.5, cancel.cancel).start()
    with pytest.raises(Cancelled):
        comfy.ask(cancel=cancel)

    comfy.comfy.close()

    assert not comfy.process.alive
    with pytest.raises(ComfyUnavailable):
        comfy.comfy.client.system_stats()


def test_results_that_comfyui_has_made_are_fetched_once_it_is_back(supervised):
    # Over HTTP: its disk is not ours, and it ends with the job done and nothing fetched yet.
    comfy = supervised([{"fault": "kill", "path": "/view"}], shared=False)

    reply = asked(comfy.runner, PICTURE)

    assert reply["warnings"] == []
    assert Path(reply["outputs"][0]["path"]).stat().st_size == reply["outputs"][0]["size_bytes"]


def test_a_cached_result_whose_file_was_deleted_is_made_again(supervised):
    comfy = supervised([{"fault": "cached_but_gone"}], shared=False)

    first, second = asked(comfy.runner, PICTURE), asked(comfy.runner, PICTURE)

    assert shown(second) == shown(first)


def test_one_that_others_start_is_waited_for(tmp_path, unused_port_now):
    port = unused_port_now
    watch = Elsewhere(f"http://127.0.0.1:{port}", wait_seconds=30)
    with ComfyUI(f"http://127.0.0.1:{port}", watch=watch) as comfy, ThreadPoolExecutor(1) as pool:
        reply = pool.submit(asked, runner_on(comfy, tmp_path), PICTURE)
        with Simulator(choices=choices_from(TEMPLATES, load_catalogue()), port=port):
            assert reply.result(30)["outputs"]


def test_one_that_never_comes_is_told_after_the_bound(tmp_path, unused_port):
    url = f"http://127.0.0.1:{unused_port}"
    with ComfyUI(url, watch=Elsewhere(url, wait_seconds=0.2)) as comfy:
        reply = answer(PICTURE, runner_on(comfy, tmp_path), job_id="job-1")

    assert reply["error"].startswith(f"comfy_unavailable: no ComfyUI answers at {url}")


def test_one_of_others_that_is_restarted_gets_its_job_again(tmp_path, supervised):
    theirs = supervised([at_step(2)]).process
    theirs.start()
    watch = Elsewhere(theirs.url, wait_seconds=30)
    with (
        ThreadPoolExecutor(1) as pool,
        ComfyUI(theirs.url, watch=watch, bounds=Bounds(patience=0.2)) as comfy,
    ):
        reply = pool.submit(asked, runner_on(comfy, tmp_path), PICTURE)
        assert theirs.wait(30)
        theirs.start()
        assert reply.result(30)["warnings"] == ["ComfyUI stopped while it ran the job, and the job was run again"]


def test_one_of_others_that_stays_away_is_told_with_where_the_job_stood(tmp_path, supervised):
    theirs = supervised([at_step(2)]).process
    theirs.start()
    watch = Elsewhere(theirs.url, wait_seconds=0.2)
    with ComfyUI(theirs.url, watch=watch, bounds=Bounds(patience=0.2)) as comfy:
        reply = answer(PICTURE, runner_on(comfy, tmp_path), job_id="job-1")

    assert reply["failure"]["message"] == (
        "ComfyUI stopped answering while running KSampler (3), step 2 of 6, and did not come back: "
        f"no ComfyUI answers at {theirs.url}"
    )
    assert reply["failure"]["retryable"]


def test_what_a_killed_worker_left_is_swept_once_it_is_old(tmp_path):
    folders = SharedFolders.below(tmp_path)
    mine = ["engine-job_1_0123abcd", "engine-x_00000000"]
    others = ["engine-job", "photos_0123abcd", "engine-job_1_0123abcg"]
    for root in (folders.input, folders.output, folders.temp):
        for name in mine + others:
            (root / name).mkdir(parents=True)
            (root / name / "picture.png").write_bytes(b"x")

    assert sweep(folders) == []
    assert sorted(set(sweep(folders, older_than_seconds=-60))) == mine

    assert sorted(path.name for path in folders.input.iterdir()) == sorted(others)
    assert sorted(path.name for path in folders.temp.iterdir()) == sorted(others)
    assert len(list(folders.output.iterdir())) == len(mine + others), "results may be what could not be stored"


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"sys/fs/cgroup/memory.events": V2}, 2),
        ({"sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"}, 5),
        ({"sys/fs/cgroup/memory.events": "garbage\n"}, None),
        ({"proc/self/cgroup": "0::/jobs/mine\n", "sys/fs/cgroup/jobs/mine/memory.events": V2}, 2),
        (
            {
                "proc/self/cgroup": "0::/jobs/mine\n",
                "sys/fs/cgroup/jobs/mine/memory.events": V2,
                "sys/fs/cgroup/jobs/memory.events": "oom_kill 9\n",
            },
            2,
        ),
        ({"proc/self/cgroup": "0::/of/the/host\n", "sys/fs/cgroup/memory.events": V2}, 2),
        (
            {
                "proc/self/cgroup": "4:cpu:/a\n3:memory:/docker/b\n",
                "sys/fs/cgroup/memory/docker/b/memory.oom_control": "oom_kill 5\n",
            },
            5,
        ),
        ({}, None),
    ],
)
def test_the_containers_counter_is_read(tmp_path, files, count):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert memory_kills(tmp_path) == count


def test_of_a_log_the_lines_that_matter_are_told():
    bars = "\r".join(f" {number}%|██   | {number}/100 [00:0{number}<00:01, 9.00it/s]" for number in range(9))
    printed = f"Starting server\n{bars}\nTraceback (most recent call last):\n  boom\nRuntimeError: broken\n\n\n"

    assert telling_lines(printed).splitlines() == [
        "Starting server",
        "Traceback (most recent call last):",
        "  boom",
        "RuntimeError: broken",
    ]


def test_of_a_log_a_traceback_is_told_though_much_came_after():
    printed = "Traceback (most recent call last):\nRuntimeError: broken\n" + "chatter\n" * 500

    assert telling_lines(printed).startswith("Traceback (most recent call last):\nRuntimeError: broken")
