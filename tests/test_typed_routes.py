"""The typed routes of the local server, as its callers meet them: a real server, on the simulator."""

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import threading

import pytest
import requests
from PIL import Image
from support.local_server import local_server

from engine.simulator import Simulator

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One on a simulator whose steps take a moment, so that progress can be seen and jobs be cancelled."""
    choices = {"CheckpointLoaderSimple.ckpt_name": [CHECKPOINT]}
    bounds = {"API_UPLOADS_BYTES": "1000000", "MAX_IMAGE_BYTES": "300000", "API_BODY_BYTES": "100000"}
    folder = tmp_path_factory.mktemp("server")
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(Simulator(choices=choices, step_seconds=0.02))
        yield stack.enter_context(local_server(folder, COMFY_URL=simulator.url, **bounds))


def picture(width=64, height=48, colour=(200, 30, 40)):
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def problems_of(reply, status=422):
    assert reply.status_code == status, reply.text
    document = reply.json()
    assert document["error"].startswith(f"{document['failure']['code']}: ")
    return {each["parameter"]: each["message"] for each in document["failure"]["problems"]}


def events_of(server, job_id, **options):
    """Each event's name and data, until the stream ends."""
    with server.get(f"/jobs/{job_id}/events", stream=True, **options) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in reply.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_workflows_are_listed_and_described(server):
    lines = {each["name"]: each for each in server.get("/workflows").json()["workflows"]}
    assert lines["resize"]["status"] == "ready"
    assert lines["resize"]["kinds"] == ["image"]
    assert lines["resize"]["examples"] == 2
    described = server.get("/workflows/resize").json()
    assert described["payload"]["properties"]["width"]["maximum"] == 4096
    assert described["status"] == "ready"
    refusal = server.get("/workflows/resise")
    assert refusal.status_code == 404
    assert 'did you mean "resize"?' in refusal.json()["error"]


def test_a_payload_gives_the_result_with_a_link_that_opens(server):
    reply = server.post("/workflows/resize", {"width": 32, "color": "#00ff00"})
    assert reply.status_code == 200, reply.text
    output = reply.json()["outputs"][0]
    assert output["url"].startswith(f"{server.url}/jobs/{reply.headers['x-job-id']}/files/0/")
    file = requests.get(output["url"], timeout=10)
    assert hashlib.sha256(file.content).hexdigest() == output["sha256"]
    assert file.headers["content-disposition"].startswith("inline")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    part = requests.get(output["url"], headers={"Range": "bytes=1-3"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"PNG")
    assert requests.get(f"{output['url']}&download=1", timeout=10).headers["content-disposition"].startswith("attach")
    assert requests.get(f"{output['url']}0", timeout=10).status_code == 401  # another signature
    assert server.get(f"/jobs/{reply.headers['x-job-id']}/files/1/x.png").status_code == 404


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ({"width": "abc"}, "width", "must be a whole number"),
        ({"widht": "3"}, "widht", 'did you mean "width"?'),
        ([("color", "#000000"), ("color", "#ffffff")], "color", "stands 2 times"),
        ({"method": "cubic"}, "method", 'did you mean "bicubic"?'),
    ],
)
def test_a_form_is_read_as_the_command_line_reads_it_and_refused_as_a_payload(server, field, wrong, said):
    assert said in problems_of(server.post("/workflows/resize", data=field))[wrong]
    multipart = [(name, (None, value)) for name, value in (field.items() if isinstance(field, dict) else field)]
    assert said in problems_of(server.post("/workflows/resize", files=multipart))[wrong]


