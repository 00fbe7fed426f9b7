"""Compares an environment with its lock: on the disk before it is started, and what it provides once it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.environments.reading import Environment
from engine.errors import InvalidMap
from engine.installations import release_of
from engine.snapshots.lock import Lock, differences, lock_of, read_lock


def lock_of_environment(environment: Environment) -> Lock:
    """Its lock.

    Raises:
        ValueError: it has none, or one that can't be read; with what is wrong, for the operator.
    """
    if not environment.lock.is_file():
        raise ValueError(
            f"it has no lock ({environment.lock} is not there): start it once with COMFY_HOME={environment.home}, and "
            "make the lock of it: engine snapshot freeze --from URL"
        )
    try:
        return read_lock(environment.lock)
    except InvalidMap as error:
        raise ValueError(f"its lock can't be read: {error}") from error


def differences_on_disk(environment: Environment, lock: Lock, args: Sequence[str]) -> list[str]:
    """What can be told of an environment that does not run, in words; none where it is as its lock says.

    That is ComfyUI with its version and commit, and the packs with theirs. Which classes they give is told by none.

    Args:
        environment: which.
        lock: its lock.
        args: what it is to be started with: `--base-directory` says where its packs are.
    """
    home = environment.home
    if not (home / "main.py").is_file():
        return [f"ComfyUI is not there: {home} holds no main.py"]
    found = []
    if environment.python and not environment.python.is_file():
        found.append(f"its Python is not there: {environment.python}")
    version = release_of(home) or lock.comfyui.version  # before 0.3.10 it is not written down
    there = lock_of({}, {"system": {"comfyui_version": version, "argv": list(args)}}, home)
    packs = {name: pack.model_copy(update={"classes": ()}) for name, pack in lock.packs.items()}
    return [*found, *differences(lock.model_copy(update={"packs": packs}), there)]


def differences_of_running(
    environment: Environment, lock: Lock, object_info: Mapping[str, Any], system_stats: Mapping[str, Any]
) -> list[str]:
    """What a running environment lacks of its lock, in words; none where it has all of it.

    Args:
        environment: which.
        lock: its lock.
        object_info: what its `/object_info` says.
        system_stats: what its `/system_stats` says.
    """
    return differences(lock, lock_of(object_info, system_stats, environment.home))
