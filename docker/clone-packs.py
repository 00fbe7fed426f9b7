"""Clones the node packs of a snapshot, each at its commit: clone-packs.py SNAPSHOT.json CUSTOM_NODES REST.json.

Afterwards, clone-packs.py REST.json CUSTOM_NODES looks whether what comfy-cli installed is there.

A step of the image's build, with nothing but Python's own library. comfy-cli has ComfyUI-Manager restore a snapshot,
which (tried with 4.3) clones every pack at the tip of its branch, whatever commit the snapshot has, those too that are
disabled, and ends with status 0 where it could not. What is of the registry it installs in the version that is asked
for: those packs go into REST.json, a snapshot for it, which is not written where there are none.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OWN = "websocket_image_save.py"  # comes with ComfyUI
MANAGER = "comfyui-manager"
COMMIT = re.compile(r"[0-9a-f]{7,64}")
SHAPE = {"git_custom_nodes": (dict, dict), "cnr_custom_nodes": (dict, str), "file_custom_nodes": (list, dict)}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; gives what was wrong, or nothing."""
    done = subprocess.run(
        ["git", "-c", "advice.detachedHead=false", "-C", str(folder), *arguments],
        env=os.environ | {"GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip() or f"git ended with status {done.returncode}"


def clone(url: str, commit: str | None, target: Path) -> str:
    """Clone a repository at a commit; gives what was wrong, or nothing."""
    if not COMMIT.fullmatch(str(commit)):
        return "the snapshot does not say which commit"
    if target.exists():
        return f"{target} is there already"
    target.mkdir(parents=True)
    wrong = git(target, "init", "--quiet") or git(target, "remote", "add", "origin", url)
    # Not every server gives a commit by itself.
    if not wrong and git(target, "fetch", "--quiet", "--depth", "1", "origin", commit):
        wrong = git(target, "fetch", "--quiet", "--tags", "origin")
    wrong = wrong or git(target, "checkout", "--quiet", "--detach", commit)
    wrong = wrong or git(target, "submodule", "--quiet", "update", "--init", "--recursive")
    if wrong:
        shutil.rmtree(target)
    return wrong


def read(file: Path) -> dict[str, Any]:
    """The snapshot in a file, with what it lacks empty; ends the program where it is none."""
    try:
        snapshot = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        sys.exit(f"{file.name} can't be read as JSON: {error}")
    if not isinstance(snapshot, dict) or not SHAPE.keys() & snapshot.keys():
        sys.exit(f"{file.name} is no snapshot of ComfyUI-Manager")
    for key, (whole, part) in SHAPE.items():
        found = snapshot[key] = snapshot.get(key) or whole()
        right = isinstance(found, whole)
        if not right or not all(isinstance(each, part) for each in (found.values() if whole is dict else found)):
            sys.exit(f"{file.name}: {key} is not as ComfyUI-Manager writes it; engine snapshot list says more")
    return snapshot


def packs(snapshot: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """URL and commit of the packs that are clones, without those that are disabled."""
    for url, pack in snapshot["git_custom_nodes"].items():
        if not pack.get("disabled") and MANAGER not in url.lower():
            yield url, pack.get("hash")


def main(snapshot_file: Path, custom_nodes: Path, rest_file: Path) -> int:
    """Clone what there is to clone; gives the status."""
    snapshot = read(snapshot_file)
    problems = []
    for url, commit in packs(snapshot):
        name = url.rstrip("/").rpartition("/")[2].removesuffix(".git")
        wrong = clone(url, commit, custom_nodes / name)
        if wrong:
            problems.append(f"{name}: {url} at {commit} can't be cloned:\n{wrong}")
        else:
            print(f"{name}: {url} at {commit}")
    for file in snapshot["file_custom_nodes"]:
        name = Path(str(file.get("filename", ""))).name
        beside, target = snapshot_file.parent / name, custom_nodes / name
        if file.get("disabled") or target.exists() or name == OWN:
            continue
        if beside.is_file():
            shutil.copyfile(beside, target)
            print(f"{target.stem}: {beside.name}, which lies beside the snapshot")
        else:
            problems.append(f"{target.stem}: nothing says where {beside.name} is from; put it beside the snapshot")
    registry = {name: at for name, at in snapshot["cnr_custom_nodes"].items() if MANAGER not in name.lower()}
    if registry:
        rest = {"git_custom_nodes": {}, "cnr_custom_nodes": registry, "file_custom_nodes": [], "pips": {}}
        rest_file.write_text(json.dumps(rest))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def look(rest_file: Path, custom_nodes: Path) -> int:
    """Say which packs of the registry are not there; gives the status."""
    there = set()
    for project in custom_nodes.glob("*/pyproject.toml"):
        if (project.parent / ".tracking").is_file():
            # Of one that can't be read, the name is not known: it is told as missing, and not as a fault of this file.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                there.add(str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"]).strip().lower())
    missing = [
        f"{name} {version}"
        for name, version in json.loads(rest_file.read_text())["cnr_custom_nodes"].items()
        if name.lower() not in there
    ]
    for each in missing:
        print(f"{each}: comfy-cli could not install it from the registry", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    paths = [Path(text) for text in sys.argv[1:]]
    sys.exit(main(*paths) if len(paths) > 2 else look(*paths))
