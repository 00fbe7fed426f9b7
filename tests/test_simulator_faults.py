"""The script of faults: each does what it says, as often as it says, and a wrong script is refused with words."""

import contextlib
import json
import os
import signal

import pytest
import requests
import websocket
from hypothesis import given
from hypothesis import strategies as st
from support.simulated_home import simulated_home
from support.simulator import ROOT, Listener, plain_graph, run, text_to_image, view

from engine.comfyui import ComfyProcess, new_prompt_id
from engine.simulator import Simulator
from engine.simulator.faults import KINDS, Fault, Faults, FaultScriptError

CHOICES = {"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}


@pytest.fixture
def simulator():
    with Simulator(choices=CHOICES) as simulator:
        yield simulator


def queued(url, graph, **more):
    answer = requests.post(f"{url}/prompt", json={"prompt": graph, **more}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["prompt_id"]


def statuses(url, path, times):
    return [requests.get(url + path, timeout=20).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([{"fault": "kil"}], 'faults[0].fault: no such kind "kil" (did you mean "kill"?)'),
        ([{"fault": ["kill"]}], "no such kind"),
        (["kill"], "faults[0]: must be an object (got a string)"),
        ([{"fault": "hang"}, {"fault": "hang", "code": 500}], "faults[1].code: hang takes after, fault, node"),
        ([{"fault": "hang", "seconds": "1"}], "seconds: must be a number above 0"),
        ([{"fault": "hang", "seconds": float("nan")}], "seconds: must be a number above 0"),
        ([{"fault": "hang", "step": -1}], "step: must be an integer of at least 0"),
        ([{"fault": "hang", "times": 0}], "times: must be an integer of at least 1, or null for always"),
        ([{"fault": "hang", "node": 3}], "node: must be a string"),
        ([{"fault": "status"}], "status needs path"),
        ([{"fault": "delay", "path": "/queue"}], "delay needs path and seconds"),
        ([{"fault": "status", "path": "queue"}], "path: must begin with /"),
        ([{"fault": "freeze", "path": "/queue", "step": 1}], "either at a node or step, or at a path"),
        ([{"fault": "kill"}], "would end the process that this simulator is a part of"),
    ],
)
def test_a_wrong_script_is_refused_with_words(script, words):
    with pytest.raises(FaultScriptError) as caught:
        Faults(script)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_said_and_said_again(kind):
    needs = {"path": "/queue", "seconds": 2.0, "step": 3, "event": "progress", "code": 503, "times": None}
    if "path" in KINDS[kind]:
        del needs["step"]
    said = {"fault": kind, **{key: value for key, value in needs.items() if key in KINDS[kind] | {"times"}}}
    assert Fault.read(said).document() == said


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text())
def test_whatever_a_script_holds_is_read_or_refused(value, key):
    for document in (value, {"fault": value}, {"fault": "hang", key: value}, {"fault": "status", "path": value}):
        with contextlib.suppress(FaultScriptError):
            assert Fault.read(document).kind in KINDS


def test_a_fault_fires_as_often_as_it_says_after_what_it_lets_pass():
    faults = Faults([{"fault": "lose_prompt", "times": 2, "after": 1}])
    assert [faults.take({"lose_prompt"}) is not None for _ in range(4)] == [False, True, True, False]
    assert faults.coming() == []


def test_what_fired_is_crossed_out_in_the_file(tmp_path):
    file = tmp_path / "faults.json"
    file.write_text('[{"fault": "hang", "times": 2}, {"fault": "kill", "step": 3}]')
    faults = Faults(file=file, own_process=True)
    faults.take({"hang"})
    assert json.loads(file.read_text()) == [{"fault": "hang"}, {"fault": "kill", "step": 3}]
    faults.take({"kill"})
    faults.add({"fault": "exit"})
    assert json.loads(file.read_text()) == [{"fault": "hang"}, {"fault": "exit"}]
    faults.add({"fault": "no_start", "after": 2})
    assert Faults(file=file, own_process=True).take({"no_start"}) is None
    assert Faults(file=file, own_process=True).take({"no_start"}) is None
    assert Faults(file=file, own_process=True).take({"no_start"}) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["faults.json"]


@pytest.mark.parametrize("text", ["{", "{}", '[{"fault": "explode"}]'])
def test_a_file_that_is_no_script_ends_the_start(text, tmp_path):
    file = tmp_path / "faults.json"
    file.write_text(text)
    with pytest.raises(FaultScriptError, match=r"faults\.json"):
        Faults(file=file, own_process=True)


