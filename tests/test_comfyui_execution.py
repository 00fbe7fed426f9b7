"""Running graphs: whatever happens to the socket, the queue or ComfyUI, a job ends, and rightly."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from support.graphs import fresh_number, picture, text_to_image

from engine.cancellation import CancellationToken
from engine.comfyui import Bounds, ComfyUI, new_prompt_id
from engine.errors import (
    Cancelled,
    ComfyUnavailable,
    ExecutionFailed,
    ExecutionTimeout,
    GraphRejected,
)

ENDLESS = 10_000  # steps: more than any test waits for
SAVED = [("image", "4", None)]


class Watcher:
    """Takes progress, and does something at the first step of a node."""

    def __init__(self, then=None):
        self.seen = []
        self.at_step = threading.Event()
        self._then = then

    def __call__(self, progress):
        self.seen.append(progress)
        if progress.step >= 1 and not self.at_step.is_set():
            self.at_step.set()
            if self._then:
                self._then()


@pytest.fixture
def endless(comfy_url, checkpoint):
    """A job that runs until the test is over, to hold up ComfyUI's queue."""
    cancel, watcher = CancellationToken(), Watcher()
    with ComfyUI(comfy_url) as comfy, ThreadPoolExecutor(1) as pool:
        job = pool.submit(
            comfy.execute,
            text_to_image(checkpoint, steps=ENDLESS),
            prompt_id=new_prompt_id(),
            cancel=cancel,
            timeout_seconds=600,
            queue_timeout_seconds=600,
            on_progress=watcher,
        )
        assert watcher.at_step.wait(60)
        yield
        cancel.cancel()
        assert isinstance(job.exception(), Cancelled)


def pixel(path):
    with Image.open(path) as image:
        return image.size, image.convert("RGB").getpixel((0, 0))


def idle(comfy):
    return comfy.client.queue() == (frozenset(), frozenset())


def test_a_graph_gives_its_picture(comfy, run, tmp_path):
    execution = run(picture(color=0x102030, size=64))

    [(output, path)] = comfy.collect(execution, SAVED, tmp_path)
    assert (output.name, output.kind, output.node_id, output.type) == ("image", "image", "4", "output")
    size, color = pixel(path)
    assert size == (32, 32)
    assert color == pytest.approx((0xEF, 0xDF, 0xCF), abs=1)
    assert execution.warnings == ()
    assert execution.queue_seconds >= 0
    assert execution.execute_seconds >= 0


def test_jobs_at_once_each_get_their_own(comfy, run, tmp_path):
    reds = [20 * number for number in range(12)]

    def job(red):
        folder = tmp_path / str(red)
        folder.mkdir()
        graph = picture(color=red << 16 | fresh_number() & 0xFFFF)
        [(_, path)] = comfy.collect(run(graph), SAVED, folder)
        return pixel(path)[1][0]

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(job, reds))

    # ComfyUI computes with fractions and cuts off, so a channel may be one less.
    assert made == [pytest.approx(0xFF - red, abs=1) for red in reds]


def test_the_same_graph_twice_at_once_gives_the_same_picture(comfy, run, tmp_path):
    graph = picture(color=fresh_number())
    with ThreadPoolExecutor(2) as pool:
        executions = list(pool.map(run, [graph, graph]))

    [first, second] = [comfy.collect(execution, SAVED, tmp_path)[0][1].read_bytes() for execution in executions]
    assert first == second


def test_a_fully_cached_run_still_gives_its_file(comfy, run, tmp_path):
    graph = picture()
    fresh = comfy.collect(run(graph), SAVED, tmp_path)[0][1].read_bytes()
    watcher = Watcher()

    again = run(graph, on_progress=watcher)

    assert comfy.collect(again, SAVED, tmp_path)[0][1].read_bytes() == fresh
    assert watcher.seen[-1].fraction == 1.0


def test_a_name_in_any_script_comes_back(comfy, run, tmp_path):
    [(output, path)] = comfy.collect(run(picture(prefix="ordner/Bild ü 灯台")), SAVED, tmp_path)

    assert output.subfolder == "ordner"
    assert output.filename.startswith("Bild ü 灯台")
    assert pixel(path)[0] == (32, 32)


