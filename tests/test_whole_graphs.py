"""Requests written for other workers: a whole graph goes in, the reply has the shape that their clients read."""

import base64
import http.server
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from support.graphs import fresh_number
from support.media import picture
from support.runners import asked, refused, runner_on

from engine.cancellation import CancellationToken
from engine.envelope import answer
from engine.errors import Cancelled


def halved(name="in.png"):
    """A graph that loads a picture by that name and scales it to 8 by 6."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "nearest-exact",
                "width": 8,
                "height": 6,
                "crop": "disabled",
            },
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "halved"}},
    }


def plain():
    color = {"width": 12, "height": 10, "batch_size": 1, "color": fresh_number()}
    return {
        "1": {"class_type": "EmptyImage", "inputs": color},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "plain"}},
    }


@pytest.fixture
def runner(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", allow_raw_workflows=True, allow_private_urls=True)
    yield runner
    runner.close()


@pytest.fixture
def served():
    """Serve documents by path."""
    documents = {}

    class Documents(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = documents[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Documents)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def serve(path, body):
        documents[path] = body
        return f"http://127.0.0.1:{server.server_port}{path}"

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


def encoded():
    return base64.b64encode(picture((16, 12))).decode()


def size(text):
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return image.size


def test_worker_comfyuis_request_and_reply(runner):
    reply = asked(runner, {"workflow": halved(), "images": [{"name": "in.png", "image": encoded()}]})

    [image] = reply["images"]
    assert (image["type"], image["filename"][-4:], size(image["data"])) == ("base64", ".png", (8, 6))


def test_a_graph_as_text_with_input_images(runner, served):
    url = served("/cat", picture((16, 12)))

    reply = asked(runner, {"workflow": json.dumps(halved()), "input_images": {"in.png": url}})

    assert reply["status"] == "completed"
    assert size(reply["results"][0]["image"]) == (8, 6)


def test_a_graph_by_url(runner, served):
    reply = asked(runner, {"workflow_url": served("/graph.json", json.dumps(plain()).encode())})

    assert size(reply["results"][0]["image"]) == (12, 10)


def test_base64_alone(runner):
    reply = asked(runner, {"workflow": plain(), "output_mode": "base64"})

    assert size(reply["base64"]) == (12, 10)
    assert reply["size"] == len(base64.b64decode(reply["base64"]))


def test_custom_gives_our_own_result(runner):
    reply = asked(runner, {"workflow": "custom", "payload": plain()})

    assert (reply["workflow"], reply["values"]) == ("custom", {})
    assert size(reply["outputs"][0]["base64"]) == (12, 10)


def test_both_ways_of_sending_files_in_one_request(runner, served):
    graph = halved("a.png") | {
        "4": {"class_type": "LoadImageMask", "inputs": {"image": "b.png", "channel": "red"}},
        "5": {"class_type": "MaskPreview", "inputs": {"mask": ["4", 0]}},
    }
    reply = asked(
        runner,
        {
            "workflow": graph,
            "images": [{"name": "a.png", "image": encoded()}],
            "input_images": {"b.png": served("/b", picture((16, 12)))},
            "previews": True,
        },
    )

    assert len(reply["results" if "results" in reply else "images"]) == 2


def test_the_operator_may_choose_the_shape_of_every_reply(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", response_dialect="worker-comfyui")

    reply = asked(runner, {"workflow": "resize", "payload": {"width": 9}, "verbose": True})

    assert size(reply["images"][0]["data"])[0] == 9
    assert reply["details"]["workflow"] == "resize"


def test_graphs_are_refused_unless_the_operator_allows_them(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline")

    for request in (
        {"workflow": plain()},
        {"workflow": json.dumps(plain())},
        {"workflow_url": "https://example.org/x.json"},
        {"workflow": "custom", "payload": plain()},
    ):
        failure = refused(runner, request)
        assert failure["code"] == "invalid_request"
        assert "ALLOW_RAW_WORKFLOWS" in failure["hint"]


def test_a_ui_export_is_told_what_to_do(runner):
    failure = refused(runner, {"workflow": {"nodes": [], "links": [], "version": 0.4}})

    assert "Export (API)" in json.dumps(failure)


def test_a_broken_file_is_named(runner):
    text = base64.b64encode(b"no picture at all, but long enough").decode()

    failure = refused(runner, {"workflow": halved(), "images": [{"name": "in.png", "image": text}]})

    assert failure["code"] == "input_rejected"
    assert [problem["parameter"] for problem in failure["problems"]] == ["in.png"]


@pytest.mark.parametrize("spelling", ["in.png [input]", " in.png", "sub\\in.png"])
def test_another_spelling_of_a_name_is_the_same_file(runner, spelling):
    graph = halved("sub/in.png" if "sub" in spelling else "in.png")

    reply = asked(runner, {"workflow": graph, "images": [{"name": spelling, "image": encoded()}]})

    assert size(reply["images"][0]["data"]) == (8, 6)
    assert "errors" not in reply


def test_two_spellings_of_one_name_are_refused(runner):
    images = [{"name": name, "image": encoded()} for name in ("in.png", "in.png [input]")]

    assert "one name to the graph" in refused(runner, {"workflow": halved(), "images": images})["message"]


def test_the_running_comfyui_says_which_inputs_take_files(runner):
    asked(runner, {"workflow": halved(), "images": [{"name": "in.png", "image": encoded()}]})

    assert runner.live.known is not None


def test_a_graph_that_comes_slowly_can_be_cancelled(runner):
    asked_for = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked_for.set()
            over.wait(60)

        def log_message(self, *_):
            pass

    over, cancel = threading.Event(), CancellationToken()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server, ThreadPoolExecutor(2) as pool:
        pool.submit(server.serve_forever)
        url = f"http://127.0.0.1:{server.server_port}/graph.json"
        waiting = pool.submit(answer, {"workflow_url": url}, runner, job_id="slow", cancel=cancel)
        assert asked_for.wait(30)
        cancel.cancel()
        failure = waiting.exception(30)
        over.set()
        server.shutdown()
    assert isinstance(failure, Cancelled)


def test_a_file_that_nothing_uses_is_a_warning(runner):
    request = {"workflow": plain(), "images": [{"name": "in.png", "image": encoded()}]}

    assert any("in.png" in text for text in asked(runner, request)["errors"])


def test_what_comfyui_has_against_a_graph_is_told_by_its_nodes(runner):
    graph = plain()
    graph["1"]["inputs"]["width"] = -5

    failure = refused(runner, {"workflow": graph})

    assert failure["code"] == "graph_rejected"
    assert failure["problems"][0]["parameter"] == "EmptyImage (1).width"


def test_worker_comfyui_takes_its_input_as_a_text_too(runner):
    reply = asked(runner, json.dumps({"workflow": plain()}))

    assert size(reply["images"][0]["data"]) == (12, 10)


@pytest.mark.parametrize("text", ["", "txt2img", "[1]", '{"workflow": "a", "workflow": "b"}'])
def test_an_input_as_a_text_that_is_no_object_is_told(runner, text):
    assert "the input" in refused(runner, text)["message"]


@pytest.mark.parametrize("key", [{"api_key_comfy_org": "comfyui-1234567"}, {"comfy_org_api_key": ""}])
def test_the_key_for_comfy_org_as_worker_comfyuis_clients_send_it(runner, key):
    assert asked(runner, {"workflow": plain(), **key})["images"]


def test_the_key_for_comfy_org_under_both_names_is_refused(runner):
    keys = {"api_key_comfy_org": "comfyui-1234567", "comfy_org_api_key": "comfyui-7654321"}

    failure = refused(runner, {"workflow": plain(), **keys})

    assert "send one of the two" in failure["message"]
    assert "7654321" not in json.dumps(failure)
