"""Starting, watching and ending a ComfyUI of our own. A small script stands in for `main.py`."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from support.graphs import picture, text_to_image

from engine.comfyui import Bounds, ComfyClient, ComfyProcess, ComfyUI
from engine.errors import ComfyUnavailable

STAND_IN = """
import http.server, json, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({"system": {"arguments": sys.argv[1:]}}).encode())
print("Starting server", flush=True)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


@pytest.fixture
def home(tmp_path):
    """A function: put a `main.py` of that text into a folder, give a process of it."""

    def make(main, **more):
        folder = tmp_path / "home"
        folder.mkdir(exist_ok=True)
        (folder / "main.py").write_text(main)
        more = {"log_file": tmp_path / "logs" / "comfyui.log", "start_timeout": 60} | more
        processes.append(ComfyProcess(folder, **more))
        return processes[-1]

    processes = []
    yield make
    for process in processes:
        process.stop()


def answers(process):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", process.port)) == 0


def failure(process):
    with pytest.raises(ComfyUnavailable) as caught:
        process.start()
    assert not process.alive
    return caught.value


def test_it_is_started_with_its_arguments_and_ended(home):
    with home(STAND_IN, args=["--cpu"]) as process:
        assert process.alive
        client = ComfyClient(process.url)
        arguments = client.system_stats()["system"]["arguments"]
        client.close()

    assert arguments == [
        *("--listen", "127.0.0.1", "--port", str(process.port), "--disable-auto-launch", "--cpu"),
    ]
    assert not process.alive
    assert not answers(process)
    assert "Starting server" in process.log.path.read_text()


def test_a_restart_keeps_the_address(home):
    process = home(STAND_IN)
    process.start()
    before = process.url

    process.restart()

    assert process.url == before
    assert answers(process)


def test_one_that_ends_is_reported_with_the_end_of_its_log(home):
    error = failure(home("print('loading\\nno GPU found'); raise SystemExit(3)"))

    assert error.message == "ComfyUI was started and ended at once with status 3"
    assert "comfyui.log" in error.hint
    assert error.detail.endswith("loading\nno GPU found")
    assert "/" not in error.message + error.hint
    assert error.retryable


def test_one_that_never_answers_is_ended(home):
    error = failure(home("import time\nwhile True: time.sleep(1)", start_timeout=0.5))

    assert error.message == "ComfyUI was started and did not answer within 0.5 s"


def test_one_that_ignores_the_gentle_way_is_killed(home):
    ignoring = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STAND_IN
    with home(ignoring, stop_timeout=0.2) as process:
        pass

    assert not answers(process)


def test_a_folder_without_comfyui_is_told(tmp_path):
    error = failure(ComfyProcess(tmp_path, log_file=tmp_path / "log"))

    assert "COMFY_HOME" in error.message + error.hint


def test_a_taken_port_is_told(home):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"port {port}" in failure(home(STAND_IN, port=port)).message


def test_a_python_that_is_not_there_is_told(home, tmp_path):
    error = failure(home(STAND_IN, python=tmp_path / "no-python"))

    assert "can't be started" in error.message


def test_a_python_of_its_own_is_preferred(home, tmp_path):
    ours = tmp_path / "home" / "venv" / "bin"
    ours.mkdir(parents=True)
    (ours / "python").write_text(f'#!/bin/sh\necho its own python\nexec "{sys.executable}" "$@"\n')
    (ours / "python").chmod(0o755)

    with home(STAND_IN) as process:
        assert "its own python" in process.log.path.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_it_ends_with_us_even_if_we_are_killed(home, wait_until):
    process = home(STAND_IN)
    starter = (
        "import os, signal, sys; from pathlib import Path; from engine.comfyui import ComfyProcess\n"
        "ComfyProcess(Path(sys.argv[1]), port=int(sys.argv[2]), log_file=Path(sys.argv[3])).start()\n"
        "print('up', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    arguments = [str(process.home), str(process.port), str(process.log.path)]
    ended = subprocess.run([sys.executable, "-c", starter, *arguments], stdout=subprocess.PIPE, text=True, check=False)

    assert ended.stdout == "up\n"
    assert ended.returncode == -signal.SIGKILL
    wait_until(lambda: not answers(process))


@pytest.mark.comfyui
def test_a_real_one_runs_dies_and_runs_again(comfy_process, run, wait_until):
    comfy_process.start()
    with ComfyUI(comfy_process.url, bounds=Bounds(patience=0.5)) as comfy:
        assert "4" in run(picture(), comfy=comfy).outputs

        seen = []

        def kill(progress):
            if progress.step >= 1 and not seen:
                seen.append(progress)
                os.kill(comfy_process.pid, signal.SIGKILL)

        with pytest.raises(ComfyUnavailable, match="stopped answering while running"):
            run(text_to_image("random_sd15.safetensors", steps=10_000), comfy=comfy, on_progress=kill)
        wait_until(lambda: not comfy_process.alive)

        comfy_process.start()
        assert "4" in run(picture(), comfy=comfy).outputs
