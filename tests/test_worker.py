"""The worker, through the RunPod SDK and a local queue, with results in a real S3 server."""

import base64
import hashlib
import io
import json
import logging
import subprocess
import sys

import pytest
import requests
from PIL import Image
from support.runpod_queue import serve_runpod_queue
from support.s3 import free_port, serve_s3
from support.worker import run_handler, running_worker, worker_environment
from support.workflows import ROOT

logging.getLogger("urllib3").setLevel(logging.WARNING)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with serve_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def queue(comfy_url, bucket, tmp_path_factory):
    """A queue with a worker on it that stores in the bucket."""
    environment = {
        "S3_BUCKET": bucket.bucket,
        "S3_ENDPOINT_URL": bucket.endpoint_url,
        "S3_ACCESS_KEY_ID": bucket.access_key_id,
        "S3_SECRET_ACCESS_KEY": bucket.secret_access_key,
        "S3_PREFIX": "made/here",
    }
    with serve_runpod_queue() as queue:
        log = tmp_path_factory.mktemp("worker") / "log"
        with running_worker(worker_environment(comfy_url, **queue.environment(), **environment), log):
            queue.log = log
            yield queue


@pytest.fixture(scope="module")
def inline_queue(comfy_url, tmp_path_factory):
    """A queue with a worker on it that has no bucket."""
    with serve_runpod_queue() as queue:
        log = tmp_path_factory.mktemp("worker") / "log"
        environment = worker_environment(comfy_url, **queue.environment(), RESPONSE_LIMIT_BYTES="300000")
        with running_worker(environment, log):
            yield queue


def result_of(queue, job_input, timeout=90):
    return queue.wait(queue.submit(job_input), timeout)


def resize(**payload):
    return {"workflow": "resize", "payload": payload}


def test_twenty_jobs_give_twenty_results_whose_urls_answer(queue):
    colors = [(index * 12, 255 - index * 12, 40) for index in range(20)]
    jobs = [
        queue.submit(resize(color="#{:02x}{:02x}{:02x}".format(*color), width=32 + index, height=24))
        for index, color in enumerate(colors)
    ]
    for index, (job, color) in enumerate(zip(jobs, colors, strict=True)):
        output = queue.wait(job, 90)["output"]["outputs"][0]
        answer = requests.get(output["url"], timeout=20)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == output["content_type"] == "image/png"
        assert hashlib.sha256(answer.content).hexdigest() == output["sha256"]
        assert len(answer.content) == output["size_bytes"]
        assert f"/made/here/resize/{job}/" in output["url"]
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == (output["width"], output["height"]) == (32 + index, 24)
        assert picture.convert("RGB").getpixel((5, 5)) == color


def test_a_result_says_what_was_run(queue):
    output = result_of(queue, resize(width=16))["output"]
    assert (output["workflow"], output["version"]) == ("resize", "1.0")
    assert output["values"] == {"image": None, "color": "#336699", "width": 16, "height": 0, "method": "lanczos"}
    assert set(output["timings"]) == {"fetch", "queue", "execute", "store", "total"}
    assert output["outputs"][0]["expires_at"].endswith("Z")
    assert output["warnings"] == []


def test_txt2img_on_a_checkpoint(queue, checkpoint):
    job_input = {
        "workflow": "txt2img",
        "payload": {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "ckpt_name": checkpoint, "batch_size": 2},
    }
    output = result_of(queue, job_input)["output"]
    assert [(each["index"], each["width"]) for each in output["outputs"]] == [(0, 64), (1, 64)]
    assert 0 <= output["values"]["seed"] < 2**53


def test_a_picture_goes_in_as_base64_and_comes_out_scaled(queue):
    picture = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 10, 90)).save(picture, "PNG")
    encoded = base64.b64encode(picture.getvalue()).decode()
    output = result_of(queue, resize(image=encoded, width=20))["output"]
    assert (output["outputs"][0]["width"], output["outputs"][0]["height"]) == (20, 10)
    assert encoded not in json.dumps(output)
    assert output["values"]["image"].endswith(".png")


