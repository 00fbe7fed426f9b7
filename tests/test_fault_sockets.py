"""Whatever becomes of the websocket, and whatever comes over it, a job ends rightly, and so does the next."""

import io
import json
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.graphs import picture, text_to_image
from support.proxy import CuttableProxy
from support.s3 import free_port

from engine.cancellation import CancellationToken
from engine.comfyui import Bounds, ComfyUI, new_prompt_id
from engine.comfyui.events import FRAME, RECONNECTED, Event, EventStream, Subscription
from engine.comfyui.messages import read_picture, read_text
from engine.errors import ComfyUnavailable
from engine.simulator import Simulator

CHECKPOINT = "random_sd15.safetensors"
CHOICES = {"CheckpointLoaderSimple.ckpt_name": [CHECKPOINT]}
STEPS = 12
LONG = 30.0
SOME_STEP = {"node": "KSampler", "step": 4}
ODD_BODIES = [[], None, "down", 5, {"": {}}]


@pytest.fixture
def simulator():
    with Simulator(choices=CHOICES, step_seconds=0.02) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def right_pixels():
    """What the graph of a seed makes where nothing goes wrong."""
    with Simulator(choices=CHOICES) as simulator, ComfyUI(simulator.url) as comfy:
        return {seed: made(comfy, simulator, seed)[0] for seed in (1, 2)}


def made(comfy, simulator, seed, prompt_id=None):
    """The pixels of the picture of a seed, and the steps that were told."""
    steps = []
    execution = comfy.execute(
        text_to_image(CHECKPOINT, seed=seed, steps=STEPS),
        prompt_id=prompt_id or new_prompt_id(),
        cancel=CancellationToken(),
        timeout_seconds=LONG,
        queue_timeout_seconds=LONG,
        on_progress=lambda progress: steps.append(progress.step),
    )
    (image,) = execution.outputs["9"]["images"]
    with Image.open(simulator.folders.output / image["subfolder"] / image["filename"]) as opened:
        return opened.tobytes(), steps