def test_progress_grows_names_the_nodes_and_ends_at_one(run, checkpoint):
    watcher = Watcher()
    run(text_to_image(checkpoint, steps=4), on_progress=watcher)

    fractions = [progress.fraction for progress in watcher.seen]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 1
    assert fractions[-1] == 1.0
    assert {(progress.node_id, progress.node_class) for progress in watcher.seen} >= {("3", "KSampler"), (None, None)}
    assert {(progress.step, progress.steps) for progress in watcher.seen if progress.node_id == "3"} >= {(2, 4), (4, 4)}


def test_cancelling_a_running_job_frees_comfyui(comfy, run, checkpoint):
    cancel = CancellationToken()

    with pytest.raises(Cancelled):
        run(text_to_image(checkpoint, steps=ENDLESS), cancel=cancel, on_progress=Watcher(cancel.cancel))

    assert idle(comfy)


def test_cancelling_right_after_queueing_frees_comfyui(comfy, run, checkpoint):
    for _ in range(5):
        cancel = CancellationToken()
        with pytest.raises(Cancelled):
            run(
                text_to_image(checkpoint, steps=ENDLESS),
                cancel=cancel,
                on_progress=lambda _, cancel=cancel: cancel.cancel(),
            )
        assert idle(comfy)


@pytest.mark.usefixtures("endless")
def test_cancelling_a_waiting_job_takes_it_out_of_the_queue(comfy, run, wait_until):
    cancel, prompt_id = CancellationToken(), new_prompt_id()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, picture(), prompt_id=prompt_id, cancel=cancel)
        wait_until(lambda: prompt_id in comfy.client.queue()[1])
        cancel.cancel()
        assert isinstance(job.exception(), Cancelled)

    running, pending = comfy.client.queue()
    assert prompt_id not in running | pending
    assert len(running) == 1


def test_a_job_cancelled_before_it_began_is_not_queued(comfy, run):
    cancel, prompt_id = CancellationToken(), new_prompt_id()
    cancel.cancel()

    with pytest.raises(Cancelled):
        run(picture(), prompt_id=prompt_id, cancel=cancel)

    assert comfy.client.history(prompt_id) is None


def test_an_interrupt_by_someone_else_is_a_cancellation(comfy, run, checkpoint):
    prompt_id = new_prompt_id()
    watcher = Watcher(lambda: comfy.client.interrupt(prompt_id))

    with pytest.raises(Cancelled, match="interrupted in ComfyUI"):
        run(text_to_image(checkpoint, steps=ENDLESS), prompt_id=prompt_id, on_progress=watcher)


def test_what_the_progress_callback_raises_stops_the_job(comfy, run, checkpoint):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(text_to_image(checkpoint, steps=ENDLESS), on_progress=Watcher(fail))

    assert idle(comfy)


def test_the_deadline_stops_the_job_and_says_where_it_was(comfy, run, checkpoint):
    run(text_to_image(checkpoint, steps=1))  # so that the model is loaded, and the time passes in the sampler
    seconds = round(1 + 4 * run(text_to_image(checkpoint, steps=2)).execute_seconds, 1)  # some steps, on any machine

    said = rf"within {seconds:g} s \(KSampler \(3\), step \d+ of 10000\)"
    with pytest.raises(ExecutionTimeout, match=said) as caught:
        run(text_to_image(checkpoint, steps=ENDLESS), timeout_seconds=seconds)

    assert caught.value.retryable
    assert idle(comfy)


@pytest.mark.usefixtures("endless")
def test_the_wait_in_the_queue_has_its_own_bound(comfy, run):
    prompt_id = new_prompt_id()
    with pytest.raises(ExecutionTimeout, match=r"waited 0\.5 s in ComfyUI's queue"):
        run(picture(), prompt_id=prompt_id, queue_timeout_seconds=0.5)

    assert prompt_id not in comfy.client.queue()[1]


