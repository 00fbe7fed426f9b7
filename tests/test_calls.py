"""The example calls, executed: what arrives at the endpoint is the payload, whatever is in it."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.command import NODE

from engine.authoring.calls import LANGUAGES, RUNPOD_URL, example_call

HOSTILE = [
    'it\'s "quoted" `whoami` $(whoami) $HOME ${HOME} !! \\ \\\' \\" \\n %s {braces} <b> & | ; # *',
    "two\nlines\r\nand\ttabs\nJSON\n'JSON'\nEOF",
    "\N{HEAVY BLACK HEART}\ufe0f \N{GRINNING FACE} \u00e4\u00f6\u00fc \u65e5\u672c \u2028 \u2029 \x7f \x1b[31m \x00",
    "'; exit 1; '",
    '"}}); process.exit(1); ({"',
    "\ud800 half a character",
]
PAYLOAD = {
    "prompt": "a lighthouse",
    "on": True,
    "off": False,
    "none": None,
    "seed": 2**64 - 1,
    "small": 2**53 - 1,
    "strength": 0.1,
    "list": [],
    "object": {},
    "loras": [{"name": "it's.safetensors", "strength": -1e-7}, {"__proto__": "x"}],
}


class Endpoint(ThreadingHTTPServer):
    """Stands for RunPod: keeps what it is sent, and answers with one output."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.status = "COMPLETED"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v2/ENDPOINT_ID"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        outputs = [{"name": "image", "filename": "a.png", "url": "https://example.com/a.png"}]
        reply = {"id": "job-1", "status": self.server.status, "output": {"outputs": outputs}}
        if self.server.status == "FAILED":
            reply = {"id": "job-1", "status": "FAILED", "error": "invalid_payload: steps: too many"}
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def endpoint():
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def execute(language, text, folder):
    """Run a call as its reader would: saved to a file, in a shell of its own."""
    if language == "curl" and not shutil.which("curl"):
        pytest.skip("needs curl on the PATH")
    suffix, command = {
        "curl": (".sh", ["sh"]),
        "python": (".py", [sys.executable]),
        "javascript": (".mjs", [NODE]),
    }[language]
    script = folder / f"call{suffix}"
    script.write_text(text + "\n", encoding="utf-8", newline="")
    environment = {"PATH": os.environ["PATH"], "RUNPOD_API_KEY": "key-of-the-test", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [*command, str(script)], env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("prompt", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_prompt_arrives_as_it_is(language, prompt, endpoint, tmp_path):
    payload = {"prompt": prompt, "seed": 7, "flag": True}
    done = execute(language, example_call(language, "txt2img", payload, url=endpoint.url), tmp_path)
    assert done.returncode == 0, done.stderr
    ((path, headers, body),) = endpoint.requests
    assert path == "/v2/ENDPOINT_ID/runsync"
    assert headers["Authorization"] == "Bearer key-of-the-test"
    assert headers["Content-Type"] == "application/json"
    assert body == {"input": {"workflow": "txt2img", "payload": payload}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_type_arrives_exactly(language, endpoint, tmp_path):
    done = execute(language, example_call(language, "txt2img", PAYLOAD, url=endpoint.url), tmp_path)
    assert done.returncode == 0, done.stderr
    assert endpoint.requests[0][2]["input"]["payload"] == PAYLOAD


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_is_printed(language, endpoint, tmp_path):
    done = execute(language, example_call(language, "txt2img", {}, url=f"{endpoint.url}/"), tmp_path)
    assert "https://example.com/a.png" in done.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_why_a_job_failed_is_printed(language, endpoint, tmp_path):
    endpoint.status = "FAILED"
    done = execute(language, example_call(language, "txt2img", {}, url=endpoint.url), tmp_path)
    assert "invalid_payload: steps: too many" in done.stdout + done.stderr
    assert language == "curl" or done.returncode != 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_url_can_not_act_either(language, endpoint, tmp_path):
    done = execute(language, example_call(language, "x", {}, url=f"{endpoint.url}/it's$(whoami)"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert endpoint.requests[0][0].replace("%27", "'").startswith("/v2/ENDPOINT_ID/it's$(whoami)")


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_more_a_call_goes_to_runpod(language):
    assert f"{RUNPOD_URL}/runsync" in example_call(language, "txt2img", {})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(payload=st.dictionaries(st.text(max_size=6), values, max_size=4))
@example(payload={"prompt": HOSTILE[5]})
def test_python_reads_any_payload_as_it_is(payload):
    calls = [each for each in ast.walk(ast.parse(example_call("python", "x", payload))) if isinstance(each, ast.Call)]
    (sent,) = [word.value for call in calls for word in call.keywords if word.arg == "json"]
    assert ast.literal_eval(sent) == {"input": {"workflow": "x", "payload": payload}}