SCRIPTS = {
    "dropped": [{"fault": "drop_socket", **SOME_STEP}],
    "dropped again and again": [{"fault": "drop_socket", "step": step} for step in range(2, 9)],
    "dropped as the prompt begins": [{"fault": "drop_socket"}],
    "silent": [{"fault": "silent_socket", **SOME_STEP}],
    "silent from the beginning": [{"fault": "silent_socket"}],
    "late": [{"fault": "late_socket", "seconds": 1.5}],
    "the wrong order": [{"fault": "reorder", "times": 40}],
    "the end before the last step": [{"fault": "reorder", "event": kind} for kind in ("execution_success", "progress")],
    "everything twice": [{"fault": "duplicate", "times": None}],
    "everything cut": [{"fault": "truncate", "times": None}],
    "some cut": [{"fault": "truncate", "times": 1, "after": after} for after in range(0, 20, 3)],
    "unknown frames": [{"fault": "unknown", "times": 25}],
    "no start": [{"fault": "lose_frame", "event": "execution_start"}],
    "no end marker": [{"fault": "lose_frame", "event": "end"}],
    "no end at all": [{"fault": "lose_frame", "event": kind} for kind in ("end", "execution_success")],
    "nothing but the end": [{"fault": "lose_frame", "times": 60}],
    "an end that is none": [{"fault": "false_end", **SOME_STEP}],
    "ends that are none": [{"fault": "false_end", "step": step} for step in range(1, 10)],
    "a flood": [{"fault": "flood", **SOME_STEP, "frames": 5000}],
    "history after the end": [{"fault": "lag_history", "seconds": 0.7}],
    "history fails": [{"fault": "status", "path": "/history", "method": "GET", "code": 500, "times": 4}],
    "history is refused": [{"fault": "status", "path": "/history", "method": "GET", "code": 403, "times": 3}],
    "history is late": [{"fault": "delay", "path": "/history", "method": "GET", "seconds": 0.8, "times": 2}],
    "history hangs up": [{"fault": "drop_answer", "path": "/history", "method": "GET", "times": 3}],
    "history is odd": [
        {"fault": "status", "path": "/history", "method": "GET", "code": 200, "body": body}
        for body in ODD_BODIES
        if body
    ],
    "the queue fails": [{"fault": "status", "path": "/queue", "times": 5}, {"fault": "lose_frame", "times": 60}],
    "the queue is odd": [
        {"fault": "lose_frame", "times": 60},
        *({"fault": "status", "path": "/queue", "code": 200, "body": body} for body in ODD_BODIES if body),
        {"fault": "status", "path": "/queue", "code": 200, "body": {"queue_running": [[]], "queue_pending": [5]}},
    ],
    "both fail and the socket is gone": [
        {"fault": "drop_socket", **SOME_STEP},
        {"fault": "status", "path": "/history", "method": "GET", "times": 3},
        {"fault": "status", "path": "/queue", "times": 3},
    ],
    "the answer to the queueing is lost": [{"fault": "drop_answer", "path": "/prompt"}],
    "a freeze": [{"fault": "freeze", **SOME_STEP, "seconds": 0.7}],
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_job_ends_rightly_and_the_next_one_is_heard_again(script, simulator, right_pixels):
    with ComfyUI(simulator.url) as comfy:
        comfy.events.start()
        simulator.faults.add(*script)
        assert made(comfy, simulator, 1)[0] == right_pixels[1]

        simulator.faults.clear()
        pixels, steps = made(comfy, simulator, 2)
        assert pixels == right_pixels[2]
        assert STEPS in steps
        assert not any(comfy.client.queue())


@pytest.mark.parametrize("entry", [5, "done", [], {}, {"status": 5}, {"status": {"messages": 7}}, {"outputs": []}])
def test_an_odd_entry_of_the_history_is_no_end(entry, simulator, right_pixels):
    prompt_id = new_prompt_id()
    body = {prompt_id: entry}
    simulator.faults.add(
        {"fault": "status", "path": "/history", "method": "GET", "code": 200, "body": body, "times": 2}
    )
    with ComfyUI(simulator.url) as comfy:
        assert made(comfy, simulator, 1, prompt_id)[0] == right_pixels[1]
        assert made(comfy, simulator, 2)[0] == right_pixels[2]


def test_a_prompt_that_comfyui_loses_is_said_and_the_next_one_runs(simulator, right_pixels):
    simulator.faults.add({"fault": "lose_prompt"})
    with ComfyUI(simulator.url) as comfy:
        with pytest.raises(ComfyUnavailable, match="lost the job"):
            made(comfy, simulator, 1)
        assert made(comfy, simulator, 1)[0] == right_pixels[1]


@pytest.mark.parametrize("count", [0, 1, 3, 130, 400, 1000, 3001])
@pytest.mark.parametrize("swallow", [False, True], ids=["cut", "half-open"])
def test_a_socket_that_ends_within_a_frame(count, swallow, simulator, right_pixels):
    with CuttableProxy(simulator.url) as proxy, ComfyUI(proxy.url) as comfy:
        comfy.events.start()
        proxy.end_websockets_after(count, swallow=swallow)
        assert made(comfy, simulator, 1)[0] == right_pixels[1]
        assert made(comfy, simulator, 2)[0] == right_pixels[2]


def test_a_job_of_which_a_socket_that_stands_tells_nothing_is_not_taken_for_stalled(simulator, right_pixels):
    simulator.faults.add(
        {"fault": "lose_frame", "times": None}, {"fault": "hang", "node": "KSampler", "step": 2, "seconds": 6}
    )
    with ComfyUI(simulator.url, bounds=Bounds(stall=0.5)) as comfy:
        comfy.events.start()
        assert made(comfy, simulator, 1)[0] == right_pixels[1]


def test_a_slow_way_changes_nothing(simulator, right_pixels):
    with CuttableProxy(simulator.url) as proxy, ComfyUI(proxy.url) as comfy:
        proxy.delay_websockets(0.2)
        assert made(comfy, simulator, 1)[0] == right_pixels[1]


def test_a_half_open_socket_is_given_up_for_a_new_one(simulator):
    with CuttableProxy(simulator.url) as proxy:
        stream = EventStream(proxy.url, ping_after=0.2)
        stream.start()
        try:
            before = stream.client_id
            with stream.subscribe("a job that waits") as waiting:
                proxy.swallow_websockets()
                assert until(waiting, RECONNECTED)
            assert stream.client_id not in {None, before}
        finally:
            stream.close()


def test_a_silent_socket_that_answers_pings_is_kept(simulator):
    stream = EventStream(simulator.url, ping_after=0.2)
    stream.start()
    try:
        before = stream.client_id
        with stream.subscribe("a job that waits") as waiting:
            assert waiting.next(2.0) is None  # unanswered it would be given up after one second
            assert stream.client_id == before
    finally:
        stream.close()


def until(subscription, kind):
    event = subscription.next(LONG)
    while event is not None and event.type != kind:
        event = subscription.next(LONG)
    return event


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 101\r\n\r\n",
        b"HTTP/1.1 one-oh-one Switching\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"",
    ],
)
def test_the_listener_outlives_what_is_no_websocket(answer):
    """A server that speaks something else, and then takes the next connection."""
    came = threading.Semaphore(0)

    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
            came.release()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        stream = EventStream(f"http://127.0.0.1:{listener.getsockname()[1]}")
        stream.start()
        assert all(came.acquire(timeout=LONG) for _ in range(3))
        assert stream.client_id is None
        stream.close()
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