def test_all_problems_are_told_before_anything_is_queued(server):
    before = server.get("/jobs?limit=1").json()["jobs"]
    told = problems_of(server.post("/workflows/resize", {"width": 5000, "hight": 3, "color": "red"}))
    assert set(told) == {"width", "hight", "color"}
    queried = problems_of(server.post("/workflows/resize?wiat=3&delivery.formt=png&wait=1e9&async=maybe", {}))
    assert 'did you mean "wait"?' in queried["wiat"]
    assert 'did you mean "delivery.format"?' in queried["delivery.formt"]
    assert {"wait", "async"} <= set(queried)
    assert "quality" in str(problems_of(server.post("/workflows/resize?delivery.quality=500", {})))
    assert server.get("/jobs?limit=1").json()["jobs"] == before


def test_bodies_that_can_not_be_read_have_a_status_of_their_own(server):
    said = [
        server.post("/workflows/resize", data="{", headers={"Content-Type": "application/json"}),
        server.post("/workflows/resize", data="<a/>", headers={"Content-Type": "text/xml"}),
        server.post("/workflows/resize", data=b"x" * 200_000, headers={"Content-Type": "application/json"}),
        server.post("/workflows/resize", data="--", headers={"Content-Type": "multipart/form-data; boundary=x"}),
        server.post("/workflows/resize", data="x", headers={"Content-Type": "multipart/form-data"}),
        server.session.patch(f"{server.url}/workflows/resize", timeout=10),
    ]
    assert [each.status_code for each in said] == [400, 415, 413, 400, 400, 405]
    assert said[-1].headers["allow"] == "GET, HEAD, POST"


def test_the_files_of_a_form_are_inputs_and_the_delivery_stands_in_the_query(server):
    files = {"image": ("my cat.png", picture(), "image/png")}
    reply = server.post(
        "/workflows/resize?delivery.format=webp&delivery.thumbnail=16", files=files, data={"width": "32"}
    )
    assert reply.status_code == 200, reply.text
    output = reply.json()["outputs"][0]
    assert (output["width"], output["height"], output["content_type"]) == (32, 24, "image/webp")
    assert output["thumbnail"].startswith("data:image/webp")
    named = server.get(f"/jobs/{reply.headers['x-job-id']}").json()["payload"]["image"]
    assert named.startswith("my_cat-")
    assert server.get(f"/files/{named}").content == picture()


def test_curl_sends_a_file_as_the_documentation_says(server, tmp_path):
    (tmp_path / "cat.png").write_bytes(picture())
    command = ["curl", "-s", "-F", "image=@cat.png", "-F", "width=16", f"{server.url}/workflows/resize"]
    reply = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout)
    assert reply["outputs"][0]["width"] == 16


def test_uploads_have_a_name_that_payloads_take_and_one_that_has_gone_is_told(server):
    first = server.post("/files", files=[("file", ("cat.png", picture())), ("file", ("clip.txt", b"hello"))])
    assert first.status_code == 201, first.text
    cat, text = first.json()["files"]
    assert (cat["width"], cat["height"], cat["content_type"]) == (64, 48, "image/png")
    assert text["content_type"].startswith("text/plain")
    again = server.session.post(f"{server.url}/files?name=cat.png", data=picture(), timeout=10).json()["files"][0]
    assert again == cat
    assert server.post("/workflows/resize", {"image": cat["name"], "width": 8}).status_code == 200
    gone = server.post("/workflows/resize", {"image": f"cot{cat['name'][3:]}", "width": 8})
    assert f'did you mean "{cat["name"]}"?' in problems_of(gone)["image"]
    assert gone.json()["failure"]["code"] == "input_unavailable"
    assert f'did you mean "{cat["name"]}"?' in server.get(f"/files/cot{cat['name'][3:]}").json()["error"]


def test_what_is_no_usable_file_is_refused(server):
    def refused(content, name="a.png"):
        return problems_of(server.post("/files", files={"file": (name, content)}))[name]

    assert "empty" in refused(b"")
    assert "broken or cut off" in refused(picture()[:60])
    assert "larger than the 300000 bytes" in refused(b"\x89PNG\r\n\x1a\n" + bytes(400_000))
    assert server.post("/files", files={"file": ("big.bin", bytes(1_200_000))}).status_code == 413
    assert "file" in server.post("/files", files={"picture": ("a.png", picture())}).json()["failure"]["hint"]
    assert "name" in problems_of(server.session.post(f"{server.url}/files", data=picture(), timeout=10))