@pytest.mark.parametrize(
    ("job_input", "code", "words"),
    [
        (resize(colour="#ffffff"), "invalid_payload", 'did you mean "color"?'),
        (resize(width=5000), "invalid_payload", "width: must be at most 4096 (got 5000)"),
        (resize(image="QUJDREVG"), "input_rejected", "image"),
        (resize(image="http://127.0.0.1:9/cat.png"), "input_rejected", "image"),
        (resize(image="/etc/hostname"), "input_rejected", "image"),
        (resize(image="@/etc/hostname"), "input_unavailable", "not allowed here"),
        ({"workflow": "resise", "payload": {}}, "unknown_workflow", 'did you mean "resize"?'),
        ({"workflow": "../resize", "payload": {}}, "unknown_workflow", "unknown workflow"),
        ({"workflow": "resize", "paylod": {}}, "invalid_request", 'did you mean "payload"?'),
        ({"action": "fly"}, "invalid_request", "action"),
        ({"prompt": "a cat"}, "invalid_request", "unknown key"),
        ({"payload": {}}, "invalid_request", "workflow: is missing"),
        ("a cat", "invalid_request", "must be the JSON of an object"),
        ([], "invalid_request", "must be an object (got an array)"),
    ],
)
def test_a_wrong_request_is_refused_with_an_answer_that_helps(queue, job_input, code, words):
    posted = result_of(queue, job_input)
    assert posted["error"].startswith(f"{code}: ")
    assert words in posted["error"]
    failure = posted["output"]["failure"]
    assert failure["code"] == code
    assert failure["retryable"] is False
    assert str(ROOT) not in json.dumps(posted)
    assert "Traceback" not in json.dumps(posted)


def test_a_bucket_beside_the_input_is_refused_unless_the_operator_allows_it(queue):
    own = {"accessId": "id", "accessSecret": "hush-hush", "bucketName": "b", "endpointUrl": "https://example.org"}
    posted = queue.wait(queue.submit(resize(width=16), s3Config=own), 60)
    assert "ALLOW_S3_CONFIG" in posted["error"]
    assert "hush-hush" not in json.dumps(posted) + queue.log.read_text()


def test_an_input_of_null_is_refused_too(queue):
    # The SDK itself answers a job whose input is missing.
    assert "error" in result_of(queue, None)


def test_list_describe_render_and_health(queue):
    listed = {each["name"]: each["status"] for each in result_of(queue, {"action": "list"})["output"]["workflows"]}
    assert listed.items() >= {"txt2img": "ready", "img2img": "ready", "resize": "ready"}.items()
    described = result_of(queue, {"action": "describe", "workflow": "txt2img"})["output"]
    assert described["payload"]["properties"]["steps"]["maximum"] == 150
    rendered = result_of(queue, {"action": "render", "workflow": "resize", "payload": {"width": 9}})["output"]
    assert rendered["graph"]["3"]["inputs"]["width"] == 9
    health = result_of(queue, {"action": "health"})["output"]
    assert health["status"] == "ok"
    assert health["comfyui"]["version"]


def slow(checkpoint, seed):
    payload = {"prompt": "x", "steps": 150, "width": 128, "height": 128, "ckpt_name": checkpoint, "seed": seed}
    return {"workflow": "txt2img", "payload": payload}


def test_a_cancelled_job_stops_posts_nothing_and_the_next_one_runs(queue, checkpoint, comfy, wait_until):
    job = queue.submit(slow(checkpoint, 1))
    queue.wait_progress(job)
    queue.cancel(job)
    assert result_of(queue, resize(width=17))["output"]["outputs"][0]["width"] == 17
    assert queue.result(job) is None
    wait_until(lambda: not any(comfy.client.queue()))


def test_a_job_that_somebody_stops_in_comfyui_is_answered(queue, checkpoint, comfy):
    job = queue.submit(slow(checkpoint, 6))
    queue.wait_progress(job)
    (running,), _ = comfy.client.queue()
    posted = None
    while posted is None:  # an interrupt can miss, and is then repeated
        comfy.client.interrupt(running)
        try:
            posted = queue.wait(job, 5)
        except TimeoutError:
            continue
    assert posted["error"].startswith("cancelled: ")


def test_progress_goes_up_and_nothing_comes_after_the_result(queue, checkpoint):
    job = queue.submit({**slow(checkpoint, 2), "timeout_seconds": 600})
    queue.wait_progress(job)
    posts = queue.posts(job)
    assert posts[0]["output"]["fraction"] <= 1
    assert posts[0]["output"]["node"]
    queue.cancel(job)