ODD = [None, True, -1, 0, 3, 1e308, 1 << 70, float("nan"), float("inf"), "", "p", "3", [], ["p"], [["p"]], [None, {}]]
ODD += [
    {},
    {"p": None},
    {"p": []},
    {"p": {}},
    {"p": {"value": float("nan")}},
    {"p": {"max": "many"}},
    {"p": {"max": -5}},
]
values = st.sampled_from(ODD)
KEYS = ["prompt_id", "node", "display_node", "nodes", "value", "max", "output"]
TYPES = ["executing", "progress", "progress_state", "execution_cached", "execution_start", "executed", "status"]


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), values))
def test_what_a_text_frame_says_can_be_relied_on(kind, data):
    event = read_text(json.dumps({"type": kind, "data": {"prompt_id": "p", **data}}).encode())
    if event is None:
        return
    assert event.type in TYPES
    assert isinstance(event.data["prompt_id"], str)
    match event.type:
        case "execution_cached":
            assert all(isinstance(node, str) for node in event.data["nodes"])
        case "progress_state":
            assert all(isinstance(state, dict) for state in event.data["nodes"].values())
        case "progress":
            assert 0 <= float(event.data.get("value", 0)) < float("inf")


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_frame_is_read_or_left(data):
    head = struct.pack(">II", 4, len(data)) + data + b"picture"
    for event in (read_text(data), read_picture(data), read_picture(head)):
        assert event is None or isinstance(event.data["prompt_id"], str)


def test_frames_too_deep_or_too_large_for_python_are_left():
    deep, large = b"[" * 100_000, b"9" * 10_000
    for data in (deep, large, b'{"type": "progress", "data": {"prompt_id": "p", "value": 1e999, "max": NaN}}'):
        assert read_text(data) is None
        assert read_picture(struct.pack(">II", 4, len(data)) + data + b"picture") is None


def test_a_picture_without_its_end_is_left():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    metadata = json.dumps({"prompt_id": "p", "node_id": "9", "image_type": "image/png"}).encode()
    frame = struct.pack(">II", 4, len(metadata)) + metadata + buffer.getvalue()
    assert read_picture(frame).data["picture"] == buffer.getvalue()
    assert read_picture(frame[:-1]) is None


def progress(value, node="3"):
    return Event("progress", {"node": node, "value": value, "max": 9})


def waiting_in(subscription):
    return [(event.type, event.data.get("value")) for event in iter(lambda: subscription.next(0), None)]


def test_of_what_says_how_far_it_is_the_latest_is_kept_in_order():
    subscription = Subscription()
    for event in [
        *(progress(1), Event("progress_state", {"value": 1}), progress(2), progress(1, "4")),
        *(Event("executing", {"node": "5"}), progress(3), Event("progress_state", {"value": 2}), progress(4)),
    ]:
        subscription.put(event)
    assert waiting_in(subscription) == [
        *(("progress_state", 1), ("progress", 2), ("progress", 1)),
        *(("executing", None), ("progress_state", 2), ("progress", 4)),
    ]


def test_a_flood_is_bounded_and_ends_in_asking():
    subscription = Subscription()
    subscription.put(Event("execution_start"))
    for number in range(20_000):
        subscription.put(Event("executed", {"node": str(number)}))
        assert len(subscription) <= 2000
    kinds = {kind for kind, _ in waiting_in(subscription)}
    assert kinds == {"execution_start", RECONNECTED, "executed"}


def test_pictures_that_nobody_takes_are_bounded_in_bytes():
    subscription = Subscription()
    held = b"\x00" * (64 * 1024 * 1024)
    for _ in range(5):
        subscription.put(Event(FRAME, {"node": "3", "picture": held}))
    assert waiting_in(subscription) == [(RECONNECTED, None)]
    subscription.put(Event(FRAME, {"node": "3", "picture": held}))
    assert waiting_in(subscription) == [(FRAME, None)]


def test_after_a_restart_the_next_job_is_heard_at_once():
    port = free_port()
    stream = EventStream(f"http://127.0.0.1:{port}")
    stream.start()
    assert stream.client_id is None
    try:
        with Simulator(port=port):
            stream.start()
            assert stream.client_id is not None
    finally:
        stream.close()


def test_a_job_whose_end_goes_unheard_ends_the_connection(simulator):
    with ComfyUI(simulator.url) as comfy:
        comfy.events.start()
        simulator.faults.add({"fault": "lose_frame", "times": None})
        before = comfy.events.client_id
        comfy.execute(
            picture(),
            prompt_id=new_prompt_id(),
            cancel=CancellationToken(),
            timeout_seconds=LONG,
            queue_timeout_seconds=LONG,
        )
        comfy.events.start()
        assert comfy.events.client_id not in {None, before}