def test_faults_come_by_http_too(simulator):
    script = [{"fault": "status", "path": "/queue", "code": 503, "times": 2}]
    answer = requests.post(f"{simulator.url}/simulator/faults", json=script, timeout=20)
    assert answer.json() == script
    assert statuses(simulator.url, "/queue", 3) == [503, 503, 200]
    assert requests.get(f"{simulator.url}/simulator/faults", timeout=20).json() == []

    refused = requests.post(f"{simulator.url}/simulator/faults", json={"fault": "kill"}, timeout=20)
    assert refused.status_code == 400
    assert "python -m engine.simulator" in refused.json()["error"]
    refused = requests.post(f"{simulator.url}/simulator/faults", data="{", timeout=20)
    assert (refused.status_code, refused.json()) == (400, {"error": "the body is not JSON"})


def test_a_path_answers_what_the_script_says(simulator):
    simulator.faults.add({"fault": "status", "path": "/history", "code": 200, "body": {"odd": [None]}, "method": "get"})
    assert requests.get(f"{simulator.url}/api/history/some-id", timeout=20).json() == {"odd": [None]}
    assert requests.get(f"{simulator.url}/history/some-id", timeout=20).json() == {}


def test_a_late_answer_comes(simulator):
    simulator.faults.add({"fault": "delay", "path": "/queue", "seconds": 0.3})
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{simulator.url}/queue", timeout=0.05)
    simulator.faults.add({"fault": "delay", "path": "/queue", "seconds": 0.05})
    assert statuses(simulator.url, "/queue", 1) == [200]


def test_a_dropped_answer_was_acted_upon(simulator):
    simulator.faults.add({"fault": "drop_answer", "path": "/prompt"})
    prompt_id = new_prompt_id()
    with Listener(simulator.url) as listener:
        body = {"prompt": plain_graph(), "prompt_id": prompt_id, "client_id": listener.client_id}
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{simulator.url}/prompt", json=body, timeout=20)
        listener.until("executing", node=None, prompt_id=prompt_id)


def test_a_lost_prompt_is_nowhere(simulator):
    simulator.faults.add({"fault": "lose_prompt"})
    prompt_id = queued(simulator.url, plain_graph())
    assert requests.get(f"{simulator.url}/queue", timeout=20).json() == {"queue_running": [], "queue_pending": []}
    assert requests.get(f"{simulator.url}/history/{prompt_id}", timeout=20).json() == {}
    assert run(simulator.url, plain_graph())["status"]["completed"]


@pytest.mark.parametrize(
    ("fault", "type_name", "node"),
    [
        ({"fault": "out_of_memory", "node": "KSampler", "step": 2}, "torch.OutOfMemoryError", "3"),
        ({"fault": "out_of_memory", "node": "VAEDecode"}, "torch.OutOfMemoryError", "8"),
        ({"fault": "disk_full"}, "OSError", "9"),
        ({"fault": "disk_full", "node": "CheckpointLoaderSimple"}, "OSError", "4"),
    ],
)
def test_a_node_fails_as_it_would_in_comfyui(simulator, fault, type_name, node):
    simulator.faults.add(fault)
    entry = run(simulator.url, text_to_image())
    assert entry["status"]["status_str"] == "error"
    (failure,) = [data for kind, data in entry["status"]["messages"] if kind == "execution_error"]
    assert (failure["exception_type"], failure["node_id"]) == (type_name, node)
    assert run(simulator.url, text_to_image())["status"]["completed"]


def test_a_hanging_node_hears_of_the_interrupt_only_afterwards(simulator):
    simulator.faults.add({"fault": "hang", "node": "KSampler", "step": 1, "seconds": 0.3})
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, text_to_image(), client_id=listener.client_id)
        listener.until("progress", value=1)
        requests.post(f"{simulator.url}/interrupt", json={"prompt_id": prompt_id}, timeout=20)
        assert requests.get(f"{simulator.url}/queue", timeout=20).json()["queue_running"]
        listener.until("executing", node=None, prompt_id=prompt_id)
    entry = requests.get(f"{simulator.url}/history/{prompt_id}", timeout=20).json()[prompt_id]
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]


