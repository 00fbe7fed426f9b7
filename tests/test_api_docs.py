"""The examples of docs/api.md work, one after the other, on a server of one's own."""

import re
import subprocess

from PIL import Image
from support.local_server import local_server
from support.workflows import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_examples_work_one_after_the_other(tmp_path):
    Image.new("RGB", (96, 72), "red").save(tmp_path / "cat.png")
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    with local_server(tmp_path, WORKFLOWS="resize") as server:
        for block in blocks:
            # --fail-with-body: a status of failure ends the block.
            script = block.replace("http://127.0.0.1:8000", server.url).replace("curl -s", "curl --fail-with-body -s")
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
            assert done.stdout
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "cat.png").read_bytes()
