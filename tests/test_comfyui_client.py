"""Asking ComfyUI over HTTP."""

import base64
import contextlib
import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from support.graphs import picture, text_to_image

from engine.comfyui import ComfyClient, new_prompt_id
from engine.errors import ComfyUnavailable, GraphRejected, NoOutputs


@pytest.fixture
def client(comfy):
    return comfy.client


@pytest.fixture
def other_server():
    """Something on a port that is no ComfyUI."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>It works!</html>")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refusal(client, graph):
    with pytest.raises(GraphRejected) as caught:
        client.queue_prompt(graph, new_prompt_id(), new_prompt_id())
    return caught.value


def test_the_stats_name_the_version(client):
    assert client.system_stats()["system"]["comfyui_version"]


def test_the_catalogue_is_live_and_knows_the_files(client, checkpoint):
    catalogue = client.node_catalogue()

    assert catalogue.live
    assert catalogue.version == client.system_stats()["system"]["comfyui_version"]
    assert catalogue["SaveImage"].is_output
    assert checkpoint in catalogue.choices("CheckpointLoaderSimple.ckpt_name")


def test_nothing_on_the_port_is_said_with_what_to_do(unused_port):
    with pytest.raises(ComfyUnavailable) as caught:
        ComfyClient(f"http://127.0.0.1:{unused_port}").system_stats()

    assert caught.value.message == f"no ComfyUI answers at http://127.0.0.1:{unused_port}"
    assert "COMFY_URL" in caught.value.hint
    assert caught.value.retryable


def test_an_address_with_https_where_none_is_spoken_is_hinted_at(other_server):
    client = ComfyClient(other_server.replace("http:", "https:"))
    with contextlib.closing(client), pytest.raises(ComfyUnavailable) as caught:
        client.system_stats()
    assert "speaks http:// alone" in caught.value.hint


def test_a_password_in_the_address_is_not_shown(unused_port):
    with pytest.raises(ComfyUnavailable) as caught:
        ComfyClient(f"http://someone:secret@127.0.0.1:{unused_port}").system_stats()

    assert "secret" not in str(caught.value.failure())


def test_something_else_on_the_port_is_told_from_comfyui(other_server):
    with pytest.raises(ComfyUnavailable, match="is not a ComfyUI"):
        ComfyClient(other_server).system_stats()


def test_many_threads_may_ask_at_once(client):
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: client.history(new_prompt_id()), range(96)))

    assert answers == [None] * 96


def test_an_upload_is_found_by_the_loader(comfy, comfy_url, run, tmp_path):
    source = tmp_path / "source.png"
    Image.new("RGB", (8, 8), (200, 30, 60)).save(source)

    value = comfy.client.upload(source, filename="Leuchtturm 灯台 ü.png", subfolder="job-1")

    assert value.startswith("job-1/")
    execution = run(
        {
            "1": {"class_type": "LoadImage", "inputs": {"image": value}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "loaded"}},
        }
    )
    [(_, path)] = comfy.collect(execution, [], tmp_path)
    with Image.open(path) as image:
        assert image.convert("RGB").getpixel((3, 3)) == (200, 30, 60)


def test_an_upload_under_a_taken_name_gets_another(client, tmp_path):
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(first)
    Image.new("RGB", (8, 8), (4, 5, 6)).save(second)
    name = f"{new_prompt_id()}.png"

    value = client.upload(first, filename=name)
    other = client.upload(second, filename=name)

    assert value == name
    assert other != name
    client.download(value, "", "input", tmp_path / "1-back.png")
    client.download(other, "", "input", tmp_path / "2-back.png")
    assert digest(tmp_path / "1-back.png") == digest(first)
    assert digest(tmp_path / "2-back.png") == digest(second)


def test_a_file_that_comfyui_lacks_leaves_nothing_behind(client, tmp_path):
    target = tmp_path / "target.png"
    target.write_text("what was there")

    with pytest.raises(NoOutputs, match=r"nope\.png") as caught:
        client.download("nope.png", "", "output", target)

    assert "cached" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["target.png"]
    assert target.read_text() == "what was there"


@pytest.mark.parametrize(
    ("node", "name", "value", "kind", "message"),
    [
        ("1", "width", 0, "value_smaller_than_min", "must be at least 1 (got 0)"),
        ("1", "width", 10**9, "value_bigger_than_max", "must be at most 16384 (got 1000000000)"),
        ("1", "width", "wide", "invalid_input_type", 'must be a whole number (got "wide")'),
        (
            "3",
            "upscale_method",
            "nearest",
            "value_not_in_list",
            '"nearest" is not available; did you mean "nearest-exact"?',
        ),
        ("3", "crop", None, "required_input_missing", "is required"),
    ],
)
def test_a_refused_value_is_reported_at_its_place(client, node, name, value, kind, message):
    graph = picture()
    graph[node]["inputs"][name] = value
    if value is None:
        del graph[node]["inputs"][name]

    error = refusal(client, graph)

    [complaint] = error.complaints
    assert (complaint.node_id, complaint.input_name, complaint.type) == (node, name, kind)
    assert complaint.message.startswith(message)
    assert complaint.where == f"{graph[node]['class_type']} ({node}).{name}"
    assert error.message == f"{complaint.where}: {complaint.message}"
    assert [problem.where for problem in error.problems] == [complaint.where]


def test_a_missing_model_is_refused_with_the_nearest(client, checkpoint):
    error = refusal(client, text_to_image(checkpoint.replace("random", "randon")))

    assert f'is not on this worker; did you mean "{checkpoint}"?' in error.message
    assert error.complaints[0].where == "CheckpointLoaderSimple (4).ckpt_name"


def test_an_unknown_class_is_named(client):
    graph = picture()
    graph["2"]["class_type"] = "NoSuchNode"

    error = refusal(client, graph)

    assert error.message == "node 2 is of class NoSuchNode, which this ComfyUI lacks"
    assert "node pack" in error.hint


def test_a_link_of_the_wrong_type_is_named(client, checkpoint):
    graph = text_to_image(checkpoint)
    graph["8"]["inputs"]["samples"] = ["4", 0]

    error = refusal(client, graph)

    assert error.complaints[0].where == "VAEDecode (8).samples"
    assert error.complaints[0].message == (
        "takes LATENT, but is linked to output 0 of CheckpointLoaderSimple (4), which gives MODEL"
    )


def test_a_link_to_nowhere_is_refused(client):
    graph = picture()
    graph["4"]["inputs"]["images"] = ["99", 0]

    assert refusal(client, graph).message == (
        'SaveImage (4).images: is linked to node "99", which the graph does not have'
    )


def test_a_graph_without_an_output_is_refused(client):
    graph = picture()
    del graph["4"]

    assert refusal(client, graph).message == "the graph has no output node"


def test_a_circle_is_refused_with_its_nodes(client):
    graph = picture()
    graph["2"]["inputs"]["image"] = ["3", 0]

    assert refusal(client, graph).message == "the links go round in a circle: 2 -> 3 -> 2"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Anywhere(http.server.BaseHTTPRequestHandler):
    """A proxy, or ComfyUI itself, that notes what it is asked, and by whom."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.headers.get("Proxy-Authorization")))
        body = b'{"system": {"comfyui_version": "1"}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def anywhere():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anywhere) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_comfyui_elsewhere_is_asked_as_the_environment_says_and_one_here_is_not(anywhere, monkeypatch, tmp_path):
    """Its proxies and logins, as other programs of the machine heed them."""
    here = f"127.0.0.1:{anywhere.server_port}"
    (tmp_path / "netrc").write_text("machine comfy.example login someone password sesame\n")
    for name, value in {"HTTP_PROXY": f"http://me:open@{here}", "NETRC": str(tmp_path / "netrc")}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NO_PROXY", "other.example")
    monkeypatch.delenv("no_proxy", raising=False)

    for url in ("http://comfy.example:8188", "http://a:b@comfy.example", f"http://{here}", "http://ü:é@" + here):
        with contextlib.closing(ComfyClient(url)) as client:
            client.system_stats()

    proxied = "Basic " + base64.b64encode(b"me:open").decode()
    assert anywhere.seen == [
        ("http://comfy.example:8188/system_stats", basic("someone:sesame"), proxied),
        ("http://comfy.example/system_stats", basic("a:b"), proxied),
        ("/system_stats", None, None),
        ("/system_stats", basic("ü:é"), None),
    ]


def basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()
