"""What the running ComfyUI says it has, asked seldom.

ComfyUI 0.3.64 and 0.8.0 (server.py, folder_paths.py): `GET /models/KIND` lists the files of a kind, below all of its
folders, and looks again where a folder has changed; a kind that it does not know is a 404. Listed are the files of
certain endings. `GET /object_info/CLASS` is `{}` for a class that it does not have.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from engine.errors import ComfyUnavailable
from engine.model_folders import KINDS, kind_of

BELIEVED_SECONDS = 10.0
"""A file that was listed is taken to be there for so long. It may be asked for on the way of a job."""
MOMENT_SECONDS = 1.0
"""For so long one that is missing is not asked for again, unless a job needs it: a listing has many workflows."""
_SILENT_SECONDS = 5.0
"""One that does not answer is not asked again for so long: each job would wait for it."""

_T = TypeVar("_T")

_PATIENCE_SECONDS = 2.0
_ENDINGS = (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft")
_OTHER_KINDS = frozenset({"configs", "diffusers", "custom_nodes", "classifiers"})  # list other endings, or folders


class Asked(Protocol):
    """What is asked; `engine.comfyui.ComfyUI` can be."""

    @property
    def started(self) -> bool:
        """Whether it runs, as far as we know."""

    def model_files(self, kind: str, *, patience_seconds: float) -> Collection[str] | None:
        """The files of a kind, by their paths below its folders; None for a kind that it does not know."""

    def has_class(self, class_type: str, *, patience_seconds: float) -> bool:
        """Whether it has a node class."""


class Listing:
    """What the running ComfyUI has.

    Args:
        comfy: gives it; asked only while it runs.
    """

    def __init__(self, comfy: Callable[[], Asked]) -> None:
        self._comfy = comfy
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, frozenset[str] | None]] = {}
        self._classes: dict[str, float] = {}
        self._silent_until = 0.0

    def has(self, path: str, *, anew: bool = False) -> bool | None:
        """Whether it has a model file; None where that can't be told.

        Args:
            path: as ComfyUI sees it, kind first.
            anew: one that was missing a moment ago is asked for again.
        """
        folder, _, name = path.partition("/")
        kind = kind_of(folder)
        if kind in _OTHER_KINDS or (kind in KINDS and not name.lower().endswith(_ENDINGS)):
            return None
        found = self._lists(kind, name, anew)
        # Which endings a node pack's kind lists is the pack's to say.
        return None if not found and not name.lower().endswith(_ENDINGS) else found

    def _lists(self, kind: str, name: str, anew: bool) -> bool | None:
        """Whether it lists a file of a kind; None where that can't be told."""
        now = time.monotonic()
        with self._lock:
            when, files = self._kinds.get(kind, (None, None))
        if when is not None:
            age = now - when
            if files is not None and name in files and age < BELIEVED_SECONDS:
                return True
            if age < MOMENT_SECONDS and not anew:
                return None if files is None else name in files
        try:
            found = self._ask(lambda comfy: comfy.model_files(kind, patience_seconds=_PATIENCE_SECONDS))
        except ComfyUnavailable:
            return None
        files = None if found is None else frozenset(each.replace("\\", "/") for each in found)
        with self._lock:
            self._kinds[kind] = (time.monotonic(), files)
        return None if files is None else name in files

    @property
    def runs(self) -> bool:
        """Whether there is a ComfyUI that can be asked."""
        with contextlib.suppress(ComfyUnavailable):
            return self._comfy().started
        return False

    def forget(self) -> None:
        """Ask for everything again."""
        with self._lock:
            self._kinds.clear()
            self._classes.clear()

    def has_class(self, class_type: str, *, anew: bool = False) -> bool:
        """Whether it has a class that it had not before; false too where it does not answer."""
        with self._lock:
            when = self._classes.get(class_type)
        if when is not None and time.monotonic() - when < MOMENT_SECONDS and not anew:
            return False
        with contextlib.suppress(ComfyUnavailable):
            if self._ask(lambda comfy: comfy.has_class(class_type, patience_seconds=_PATIENCE_SECONDS)):
                return True
        with self._lock:
            self._classes[class_type] = time.monotonic()
        return False

    def _ask(self, question: Callable[[Asked], _T]) -> _T:
        if time.monotonic() < self._silent_until:
            raise ComfyUnavailable("ComfyUI did not answer a moment ago")
        comfy = self._comfy()
        if not comfy.started:
            raise ComfyUnavailable("ComfyUI does not run")
        try:
            return question(comfy)
        except ComfyUnavailable:
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            raise
