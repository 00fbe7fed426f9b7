"""Websocket, history, queue, files: the simulator says what a real ComfyUI 0.3.64 said, in its order."""

import json
import struct
from io import BytesIO
from typing import Any

import pytest
import requests
from PIL import Image
from support.simulator import (
    COMFYUI_FACTS,
    Listener,
    capture,
    needs_captures,
    plain_graph,
    run,
    text_to_image,
    view,
)

from engine.nodes import NodeCatalogue
from engine.simulator import Simulator

CHOICES = {"CheckpointLoaderSimple.ckpt_name": ["random_sd15.safetensors", "sd15.safetensors"]}


@pytest.fixture
def comfy():
    """As the captured one: 0.3.64 where its catalogue is there."""
    path = COMFYUI_FACTS / "object_info-0.3.64.json"
    catalogue = NodeCatalogue.load(path) if path.exists() else None
    with Simulator(catalogue, choices=CHOICES) as comfy:
        yield comfy


@pytest.fixture
def slow_comfy():
    with Simulator(choices=CHOICES, step_seconds=0.02) as comfy:
        yield comfy


def queue(url: str, graph: dict[str, Any], client_id: str | None = None, **more: Any) -> str:
    body = {"prompt": graph, **({"client_id": client_id} if client_id else {}), **more}
    answer = requests.post(f"{url}/prompt", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["prompt_id"]


VOLATILE = {"prompt_id": "…", "timestamp": 0, "sid": "…", "traceback": ["…"]}


def steady(value: Any, key: str = "") -> Any:
    """Ids, times, paths and counters out; types stay: 1 is not 1.0."""
    if key in VOLATILE:
        assert type(value) is type(VOLATILE[key])
        return VOLATILE[key]
    if key == "current_outputs":
        return sorted(value)
    if key == "exception_message":
        return value.split("'")[0]
    if isinstance(value, dict):
        return [[name, steady(item, name)] for name, item in value.items()]
    if isinstance(value, list):
        return [steady(item) for item in value]
    return f"{type(value).__name__}:{value}"


def steady_frames(frames: list[Any]) -> list[Any]:
    """Frames in comparable form; of a binary one, its first eight bytes: the event and the format."""
    return [["binary", frame[:8].hex()] if isinstance(frame, bytes) else steady(frame) for frame in frames]


def captured_frames(name: str) -> list[Any]:
    return [
        steady(frame["msg"]) if "msg" in frame else ["binary", frame["binary"]["head_hex"][:16]]
        for frame in capture(name)["frames"]
    ]


def listen(url: str, graph: dict[str, Any]) -> list[Any]:
    with Listener(url) as listener:
        prompt_id = queue(url, graph, listener.client_id)
        listener.until("executing", node=None, prompt_id=prompt_id)
        return listener.frames


@needs_captures
def test_a_first_run_sends_the_captured_frames(comfy):
    assert steady_frames(listen(comfy.url, plain_graph())) == captured_frames("ws_plain_first_run")


@needs_captures
def test_a_cached_run_sends_the_captured_frames(comfy):
    listen(comfy.url, plain_graph())
    frames = steady_frames(listen(comfy.url, plain_graph()))
    assert frames[1:] == captured_frames("ws_plain_fully_cached")


@needs_captures
def test_sampling_sends_the_captured_frames_with_steps_and_previews(comfy):
    graph = text_to_image(checkpoint="random_sd15.safetensors")
    assert steady_frames(listen(comfy.url, graph)) == captured_frames("ws_txt2img_first")


@needs_captures
def test_pictures_by_websocket_send_the_captured_frames(comfy):
    case = capture("ws_SaveImageWebsocket")
    if "SaveImageWebsocket" not in requests.get(f"{comfy.url}/object_info", timeout=20).json():
        pytest.skip("the catalogue has no SaveImageWebsocket")
    frames = listen(comfy.url, case["history"]["prompt"][2])
    assert steady_frames(frames) == captured_frames("ws_SaveImageWebsocket")
    (first, second) = (frame for frame in frames if isinstance(frame, bytes))
    assert Image.open(BytesIO(first[8:])).size == Image.open(BytesIO(second[8:])).size == (64, 64)


@needs_captures
def test_a_node_that_raises_sends_the_captured_frames_and_history(comfy):
    case = capture("ws_execution_error")
    files = {"image": ("hello.txt", b"hello")}
    assert requests.post(f"{comfy.url}/upload/image", files=files, timeout=20).status_code == 200
    graph = case["prompt"]["request"]["json"]["prompt"]
    assert steady_frames(listen(comfy.url, graph)) == captured_frames("ws_execution_error")
    (entry,) = requests.get(f"{comfy.url}/history", timeout=20).json().values()
    expected = capture("history_execution_error")
    assert steady({key: entry[key] for key in ("outputs", "status", "meta")}) == steady(
        {key: expected[key] for key in ("outputs", "status", "meta")}
    )
    assert list(entry) == list(expected)
    assert entry["status"]["messages"][-1][1]["exception_message"].endswith("hello.txt'\n")


@needs_captures
@pytest.mark.parametrize("name", ["history_one", "history_one_fully_cached"])
def test_history_has_the_captured_entry(comfy, name):
    ((_, expected),) = capture(name)["body"].items()
    entry = run(comfy.url, plain_graph())
    if name.endswith("cached"):
        entry = run(comfy.url, plain_graph())
    for each in (entry, expected):
        each["prompt"][0] = 0
        each["prompt"][1] = each["prompt"][3]["client_id"] = "…"
    assert steady(entry) == steady(expected)


@needs_captures
def test_an_interrupt_acts_between_steps_and_history_tells_it(slow_comfy):
    graph = text_to_image(seed=101, steps=3000)
    with Listener(slow_comfy.url) as listener:
        prompt_id = queue(slow_comfy.url, graph, listener.client_id)
        listener.until("progress", value=3)
        wrong = requests.post(f"{slow_comfy.url}/interrupt", json={"prompt_id": "other"}, timeout=20)
        listener.until("progress", value=6)
        right = requests.post(f"{slow_comfy.url}/interrupt", json={"prompt_id": prompt_id}, timeout=20)
        assert (wrong.status_code, right.status_code) == (200, 200)
        listener.until("executing", node=None)
    kinds = [message["type"] for message in listener.messages()]
    captured = [frame["msg"]["type"] for frame in capture("ws_interrupt")["frames"] if "msg" in frame]
    assert kinds[-3:] == captured[-3:] == ["execution_interrupted", "status", "executing"]
    entry = requests.get(f"{slow_comfy.url}/history/{prompt_id}", timeout=20).json()[prompt_id]
    expected = capture("history_interrupted")
    assert entry["status"]["status_str"] == expected["status"]["status_str"] == "error"
    name, data = entry["status"]["messages"][-1]
    assert [name, list(data)] == [
        expected["status"]["messages"][-1][0],
        list(expected["status"]["messages"][-1][1]),
    ]
    assert (data["node_id"], data["node_type"]) == ("3", "KSampler")


def test_a_global_interrupt_needs_no_body(slow_comfy):
    with Listener(slow_comfy.url) as listener:
        queue(slow_comfy.url, text_to_image(steps=3000), listener.client_id)
        listener.until("progress", value=1)
        assert requests.post(f"{slow_comfy.url}/interrupt", timeout=20).status_code == 200
        listener.until("execution_interrupted")


def test_an_interrupt_while_nothing_runs_does_not_hit_the_next_prompt(comfy):
    assert requests.post(f"{comfy.url}/interrupt", timeout=20).status_code == 200
    assert run(comfy.url, plain_graph())["status"]["completed"]


def busy(comfy: Simulator, listener: Listener) -> str:
    prompt_id = queue(comfy.url, text_to_image(steps=5000), listener.client_id)
    listener.until("progress", value=1)
    return prompt_id


@needs_captures
def test_the_queue_lists_what_runs_and_what_waits(slow_comfy):
    with Listener(slow_comfy.url) as listener:
        running = busy(slow_comfy, listener)
        later = [queue(slow_comfy.url, text_to_image(seed=seed), listener.client_id) for seed in (110, 111)]
        first = queue(slow_comfy.url, text_to_image(seed=120), listener.client_id, front=True)
        body = requests.get(f"{slow_comfy.url}/queue", timeout=20).json()
        expected = capture("queue_busy")["body"]
        assert list(body) == list(expected)
        assert [entry[1] for entry in body["queue_running"]] == [running]
        assert body["queue_pending"][0][1] == first
        assert body["queue_pending"][0][0] < 0
        assert {entry[1] for entry in body["queue_pending"]} == {first, *later}
        shape = [type(part) for part in expected["queue_running"][0]]
        assert [type(part) for part in body["queue_running"][0]] == shape

        answer = requests.post(f"{slow_comfy.url}/queue", json={"delete": [later[0], running, "unknown"]}, timeout=20)
        assert answer.status_code == 200
        body = requests.get(f"{slow_comfy.url}/queue", timeout=20).json()
        assert {entry[1] for entry in body["queue_pending"]} == {first, later[1]}
        assert [entry[1] for entry in body["queue_running"]] == [running]
        requests.post(f"{slow_comfy.url}/queue", json={"clear": True}, timeout=20)
        assert requests.get(f"{slow_comfy.url}/queue", timeout=20).json()["queue_pending"] == []
        assert requests.get(f"{slow_comfy.url}/history/{first}", timeout=20).json() == {}


@needs_captures
def test_prompt_fields_are_the_captured_ones(comfy):
    case = capture("prompt_fields")
    prompt_id = case["prompt_id"][0]
    answer = requests.post(
        f"{comfy.url}/prompt", json={"prompt": plain_graph(), "prompt_id": prompt_id}, timeout=20
    ).json()
    assert answer == case["prompt_id"][1] | {"number": 0}
    answer = requests.post(f"{comfy.url}/prompt", json={"prompt": plain_graph(), "number": -5.5}, timeout=20).json()
    assert answer["number"] == case["number"]["number"]
    secrets = {"api_key_comfy_org": "secret", "auth_token_comfy_org": "secret"}
    sent = case["extra_data_in_history"]
    extra = {key: value for key, value in sent.items() if key != "client_id"}
    entry = run(comfy.url, plain_graph(1), extra_data=extra | secrets)
    assert entry["prompt"][3] | {"client_id": "…"} == sent | {"client_id": "…"}


def test_json_is_taken_whatever_the_content_type_says(comfy):
    body = json.dumps({"prompt": plain_graph()})
    answer = requests.post(f"{comfy.url}/prompt", data=body, headers={"Content-Type": "text/plain"}, timeout=20)
    assert answer.status_code == 200


def test_history_can_be_limited_and_deleted(comfy):
    ids = [run(comfy.url, plain_graph(color))["prompt"][1] for color in (1, 2, 3)]

    def listed(**query: int) -> list[str]:
        return list(requests.get(f"{comfy.url}/history", params=query, timeout=20).json())

    assert listed() == ids
    assert listed(max_items=2) == ids[1:]
    assert listed(max_items=1, offset=0) == ids[:1]
    assert listed(offset=2) == ids[2:]
    requests.post(f"{comfy.url}/history", json={"delete": [ids[0], "unknown"]}, timeout=20)
    assert listed() == ids[1:]
    requests.post(f"{comfy.url}/history", json={"clear": True}, timeout=20)
    assert listed() == []


def test_frames_go_to_the_prompts_client_and_status_to_all(comfy):
    with Listener(comfy.url) as owner, Listener(comfy.url) as other:
        queue(comfy.url, plain_graph(), owner.client_id)
        owner.until("executing", node=None)
        queue(comfy.url, plain_graph(9), other.client_id)
        other.until("executing", node=None)
    kinds = [message["type"] for message in other.messages()]
    assert kinds.count("execution_start") == 1
    before = kinds[: kinds.index("execution_start")]
    assert set(before) == {"status"}
    assert len(before) == 1 + 3 + 2, "its own, three of the first prompt, two of its own prompt"


def test_a_prompt_of_nobody_reports_steps_to_all_and_the_rest_to_nobody(comfy):
    with Listener(comfy.url) as listener:
        prompt_id = queue(comfy.url, text_to_image())
        while True:
            message = listener.next()
            if isinstance(message, dict) and message["data"].get("nodes", {}).get("9", {}).get("state") == ("finished"):
                break
    kinds = {message["type"] for message in listener.messages()}
    assert kinds == {"status", "progress_state", "progress"}
    assert prompt_id


def test_previews_carry_metadata_for_a_client_that_asked(comfy):
    with Listener(comfy.url) as listener:
        listener.send({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        answer = listener.until("feature_flags")
        assert answer["data"]["supports_preview_metadata"] is True
        prompt_id = queue(comfy.url, text_to_image(), listener.client_id)
        listener.until("executing", node=None)
    previews = [frame for frame in listener.frames if isinstance(frame, bytes)]
    assert len(previews) == 2
    event, length = struct.unpack(">II", previews[0][:8])
    assert event == 4
    assert json.loads(previews[0][8 : 8 + length]) == {
        "node_id": "3",
        "prompt_id": prompt_id,
        "display_node_id": "3",
        "parent_node_id": None,
        "real_node_id": "3",
        "image_type": "image/jpeg",
    }
    assert Image.open(BytesIO(previews[0][8 + length :])).format == "JPEG"


def test_previews_can_be_turned_off(comfy):
    with Listener(comfy.url) as listener:
        queue(comfy.url, text_to_image(), listener.client_id, extra_data={"preview_method": "none"})
        listener.until("executing", node=None)
    assert not [frame for frame in listener.frames if isinstance(frame, bytes)]


@needs_captures
def test_a_reconnect_hears_the_current_node_and_then_the_rest(slow_comfy):
    with Listener(slow_comfy.url) as listener:
        prompt_id = busy(slow_comfy, listener)
    with Listener(slow_comfy.url, listener.client_id) as again:
        again.until("progress")
        requests.post(f"{slow_comfy.url}/interrupt", json={"prompt_id": prompt_id}, timeout=20)
        again.until("executing", node=None)
    captured = [frame["msg"] for frame in capture("ws_reconnect_after_close")["frames"] if "msg" in frame]
    assert again.frames[1] == captured[1] == {"type": "executing", "data": {"node": "3"}}
    assert [message["type"] for message in again.messages()[:4]] == [message["type"] for message in captured[:4]]


def test_the_first_socket_of_a_client_takes_the_second_along_when_it_closes(slow_comfy):
    with Listener(slow_comfy.url) as watcher:
        first = Listener(slow_comfy.url)
        prompt_id = busy(slow_comfy, first)
        with Listener(slow_comfy.url, first.client_id) as second:
            second.until("progress")
            first.__exit__()
            requests.post(f"{slow_comfy.url}/interrupt", json={"prompt_id": prompt_id}, timeout=20)
            watcher.until("status", status={"exec_info": {"queue_remaining": 0}})
            second.settle()
            heard = len(second.frames)
            queue(slow_comfy.url, plain_graph(), first.client_id)
            watcher.until("status", status={"exec_info": {"queue_remaining": 1}})
            watcher.until("status", status={"exec_info": {"queue_remaining": 0}})
            second.settle()
            assert second.frames[heard:] == []


@needs_captures
def test_a_foreign_origin_is_refused(comfy):
    expected = capture("prompt_validation_failures")["foreign_origin"]
    for path in ("/prompt", "/api/prompt", "/ws"):
        answer = requests.get(f"{comfy.url}{path}", headers={"Origin": "http://evil.example"}, timeout=20)
        assert (answer.status_code, answer.text) == (expected["status"], expected["text"])
    own = requests.get(f"{comfy.url}/prompt", headers={"Origin": comfy.url}, timeout=20)
    assert own.json() == {"exec_info": {"queue_remaining": 0}}


@needs_captures
@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "name",
    [
        "get_features",
        "get_history_missing",
        "get_models_missing_folder",
        "get_queue_empty",
        "get_view_bad_type",
        "get_view_missing",
        "get_view_traversal",
    ],
)
def test_small_requests_get_the_captured_answer(comfy, name, prefix):
    case = capture(name)
    answer = requests.get(f"{comfy.url}{prefix}{case['request']['path']}", timeout=20)
    assert answer.status_code == case["status"]
    if case["body"] is None:
        assert answer.text == ""
    else:
        assert answer.json() == case["body"]


def png(color: str, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, color).save(buffer, "PNG")
    return buffer.getvalue()


@needs_captures
def test_uploads_follow_the_captured_table(comfy):
    contents = {
        "same name other bytes, no overwrite": png("green"),
        "same name other bytes, overwrite=true": png("green"),
        "not an image": b"hello",
        "empty": b"",
    }
    for case in capture("upload_image"):
        field = "file" if case["label"] == "no image field" else "image"
        files = {field: (case["filename"], contents.get(case["label"], png("red")))}
        answer = requests.post(f"{comfy.url}/upload/image", files=files, data=case["form"] or {}, timeout=20)
        assert answer.status_code == case["status"], case["label"]
        assert answer.headers.get("content-type", None) in (case["content_type"], "application/octet-stream")
        if isinstance(case["body"], dict):
            assert answer.json() == case["body"], case["label"]
        else:
            assert answer.text == case["body"], case["label"]
    assert (comfy.folders.input / "job-abc" / "in64.png").read_bytes() == png("red")
    assert (comfy.folders.input / "in64 (1).png").read_bytes() == png("green")
    assert not (comfy.folders.input.parent / "evil.png").exists()
    listed = requests.get(f"{comfy.url}/object_info/LoadImage", timeout=20).json()
    choices = listed["LoadImage"]["input"]["required"]["image"][0]
    assert choices == ["bild ü 漢.png", "empty.png", "in64 (1).png", "in64.png"]


@needs_captures
def test_views_follow_the_captured_table(comfy):
    (comfy.folders.input / "p.png").write_bytes(png("#ff000080", mode="RGBA"))
    for case in capture("view_variants"):
        url = f"{comfy.url}/view?filename=p.png&type=input"
        if case["query"].startswith("Range"):
            answer = requests.get(url, headers={"Range": "bytes=0-9"}, timeout=20)
            assert len(answer.content) == case["length"]
        elif case["query"] == "If-None-Match":
            tag = requests.get(url, timeout=20).headers["ETag"]
            answer = requests.get(url, headers={"If-None-Match": tag}, timeout=20)
        else:
            answer = requests.get(url + case["query"], timeout=20)
            head = answer.content[:12].hex()
            unstable = slice(8, 16) if case["magic"].startswith("52494646") else slice(0, 0)  # RIFF's length
            assert head.replace(head[unstable], "", 1) == case["magic"].replace(case["magic"][unstable], "", 1)
        assert answer.status_code == case["status"], case["query"]


def test_a_view_outside_the_folder_is_forbidden(comfy):
    answer = requests.get(f"{comfy.url}/view?filename=x.png&subfolder=../../etc", timeout=20)
    assert answer.status_code == 403


def test_a_mask_goes_into_the_originals_alpha(comfy):
    (comfy.folders.input / "photo.png").write_bytes(png("blue"))
    answer = requests.post(
        f"{comfy.url}/upload/mask",
        files={"image": ("mask.png", png("#00000040", mode="RGBA"))},
        data={"original_ref": json.dumps({"filename": "photo.png", "type": "input"})},
        timeout=20,
    )
    assert answer.json() == {"name": "mask.png", "subfolder": "", "type": "input"}
    with Image.open(comfy.folders.input / "mask.png") as image:
        assert image.getpixel((3, 3)) == (0, 0, 255, 0x40)


def test_what_it_is_can_be_asked(comfy):
    stats = requests.get(f"{comfy.url}/system_stats", timeout=20).json()
    assert set(stats) == {"system", "devices"}
    assert stats["devices"][0]["type"] == "cpu"
    assert "simulator" in requests.get(comfy.url, timeout=20).text
    assert "checkpoints" in requests.get(f"{comfy.url}/models", timeout=20).json()
    files = requests.get(f"{comfy.url}/models/checkpoints", timeout=20).json()
    assert files == CHOICES["CheckpointLoaderSimple.ckpt_name"]
    others = requests.get(f"{comfy.url}/object_info/CheckpointLoader", timeout=20).json()
    assert others["CheckpointLoader"]["input"]["required"]["ckpt_name"][0] == files
    assert requests.get(f"{comfy.url}/object_info/Nope", timeout=20).json() == {}


def test_memory_can_be_freed_so_that_nothing_is_kept(comfy):
    run(comfy.url, plain_graph())
    answer = requests.post(f"{comfy.url}/free", json={"unload_models": True, "free_memory": True}, timeout=20)
    assert answer.status_code == 200
    entry = run(comfy.url, plain_graph())
    assert entry["status"]["messages"][1][1]["nodes"] == []
    assert view(comfy.url, entry["outputs"]["4"]["images"][0]).status_code == 200
    assert entry["outputs"]["4"]["images"][0]["filename"] == "plain_00002_.png"


def test_what_waits_runs_by_number_also_after_a_deletion(slow_comfy):
    with Listener(slow_comfy.url) as listener:
        running = busy(slow_comfy, listener)
        ids = {
            number: queue(slow_comfy.url, plain_graph(number), listener.client_id, number=number)
            for number in (1, 5, 2, 6, 7, 3)
        }
        requests.post(f"{slow_comfy.url}/queue", json={"delete": [ids[1]]}, timeout=20)
        requests.post(f"{slow_comfy.url}/interrupt", json={"prompt_id": running}, timeout=20)
        listener.until("executing", node=None, prompt_id=ids[7])
    finished = list(requests.get(f"{slow_comfy.url}/history", timeout=20).json())
    assert finished == [running, *(ids[number] for number in (2, 3, 5, 6, 7))]