def test_a_page_that_was_sent_is_saved_and_not_shown(server):
    page = b"<!doctype html><script>alert(1)</script>"
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for name, content in (("page.html", page), ("drawing.svg", drawing)):
        kept = server.post("/files", files={"file": (name, content)}).json()["files"][0]
        reply = server.get(f"/files/{kept['name']}")
        assert reply.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in reply.headers["content-security-policy"]


def test_the_longest_unused_file_goes_but_none_that_a_job_waits_for(server):
    def sent(name):
        content = b"x" * 300_000 + name.encode()
        return server.post("/files", files={"file": (f"{name}.bin", content)})

    held = server.post("/files", files={"file": ("held.png", picture(8, 8))}).json()["files"][0]["name"]
    running = server.post("/workflows/txt2img?async=1", {"prompt": "a", "steps": 150, "width": 64, "height": 64})
    waiting = server.post("/workflows/resize?async=1", {"image": held, "width": 8}).json()["id"]
    first = sent("first").json()["files"][0]["name"]
    assert [sent(name).status_code for name in ("second", "third", "fourth")] == [201, 201, 201]
    assert server.get(f"/files/{first}").status_code == 404
    server.post(f"/cancel/{running.json()['id']}")
    *_, (name, job) = events_of(server, waiting)
    assert (name, job["status"]) == ("done", "COMPLETED")


def test_events_tell_how_a_job_goes_on_to_each_who_listens(server):
    payload = {"prompt": "a", "steps": 40, "width": 64, "height": 64}
    job = server.post("/workflows/txt2img?async=1&previews=1", payload)
    assert job.status_code == 202
    assert job.headers["location"] == f"/jobs/{job.json()['id']}"
    heard = [[], []]

    def listen(into):
        with requests.Session() as session:
            other = type(server)(server.url, server.folder)
            other.session = session
            into += events_of(other, job.json()["id"])

    threads = [threading.Thread(target=listen, args=(each,)) for each in heard]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for events in heard:
        names = [name for name, _ in events]
        assert names[0] == "status"
        assert names[-1] == "done"
        assert events[-1][1]["output"]["outputs"][0]["url"].startswith(server.url)
        progress = [data for name, data in events if name == "progress"]
        assert len(progress) >= 2
        assert [each["fraction"] for each in progress] == sorted(each["fraction"] for each in progress)
        assert any(each.get("preview", "").startswith("data:image/jpeg;base64,") for each in progress)
        assert "output" not in events[0][1]
    assert [name for name, _ in events_of(server, job.json()["id"])] == ["done"]
    assert server.get("/jobs/none/events").status_code == 404


def test_a_job_that_is_cancelled_answers_whoever_waits(server):
    answers = []
    payload = {"prompt": "a", "steps": 150, "width": 64, "height": 64}
    thread = threading.Thread(
        target=lambda: answers.append(requests.post(f"{server.url}/workflows/txt2img", json=payload, timeout=30))
    )
    thread.start()
    job = {}
    while not job:
        running = server.get("/jobs?status=IN_PROGRESS").json()["jobs"]
        job = running[0] if running else {}
    assert server.delete(f"/jobs/{job['id']}").status_code == 409  # it has to end first
    server.post(f"/cancel/{job['id']}")
    thread.join()
    assert answers[0].status_code == 409
    assert answers[0].json()["failure"]["code"] == "cancelled"
    assert server.get(f"/jobs/{job['id']}").json()["status"] == "CANCELLED"


