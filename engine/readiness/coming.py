"""The models that are being fetched, and those that can't be had."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from engine.model_folders import is_same


class Coming:
    """What a fetch that runs beside the jobs is at. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._failed: dict[str, str] = {}
        self._fetched = 0
        self._begun = False

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and any(is_same(path, each) for each in [*self._paths])

    def begin(self, paths: Iterable[str]) -> None:
        """These are fetched now."""
        with self._lock:
            self._begun = True
            self._paths = set(paths)

    def ended(self, path: str, problem: str = "") -> None:
        """One is over.

        Args:
            path: which.
            problem: why it can't be had; empty where it is there.
        """
        with self._lock:
            self._paths.discard(path)
            if problem:
                self._failed[path] = problem
            else:
                self._fetched += 1

    def failed(self, problem: str) -> None:
        """Nothing can be fetched at all."""
        with self._lock:
            self._begun = True
            self._paths = set()
            self._failed[""] = problem

    def told(self) -> dict[str, Any] | None:
        """How it stands, in JSON's types; None where nothing was to be fetched."""
        with self._lock:
            if not self._begun:
                return None
            return {
                "coming": sorted(self._paths),
                "fetched": self._fetched,
                "failed": [{"name": path, "message": message} for path, message in sorted(self._failed.items())],
            }