def test_a_cut_socket_does_not_lose_the_result(proxy, run, checkpoint):
    with ComfyUI(proxy.url) as comfy:
        watcher = Watcher(proxy.cut_websockets)
        execution = run(text_to_image(checkpoint, steps=12), comfy=comfy, on_progress=watcher)

    assert "9" in execution.outputs
    assert watcher.seen[-1].fraction == 1.0


def test_without_any_socket_the_history_is_enough(proxy, run):
    proxy.cut_websockets(for_good=True)
    with ComfyUI(proxy.url) as comfy:
        execution = run(picture(), comfy=comfy)
        assert comfy.events.client_id is None

    assert "4" in execution.outputs


def test_without_any_socket_the_deadline_holds(proxy, comfy, run, checkpoint):
    proxy.cut_websockets(for_good=True)
    with ComfyUI(proxy.url) as deaf, pytest.raises(ExecutionTimeout, match="within 1 s"):
        run(text_to_image(checkpoint, steps=ENDLESS), comfy=deaf, timeout_seconds=1)

    assert idle(comfy)


def test_a_lost_answer_to_the_queueing_does_not_lose_the_job(proxy, run):
    proxy.lose_answer_to(b"POST /prompt")
    with ComfyUI(proxy.url) as comfy:
        execution = run(picture(), comfy=comfy)

    assert "4" in execution.outputs


def test_comfyui_gone_in_the_middle_is_said(proxy, run, checkpoint, comfy):
    prompt_id = new_prompt_id()
    with ComfyUI(proxy.url, bounds=Bounds(patience=0.5)) as cut_off:
        watcher = Watcher(proxy.close)
        with pytest.raises(ComfyUnavailable, match=r"stopped answering while running KSampler \(3\)") as caught:
            run(text_to_image(checkpoint, steps=ENDLESS), comfy=cut_off, on_progress=watcher, prompt_id=prompt_id)

    assert caught.value.retryable
    comfy.client.interrupt(prompt_id)


@pytest.mark.usefixtures("endless")
def test_a_job_that_comfyui_forgot_is_reported_as_lost(comfy, run, wait_until):
    prompt_id = new_prompt_id()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run, picture(), prompt_id=prompt_id)
        wait_until(lambda: prompt_id in comfy.client.queue()[1])
        comfy.client.delete_pending(prompt_id)
        error = job.exception()

    assert isinstance(error, ComfyUnavailable)
    assert "lost the job" in error.message


def test_nothing_there_is_said_at_once(unused_port, run):
    with (
        ComfyUI(f"http://127.0.0.1:{unused_port}") as comfy,
        pytest.raises(ComfyUnavailable, match=f"no ComfyUI answers at http://127.0.0.1:{unused_port}"),
    ):
        run(picture(), comfy=comfy)


def test_a_refused_graph_carries_its_complaints(run):
    graph = picture()
    graph["1"]["inputs"]["width"] = 0

    with pytest.raises(GraphRejected) as caught:
        run(graph)

    assert [complaint.where for complaint in caught.value.complaints] == ["EmptyImage (1).width"]


def test_a_failing_node_is_named_without_paths(comfy, run, tmp_path):
    text = tmp_path / "hello.txt"
    text.write_text("hello")
    value = comfy.client.upload(text, filename=f"{new_prompt_id()}.txt")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": value}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "never"}},
    }

    with pytest.raises(ExecutionFailed) as caught:
        run(graph)

    assert caught.value.message.startswith("LoadImage (1) failed: cannot identify image file")
    assert "/" not in caught.value.message
    assert "Traceback" not in caught.value.message


def test_an_output_that_was_left_out_is_a_warning(run, comfy, tmp_path):
    graph = picture() | {
        "20": {"class_type": "SaveImage", "inputs": {"images": ["21", 0], "filename_prefix": "bad"}},
        "21": {"class_type": "LoadImage", "inputs": {"image": "nope.png"}},
    }

    execution = run(graph)

    assert list(execution.outputs) == ["4"]
    [warning] = execution.warnings
    assert warning == 'LoadImage (21).image: "nope.png" is not on this worker (ComfyUI left out SaveImage (20))'