def test_a_wait_that_is_over_gives_the_job(server):
    payload = {"prompt": "a", "steps": 150, "width": 64, "height": 64}
    reply = server.post("/workflows/txt2img?wait=10", payload)
    assert reply.status_code == 202
    assert reply.json()["status"] in {"IN_QUEUE", "IN_PROGRESS"}
    server.post(f"/cancel/{reply.json()['id']}")
    late = server.post("/workflows/txt2img?timeout_seconds=1", payload)
    assert late.status_code == 504
    assert late.json()["failure"]["code"] == "execution_timeout"


def test_the_history_is_searched_and_goes_on_and_forgets(server):
    for width in (101, 102, 103):
        server.post("/workflows/resize", {"width": width, "color": "#abcdef"})
    found = server.get("/jobs?search=abcdef&workflow=resize&status=COMPLETED&limit=2").json()
    assert [each["payload"]["width"] for each in found["jobs"]] == [103, 102]
    more = server.get(f"/jobs?search=abcdef&limit=2&before={found['next']}").json()
    assert [each["payload"]["width"] for each in more["jobs"]] == [101]
    assert more["next"] is None
    job = found["jobs"][0]
    link = job["output"]["outputs"][0]["url"]
    assert server.delete(f"/jobs/{job['id']}").status_code == 204
    assert requests.get(link, timeout=10).status_code == 404
    assert server.get(f"/jobs/{job['id']}").status_code == 404
    told = problems_of(server.get("/jobs?status=DONE&limit=0&serch=x"))
    assert set(told) == {"status", "limit", "serch"}


def test_rendering_shows_the_graph_and_what_changed(server):
    document = server.post("/workflows/txt2img/render", {"prompt": "a cat", "seed": 5}).json()
    assert document["graph"]["3"]["inputs"]["seed"] == 5
    assert any("a cat" in line for line in document["lines"])
    assert document["changes"]
    assert "steps" in problems_of(server.post("/workflows/txt2img/render", {"prompt": "a", "steps": 0}))
    assert server.get("/workflows/txt2img/graph.svg").text.startswith("<svg")


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_calls_it_writes_work(server, tmp_path):
    kept = server.post("/files", files={"file": ("it's a cat.png", picture())}).json()["files"][0]["name"]
    payload = {"image": kept, "width": 24, "color": "#00aa00"}
    calls = server.post("/workflows/resize/calls", payload).json()
    assert "Authorization" not in str(calls)
    (tmp_path / "it_s_a_cat.png").write_bytes(picture())
    by_curl = subprocess.run(["bash", "-c", calls["curl"]], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(by_curl.stdout)["values"]["width"] == 24
    plain = server.post("/workflows/resize/calls", {"width": 24}).json()["curl"]
    assert json.loads(subprocess.run(["bash", "-c", plain], check=True, capture_output=True).stdout)["outputs"]
    by_python = subprocess.run(["python3", "-c", calls["python"]], check=True, capture_output=True, text=True)
    assert by_python.stdout.startswith("image http")
    queued = requests.post(f"{server.url}/run", data=calls["runpod"], timeout=10)
    assert queued.json()["status"] == "IN_QUEUE"


def test_with_a_token_links_open_by_their_signature_alone(tmp_path):
    token = "a-token-for-this-test"
    with local_server(tmp_path, API_TOKEN=token) as server:
        assert server.get("/workflows").status_code == 401
        server.session.headers["Authorization"] = f"Bearer {token}"
        output = server.post("/workflows/resize", {"width": 16}).json()["outputs"][0]
        assert "path" not in output
        assert requests.get(output["url"], timeout=10).status_code == 200
        assert requests.get(output["url"].partition("?")[0], timeout=10).status_code == 401
        assert "$API_TOKEN" in server.post("/workflows/resize/calls", {"width": 16}).json()["curl"]
        assert (tmp_path / "api" / "secret").stat().st_mode & 0o777 == 0o600
        document = server.get("/openapi.json").json()
        assert document["security"] == [{"token": []}]