def test_one_that_hangs_for_ever_can_be_stopped():
    with Simulator(faults=[{"fault": "hang", "node": "EmptyImage"}]) as simulator, Listener(simulator.url) as listener:
        queued(simulator.url, plain_graph(), client_id=listener.client_id)
        listener.until("executing", node="1")


def test_an_ignored_interrupt_changes_nothing(simulator):
    simulator.faults.add(
        {"fault": "ignore_interrupt"}, {"fault": "hang", "node": "KSampler", "step": 1, "seconds": 0.3}
    )
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, text_to_image(), client_id=listener.client_id)
        listener.until("progress", value=1)
        requests.post(f"{simulator.url}/interrupt", json={"prompt_id": prompt_id}, timeout=20)
        listener.until("execution_success")


def test_a_frozen_one_answers_nothing_and_then_goes_on(simulator):
    simulator.faults.add({"fault": "freeze", "path": "/queue", "seconds": 0.5})
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{simulator.url}/queue", timeout=0.1)
    assert statuses(simulator.url, "/system_stats", 1) == [200]


def test_a_dropped_socket_is_gone_after_what_came_before(simulator):
    simulator.faults.add({"fault": "drop_socket", "node": "KSampler", "step": 2})
    with Listener(simulator.url) as listener:
        queued(simulator.url, text_to_image(steps=4), client_id=listener.client_id)
        listener.until("progress", value=2)
        with pytest.raises((websocket.WebSocketException, OSError)):
            listener.until("progress", value=3)


def test_a_silent_socket_still_answers_pings(simulator, wait_until):
    simulator.faults.add({"fault": "silent_socket", "node": "KSampler", "step": 2})
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, text_to_image(steps=4), client_id=listener.client_id)
        listener.until("progress", value=2)
        wait_until(lambda: requests.get(f"{simulator.url}/history/{prompt_id}", timeout=20).json())
        listener.settle()
        assert "execution_success" not in [message["type"] for message in listener.messages()]
    assert run(simulator.url, plain_graph())["status"]["completed"]


def test_late_frames_come_after_the_end(simulator, wait_until):
    simulator.faults.add({"fault": "late_socket", "seconds": 0.5})
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, plain_graph(), client_id=listener.client_id)
        wait_until(lambda: requests.get(f"{simulator.url}/history/{prompt_id}", timeout=20).json())
        types = [frame["type"] for frame in listener.messages()]
        assert "execution_success" not in types
        listener.until("executing", node=None, prompt_id=prompt_id)


def types_of(simulator, graph):
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, graph, client_id=listener.client_id)
        listener.until("executing", node=None, prompt_id=prompt_id)
        listener.settle()
    return [(frame["type"], frame["data"].get("value")) for frame in listener.messages()]


def test_frames_come_twice_or_in_the_wrong_order_or_not_at_all(simulator):
    def steps(fault):
        simulator.faults.add(fault)
        seen = types_of(simulator, text_to_image(steps=3, seed=len(fault) + sum(map(ord, fault["fault"]))))
        return [value for kind, value in seen if kind == "progress"]

    assert steps({"fault": "duplicate", "event": "progress"}) == [1, 1, 2, 3]
    assert steps({"fault": "lose_frame", "event": "progress", "times": 2}) == [3]
    simulator.faults.add({"fault": "reorder", "event": "execution_start"})
    order = [kind for kind, _ in types_of(simulator, plain_graph())]
    assert order.index("execution_start") == order.index("execution_cached") + 1


def test_frames_are_cut(simulator):
    simulator.faults.add({"fault": "truncate", "event": "execution_success"})
    with Listener(simulator.url) as listener:
        queued(simulator.url, plain_graph(), client_id=listener.client_id)
        with pytest.raises(json.JSONDecodeError):
            listener.until("executing", node=None)


def test_frames_that_nobody_knows_come_in_between(simulator):
    simulator.faults.add({"fault": "unknown", "event": "execution_success"})
    address = simulator.url.replace("http", "ws", 1) + "/ws?clientId=mine"
    frames = []
    with contextlib.closing(websocket.create_connection(address, timeout=20)) as socket:
        queued(simulator.url, plain_graph(), client_id="mine")
        while not (frames and isinstance(frames[-1], str) and "execution_success" in frames[-1]):
            frames.append(socket.recv())
    assert sum(isinstance(frame, bytes) for frame in frames) > 5
    assert "no JSON at all" in frames