def test_progress_in_order_until_the_result(queue, checkpoint):
    payload = {"prompt": "x", "steps": 60, "width": 64, "height": 64, "ckpt_name": checkpoint, "seed": 3}
    job = queue.submit({"workflow": "txt2img", "payload": payload})
    queue.wait(job, 110)
    result_of(queue, resize(width=18))  # another job's time for anything late to arrive
    posts = queue.posts(job)
    fractions = [post["output"]["fraction"] for post in posts[:-1]]
    assert fractions == sorted(fractions)
    assert posts[-1]["output"]["workflow"] == "txt2img"


def test_a_request_may_decline_progress(queue, checkpoint):
    payload = {"prompt": "x", "steps": 60, "width": 64, "height": 64, "ckpt_name": checkpoint, "seed": 4}
    job = queue.submit({"workflow": "txt2img", "payload": payload, "progress": False})
    queue.wait(job, 110)
    assert len(queue.posts(job)) == 1


def test_a_time_limit_ends_the_job_and_says_where_it_stood(queue, checkpoint):
    posted = result_of(queue, {**slow(checkpoint, 5), "timeout_seconds": 0.5})
    assert posted["error"].startswith("execution_timeout: ")
    assert posted["output"]["failure"]["retryable"] is True


def test_without_a_bucket_results_come_inline(inline_queue):
    output = result_of(inline_queue, resize(width=20, height=20))["output"]["outputs"][0]
    picture = base64.b64decode(output["base64"])
    assert Image.open(io.BytesIO(picture)).size == (20, 20)
    assert hashlib.sha256(picture).hexdigest() == output["sha256"]


def test_a_result_that_does_not_fit_inline_says_what_to_do(inline_queue):
    noise = io.BytesIO()
    Image.effect_noise((600, 600), 90).convert("RGB").save(noise, "PNG")
    job_input = resize(image=base64.b64encode(noise.getvalue()).decode(), width=1200)
    posted = result_of(inline_queue, job_input)
    assert posted["error"].startswith("result_too_large: ")
    assert "bucket" in posted["error"]


def test_nothing_of_a_job_but_its_failure_is_logged(queue):
    result_of(queue, resize(width=19))
    log = queue.log.read_text()
    assert "Traceback" not in log
    assert "made/here/" not in log  # the prefix alone is on the screen of the start


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "tests" / "inputs").glob("*.json"))])
def test_the_request_files_run_with_test_input(comfy_url, name):
    request = (ROOT / "tests" / "inputs" / f"{name}.json").read_text()
    done = run_handler(worker_environment(comfy_url, LOG_LEVEL="INFO"), "--test_input", request)
    printed = done.stdout + done.stderr
    if name == "misspelt":
        assert "invalid_payload" in printed
    else:
        assert done.returncode == 0, printed
        assert "error" not in printed.lower()
    assert "Traceback" not in printed


def test_the_local_api_of_the_sdk_runs_a_job(comfy_url, tmp_path, wait_until):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "handler.py"), "--rp_serve_api", "--rp_api_port", str(port)],
        env=worker_environment(comfy_url),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/docs"))
        body = json.loads((ROOT / "tests" / "inputs" / "resize.json").read_text())
        reply = requests.post(f"http://127.0.0.1:{port}/runsync", json=body, timeout=60).json()
        assert reply["status"] == "COMPLETED"
        assert reply["output"]["outputs"][0]["width"] == 96
    finally:
        process.terminate()
        process.wait(15)


def answers(url):
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k"}, ["S3_SECRET_ACCESS_KEY"]),
        ({"S3_ENDPOINT_URL": "https://s3.example.org"}, ["S3_BUCKET"]),
        ({"TIMEOUT_SECONDS": "soon", "STORAGE": "tape"}, ["TIMEOUT_SECONDS", "STORAGE"]),
        ({"WORKFLOWS_PATH": "/nowhere"}, ["/nowhere"]),
        ({"COMFY_URL": ""}, ["COMFY_URL", "COMFY_HOME"]),
    ],
)
def test_wrong_settings_end_the_worker_at_once_with_the_names(comfy_url, settings, words):
    done = run_handler(worker_environment(comfy_url) | settings, "--test_input", '{"input": {"action": "list"}}')
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
