"""The worker's handler in this process, as the SDK calls it: whatever a job does, it is answered."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.runners import runner_on
from support.runpod_queue import serve_runpod_queue
from support.tokens import Watched
from support.worker import OWN_WORKER, running_script, worker_environment

from engine.cancellation import CancellationToken
from engine.comfyui import ComfyUI
from engine.errors import Cancelled, ComfyUnavailable
from engine.warming import WarmUp
from engine.worker import Worker

RESIZE = {"workflow": "resize", "payload": {"width": 16}}


class Hanging:
    """Instead of a ComfyUI: holds whoever wants one, and looks at no token."""

    def __init__(self):
        self.held = threading.Event()
        self.let_go = threading.Event()

    def __call__(self):
        self.held.set()
        self.let_go.wait(60)
        raise ComfyUnavailable("let go")


@pytest.fixture
def hanging():
    hanging = Hanging()
    yield hanging
    hanging.let_go.set()


def handled(worker, job):
    return asyncio.run(worker.handle(job))


@pytest.mark.parametrize(
    "job",
    [{"input": RESIZE}, {"id": None, "input": RESIZE}, {"id": 7, "input": RESIZE}, {"id": "a/../b", "input": RESIZE}],
)
def test_an_odd_id_is_no_reason_to_fail(comfy, tmp_path, job):
    assert handled(Worker(runner_on(comfy, tmp_path)), job)["outputs"][0]["width"] == 16


@pytest.mark.parametrize("job", [{}, {"id": "j"}, [], None, "a job"])
def test_what_is_no_job_is_answered(comfy, tmp_path, job):
    assert handled(Worker(runner_on(comfy, tmp_path)), job)["failure"]["code"] in ("invalid_request", "internal_error")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SystemExit(3), "internal_error"),
        (KeyboardInterrupt(), "internal_error"),
        (StopIteration(), "internal_error"),
        (MemoryError(), "out_of_memory"),
        (OSError("/a/path"), "internal_error"),
    ],
)
def test_what_would_end_a_program_ends_one_job(tmp_path, error, code):
    def comfy():
        raise error

    reply = handled(Worker(runner_on(comfy, tmp_path)), {"id": "j", "input": RESIZE})
    assert reply["failure"]["code"] == code
    assert "/a/path" not in str(reply)


def test_more_jobs_than_a_pool_has_threads_run_at_once(tmp_path, hanging):
    async def run():
        worker = Worker(runner_on(hanging, tmp_path))
        held = [asyncio.create_task(worker.handle({"id": f"j{number}", "input": RESIZE})) for number in range(40)]
        listed = await asyncio.wait_for(worker.handle({"id": "list", "input": {"action": "list"}}), 30)
        hanging.let_go.set()
        return listed, await asyncio.gather(*held)

    listed, failures = asyncio.run(run())
    assert listed["workflows"]
    assert {each["failure"]["code"] for each in failures} == {"comfy_unavailable"}


def test_a_cancelled_job_that_does_not_stop_keeps_nobody_waiting(tmp_path, hanging):
    async def run():
        worker = Worker(runner_on(hanging, tmp_path), let_go_seconds=0.1)
        task = asyncio.create_task(worker.handle({"id": "j", "input": RESIZE}))
        await asyncio.to_thread(hanging.held.wait, 30)
        task.cancel()
        await asyncio.wait([task], timeout=30)
        return task.cancelled(), await worker.handle({"id": "k", "input": {"action": "list"}})

    cancelled, listed = asyncio.run(run())
    assert cancelled
    assert listed["workflows"]


def test_a_job_that_is_cancelled_twice_still_holds_the_next_one_until_it_is_over(tmp_path, hanging):
    async def run():
        task = asyncio.create_task(Worker(runner_on(hanging, tmp_path)).handle({"id": "j", "input": RESIZE}))
        await asyncio.to_thread(hanging.held.wait, 30)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        held = not task.done()
        hanging.let_go.set()
        await asyncio.wait([task], timeout=30)
        return held, task.cancelled()

    assert asyncio.run(run()) == (True, True)


def test_a_job_that_is_cancelled_before_it_began_never_begins(tmp_path, hanging):
    async def run():
        task = asyncio.create_task(Worker(runner_on(hanging, tmp_path)).handle({"id": "j", "input": RESIZE}))
        task.cancel()
        await asyncio.wait([task], timeout=30)
        return task.cancelled()

    assert asyncio.run(run())
    assert not hanging.held.is_set()


def test_progress_of_a_cancelled_job_is_posted_no_more(checkpoint, comfy, tmp_path):
    async def run():
        posted, first = [], asyncio.Event()

        async def post(job, document):
            posted.append(document)
            first.set()

        payload = {"prompt": "x", "steps": 150, "width": 128, "height": 128, "ckpt_name": checkpoint, "seed": 31}
        worker = Worker(runner_on(comfy, tmp_path), post)
        task = asyncio.create_task(worker.handle({"id": "j", "input": {"workflow": "txt2img", "payload": payload}}))
        await asyncio.wait_for(first.wait(), 60)
        task.cancel()
        before = len(posted)
        await asyncio.wait([task], timeout=60)
        return task.cancelled(), len(posted) - before

    assert asyncio.run(run()) == (True, 0)


@pytest.mark.parametrize("broken", ["hang", "fail"])
def test_posts_that_do_not_arrive_fail_no_job(checkpoint, comfy, tmp_path, broken):
    async def post(job, document):
        if broken == "hang":
            await asyncio.Event().wait()
        raise OSError("no route to host")

    payload = {"prompt": "x", "steps": 3, "width": 64, "height": 64, "ckpt_name": checkpoint, "seed": 32}
    reply = handled(
        Worker(runner_on(comfy, tmp_path), post), {"id": "j", "input": {"workflow": "txt2img", "payload": payload}}
    )
    assert reply["outputs"]


class Worn(ComfyUI):
    """A ComfyUI that had better be given up."""

    worn_out = "ComfyUI crashed three times in a row"


def test_a_worn_out_machine_asks_to_be_replaced(comfy_url, tmp_path, caplog):
    with Worn(comfy_url) as comfy:
        worker = Worker(runner_on(comfy, tmp_path))
        assert "refresh_worker" not in handled(
            worker, {"id": "i", "input": {"action": "list"}}
        )  # it has asked for none yet
        reply = handled(worker, {"id": "j", "input": RESIZE})
        assert reply["refresh_worker"] is True
        assert reply["outputs"]
        failed = handled(worker, {"id": "k", "input": {"workflow": "resise"}})
        assert failed["refresh_worker"] is True
    (said, _) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert said.getMessage() == "the worker asks to be replaced"
    assert said.fields == {"job_id": "j", "reason": "ComfyUI crashed three times in a row"}


def test_asking_whether_it_is_worn_out_starts_no_comfyui(tmp_path, hanging):
    assert handled(Worker(runner_on(hanging, tmp_path)), {"id": "j", "input": {"action": "list"}})["workflows"]
    assert not hanging.held.is_set()


def test_the_platform_is_told_to_replace_a_worn_out_machine(comfy_url, tmp_path):
    with serve_runpod_queue() as queue:
        variables = worker_environment(comfy_url, **queue.environment(), WORN_OUT="it crashed three times")
        with running_script(OWN_WORKER, variables, tmp_path / "log"):
            posted = queue.wait(queue.submit(RESIZE), 60)
            assert posted["stopPod"] is True
            assert posted["output"]["outputs"]
            assert "refresh_worker" not in posted["output"]
        assert "the worker asks to be replaced" in (tmp_path / "log").read_text()


def test_of_several_that_want_to_be_the_last_one_only_the_last_says_so(comfy_url, tmp_path):
    """The platform ends the worker with the reply that asks for it, and any other job in it."""
    with serve_runpod_queue() as queue:
        variables = worker_environment(comfy_url, **queue.environment(), WORN_OUT="it crashed three times", AT_ONCE="4")
        jobs = [queue.submit(RESIZE) for _ in range(4)]
        with running_script(OWN_WORKER, variables, tmp_path / "log"):
            posted = [queue.wait(job, 60) for job in jobs]
            later = queue.wait(queue.submit(RESIZE), 60)
    assert all(each["output"]["outputs"] for each in posted)
    told = [job for job in jobs if queue.result(job).get("stopPod")]
    assert len(told) == 1
    assert max(jobs, key=lambda job: queue.span(job).posted) == told[0]
    assert later["stopPod"] is True  # nobody replaced it


def test_jobs_that_come_together_wait_for_the_warm_up(tmp_path, hanging):
    warm_up, waiting, cancelled = WarmUp(runner_on(hanging, tmp_path), "resize"), Watched(), CancellationToken()
    cancelled.cancel()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(warm_up)
        assert hanging.held.wait(30)
        second = pool.submit(warm_up, waiting)
        assert waiting.looked.wait(30)
        with pytest.raises(Cancelled):
            warm_up(cancelled)
        assert not second.done()
        hanging.let_go.set()
        first.result(30)
        second.result(30)
