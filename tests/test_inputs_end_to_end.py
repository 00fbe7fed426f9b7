"""Files that callers send or name, through a whole job."""

import base64
import http.server
import threading

import pytest
from PIL import Image
from support.media import picture
from support.runners import asked, refused, runner_on
from support.workflows import write_workflow

from engine import Catalog


class Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = picture((40, 20))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    """A server of pictures that keeps what it was asked for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def runner(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, allow_private_urls=True)
    yield runner
    runner.close()


def size(reply, index=0):
    output = reply["outputs"][index]
    return output["width"], output["height"]


def run(runner, payload, workflow="resize", **more):
    return asked(runner, {"workflow": workflow, "payload": payload, **more}, allow_files=True)


def test_a_picture_by_url(runner, web):
    reply = run(runner, {"image": f"{web.url}/cat.png?token=hush", "width": 10})

    assert size(reply) == (10, 5)
    assert web.asked == ["/cat.png?token=hush"]
    assert "hush" not in str(reply)


def test_a_picture_by_url_with_a_name_of_its_own(runner, web):
    reply = run(runner, {"image": {"url": f"{web.url}/x", "filename": "my cat.png"}, "width": 10})

    assert "my_cat" in reply["values"]["image"]


def test_private_addresses_are_refused_unless_allowed(comfy, web, tmp_path):
    failure = refused(runner_on(comfy, tmp_path), {"workflow": "resize", "payload": {"image": f"{web.url}/cat.png"}})

    assert failure["code"] in {"input_unavailable", "input_rejected"}
    assert [problem["parameter"] for problem in failure["problems"]] == ["image"]
    assert web.asked == []


@pytest.mark.parametrize("form", ["images", "input_images"])
def test_a_file_sent_along(runner, web, form):
    encoded = base64.b64encode(picture((40, 20))).decode()
    sent = {
        "images": {"images": [{"name": "cat.png", "image": encoded}]},
        "input_images": {"input_images": {"cat.png": f"{web.url}/1"}},
    }[form]

    assert size(run(runner, {"image": "cat.png", "width": 8}, **sent)) == (8, 4)


def test_a_file_sent_along_that_nothing_names_is_a_warning(runner):
    encoded = base64.b64encode(picture((40, 20))).decode()

    reply = run(runner, {"width": 8}, images=[{"name": "cat.png", "image": encoded}])

    assert any("cat.png" in warning for warning in reply["warnings"])


def test_a_text_that_is_a_url_is_never_fetched(runner, comfy, web, tmp_path):
    graph = {
        "1": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "", "delimiter": ""}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    parameters = {"prompt": {"type": "string", "bind": "$['1'].inputs.string_a"}}
    folder = write_workflow(tmp_path, "echo", graph, {"parameters": parameters})
    runner = runner_on(comfy, tmp_path, Catalog([folder]), allow_private_urls=True)

    reply = run(runner, {"prompt": f"{web.url}/cat.png"}, "echo")

    assert reply["outputs"][0]["text"] == f"{web.url}/cat.png"
    assert web.asked == []


def test_pictures_in_a_list_are_each_fetched_once(comfy, web, tmp_path):
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "b.png"}},
        "3": {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["2", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "two"}},
    }
    schema = {
        "parameters": {"images": {"type": "array", "items": {"type": "image"}, "minItems": 2, "required": True}},
        "computed": {"$['1'].inputs.image": "images[0]", "$['2'].inputs.image": "images[1]"},
    }
    folder = write_workflow(tmp_path, "two", graph, schema)
    runner = runner_on(comfy, tmp_path, Catalog([folder]), allow_private_urls=True)

    reply = run(runner, {"images": [f"{web.url}/same.png", f"{web.url}/same.png"]}, "two")

    assert [output["width"] for output in reply["outputs"]] == [40, 40]
    assert web.asked == ["/same.png"]
    assert all("same" in name for name in reply["values"]["images"])


def test_everything_that_is_wrong_with_the_files_is_told_at_once(comfy, web, tmp_path):
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "LoadImageMask", "inputs": {"image": "b.png", "channel": "red"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
        "4": {"class_type": "MaskPreview", "inputs": {"mask": ["2", 0]}},
    }
    bind = {name: {"type": name, "bind": f"$['{node}'].inputs.image"} for name, node in (("image", 1), ("mask", 2))}
    bind["image"]["resizeTo"] = 16
    runner = runner_on(comfy, tmp_path, Catalog([write_workflow(tmp_path, "both", graph, {"parameters": bind})]))

    text = base64.b64encode(b"a text that is long enough to be taken for a file").decode()
    failure = refused(runner, {"workflow": "both", "payload": {"image": text, "mask": "file:///etc/hostname"}})

    assert [problem["parameter"] for problem in failure["problems"]] == ["image", "mask"]

    image = base64.b64encode(picture((40, 20))).decode()
    reply = asked(runner, {"workflow": "both", "payload": {"image": image, "mask": image}})
    assert size(reply) == (16, 8)


def test_a_photo_on_its_side_is_upright(runner, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(picture((40, 20), "JPEG", orientation=6))

    assert size(run(runner, {"image": f"@{tmp_path / 'photo.jpg'}", "width": 10})) == (10, 20)


def test_an_avif_is_one_as_well(runner, tmp_path):
    path = tmp_path / "photo.avif"
    Image.new("RGB", (40, 20), (9, 8, 7)).save(path)

    assert size(run(runner, {"image": f"@{path}", "width": 10})) == (10, 5)