def test_an_end_that_is_none_comes_before_the_end(simulator):
    simulator.faults.add({"fault": "false_end", "node": "KSampler", "step": 1})
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, text_to_image(), client_id=listener.client_id)
        listener.until("executing", node=None, prompt_id=prompt_id)
        listener.until("progress", value=2)
        listener.until("executing", node=None, prompt_id=prompt_id)


def test_a_flood_comes_whole(simulator):
    simulator.faults.add({"fault": "flood", "node": "EmptyImage", "frames": 500})
    assert sum(kind == "progress" for kind, _ in types_of(simulator, plain_graph())) == 500


def test_history_may_lag_behind_the_end(simulator):
    simulator.faults.add({"fault": "lag_history", "seconds": 0.5})
    with Listener(simulator.url) as listener:
        prompt_id = queued(simulator.url, plain_graph(), client_id=listener.client_id)
        listener.until("executing", node=None, prompt_id=prompt_id)
        assert requests.get(f"{simulator.url}/history/{prompt_id}", timeout=20).json() == {}
        assert requests.get(f"{simulator.url}/queue", timeout=20).json()["queue_running"]


def test_a_cached_prompt_may_name_a_file_that_is_gone(simulator):
    simulator.faults.add({"fault": "cached_but_gone"})
    first = run(simulator.url, plain_graph())["outputs"]["4"]["images"]
    assert view(simulator.url, first[0]).status_code == 200
    again = run(simulator.url, plain_graph())["outputs"]["4"]["images"]
    assert again == first
    assert view(simulator.url, again[0]).status_code == 404


@pytest.fixture
def process(tmp_path):
    """A function: a process of a simulator with a script, started."""

    def start(*faults, **more):
        home = simulated_home(tmp_path / "home", faults, **more)
        processes.append(ComfyProcess(home, log_file=tmp_path / "log", start_timeout=60, stop_timeout=1))
        processes[-1].start()
        return processes[-1]

    processes = []
    yield start
    for each in processes:
        each.stop()


def test_a_home_of_the_simulator_is_started_as_comfyui_is(process, tmp_path):
    entry = run(process().url, text_to_image(checkpoint="v1-5-pruned-emaonly-fp16.safetensors"))
    assert entry["status"]["completed"]
    (made,) = entry["outputs"]["9"]["images"]
    assert (tmp_path / "home" / "output" / made["filename"]).is_file()


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"fault": "kill", "node": "EmptyImage"}, "execution_start"),
        ({"fault": "exit", "node": "ImageScale"}, "executing"),
    ],
)
def test_a_process_ends_and_when_started_again_does_not(process, fault, seen, wait_until, tmp_path):
    comfy = process(fault)
    with Listener(comfy.url) as listener:
        queued(comfy.url, plain_graph(), client_id=listener.client_id)
        listener.until(seen)  # what was said before the end is heard
        wait_until(lambda: not comfy.alive)
    assert json.loads((tmp_path / "home" / "faults.json").read_text()) == []
    comfy.start()
    assert run(comfy.url, plain_graph())["status"]["completed"]


def test_a_process_freezes_until_the_system_wakes_it(process):
    comfy = process({"fault": "freeze", "path": "/queue"})
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{comfy.url}/queue", timeout=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{comfy.url}/system_stats", timeout=0.3)
    os.kill(comfy.pid, signal.SIGCONT)
    assert statuses(comfy.url, "/system_stats", 1) == [200]


def test_one_that_does_not_start_does_at_the_third_attempt(process, tmp_path):
    from engine.errors import ComfyUnavailable

    with pytest.raises(ComfyUnavailable, match="ended at once with status 1"):
        process({"fault": "no_start", "times": 2}, {"fault": "slow_start", "seconds": 0.2})
    again = ComfyProcess(tmp_path / "home", log_file=tmp_path / "log", start_timeout=60)
    with pytest.raises(ComfyUnavailable):
        again.start()
    with again:
        assert statuses(again.url, "/system_stats", 1) == [200]


def test_every_kind_and_key_is_documented():
    documented = (ROOT / "docs" / "simulator.md").read_text().partition("## Faults")[2]
    keys = {key for each in KINDS.values() for key in each} | {"times", "after"}
    assert [word for word in (*KINDS, *keys) if f"`{word}`" not in documented] == []
