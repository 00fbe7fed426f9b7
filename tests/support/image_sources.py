"""What the images are built from in tests, where it can't be fetched: ComfyUI, and RunPod's own ComfyUI image."""

import shutil
import subprocess
from pathlib import Path

VERSION = "0.8.0"
_LARGEST = 10_000_000  # bytes; what is larger is a model

_STAND_IN = {
    "main.py": "raise SystemExit('a stand-in: no ComfyUI is in this image')\n",
    "nodes.py": "",
    "requirements.txt": "aiohttp\npyyaml\ntorch\n",
    "comfyui_version.py": f'__version__ = "{VERSION}"\n',
    "models/checkpoints/put_checkpoints_here": "",
    "custom_nodes/example_node.py.example": "",
}

OVERLAY_BASE = """\
FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04
ARG PYTHON
ARG UV
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates ${PYTHON} ${PYTHON}-venv
RUN ${PYTHON} -m venv /opt/venv \\
    && /opt/venv/bin/pip install --no-cache-dir ${UV} \\
    && ln -s /opt/venv/bin/uv /usr/local/bin/uv
COPY comfyui/ /comfyui/
COPY start.sh /start.sh
COPY comfy-manager-set-mode /usr/local/bin/
CMD ["/start.sh"]
"""
"""What is in the real one, too: uv, ComfyUI, a start script that must not run, a way to set the Manager's mode."""


def comfyui_repository(folder, home):
    """A git repository with ComfyUI under the tag of its version; gives its version.

    Args:
        folder: where to.
        home: a real ComfyUI whose source is taken; None for a stand-in that can be installed, and does nothing.
    """
    if home:
        shutil.copytree(home, folder, ignore=_no_source, symlinks=True)
    else:
        for name, text in _STAND_IN.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    version = (folder / "comfyui_version.py").read_text().split('"')[1]
    git = ["git", "-C", folder, "-c", "user.name=tests", "-c", "user.email=tests@example.invalid"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        ["commit", "--quiet", "-m", "x"],
        ["tag", f"v{version}"],
    ):
        subprocess.run([*git, *words], check=True)
    return version


def overlay_base(folder):
    """What the stand-in for RunPod's own image is built from."""
    for name in _STAND_IN:
        (folder / "comfyui" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "comfyui" / name).write_text(_STAND_IN[name])
    (folder / "Dockerfile").write_text(OVERLAY_BASE)
    (folder / "start.sh").write_text("#!/bin/sh\necho the start script of the base image ran\n")
    (folder / "comfy-manager-set-mode").write_text('#!/bin/sh\necho "$1" >/comfyui/manager-mode\n')
    for name in ("start.sh", "comfy-manager-set-mode"):
        (folder / name).chmod(0o755)


def _no_source(folder, names):
    """Of a real ComfyUI: what was made or put there later."""
    made = {"user", "output", "temp", "input", ".git", "venv", ".venv"} if "main.py" in names else set()
    return {name for name in names if name in made | {"__pycache__"} or _is_model(Path(folder) / name)}


def _is_model(path):
    """Also one that tests have put there."""
    return path.suffix == ".safetensors" or path.is_symlink() or (path.is_file() and path.stat().st_size > _LARGEST)
