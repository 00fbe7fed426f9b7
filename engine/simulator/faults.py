"""What a simulator is to do wrong, and when: a script of faults, each of which fires so often and is then done with.

A fault is `{"fault": KIND, …}`; the keys that a kind takes are in `KINDS`, their meaning in docs/simulator.md.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.wording import did_you_mean, kind_of, listed, shown

_NODE = frozenset({"node", "step"})
_ANSWER = frozenset({"path", "method"})

KINDS: Mapping[str, frozenset[str]] = {
    # of the process
    "kill": _NODE | _ANSWER,
    "exit": _NODE | _ANSWER,
    "freeze": _NODE | _ANSWER | {"seconds"},
    "no_start": frozenset(),
    "slow_start": frozenset({"seconds"}),
    # of the prompt that runs
    "hang": _NODE | {"seconds"},
    "out_of_memory": _NODE,
    "disk_full": frozenset({"node"}),
    "grey": frozenset({"node"}),
    "lose_prompt": frozenset(),
    "lag_history": frozenset({"seconds"}),
    "cached_but_gone": frozenset(),
    # of the answers
    "ignore_interrupt": frozenset(),
    "status": _ANSWER | {"code", "body"},
    "delay": _ANSWER | {"seconds"},
    "drop_answer": _ANSWER,
    # of the websocket
    "drop_socket": _NODE,
    "silent_socket": _NODE | {"seconds"},
    "late_socket": _NODE | {"seconds"},
    "false_end": _NODE,
    "flood": _NODE | {"frames"},
    "reorder": frozenset({"event"}),
    "duplicate": frozenset({"event"}),
    "truncate": frozenset({"event"}),
    "unknown": frozenset({"event"}),
    "lose_frame": frozenset({"event"}),
}
"""The kinds of faults, with the keys that each takes beside `fault`, `times` and `after`."""

_NEEDED = {
    "slow_start": "seconds",
    "lag_history": "seconds",
    "late_socket": "seconds",
    "status": "path",
    "delay": "path",
    "drop_answer": "path",
}
ENDING = frozenset({"kill", "exit", "no_start", "slow_start"})
"""The kinds that only a simulator in a process of its own can have."""

_KEYS = frozenset({"fault", "times", "after"}).union(*KINDS.values())
_TEXTS = ("node", "path", "method", "event")
_COUNTS = {"step": 0, "code": 200, "frames": 1, "times": 1, "after": 0}


class FaultScriptError(ValueError):
    """A script of faults is wrong; the message says where and what is allowed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to do wrong.

    Attributes:
        kind: one of `KINDS`.
        node: only at a node of this class.
        step: only when a node reports this step; without, as a node begins.
        path: only when this path, or one below, is asked.
        method: only of such requests: `GET`, `POST`.
        code: the status to answer with.
        body: what to answer, as JSON.
        event: only frames of this type; `end` is the end marker, `picture` a binary frame.
        seconds: how long; None is for ever.
        frames: how many.
        times: how often it fires; None is always.
        after: how many chances to let pass first.
    """

    kind: str
    node: str | None = None
    step: int | None = None
    path: str | None = None
    method: str | None = None
    code: int = 500
    body: Any = None
    event: str | None = None
    seconds: float | None = None
    frames: int = 10_000
    times: int | None = 1
    after: int = 0

    @classmethod
    def read(cls, document: Any, where: str = "fault") -> Fault:
        """Read a fault of a script.

        Raises:
            FaultScriptError: it is none.
        """
        if not isinstance(document, Mapping):
            raise FaultScriptError(f"{where}: must be an object (got {kind_of(document)})")
        kind = document.get("fault")
        if not isinstance(kind, str) or kind not in KINDS:
            guess = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
            raise FaultScriptError(f"{where}.fault: no such kind {shown(kind)}{guess}; there are {listed(KINDS)}")
        allowed = KINDS[kind] | {"fault", "times", "after"}
        for key, value in document.items():
            if key not in allowed:
                raise FaultScriptError(f"{where}.{key}: {kind} takes {listed(sorted(allowed))}")
            _check(key, value, f"{where}.{key}")
        if _NEEDED.get(kind, "fault") not in document or (kind == "delay" and "seconds" not in document):
            needed = "path and seconds" if kind == "delay" else _NEEDED[kind]
            raise FaultScriptError(f"{where}: {kind} needs {needed}")
        if "path" in document and _NODE & set(document):
            raise FaultScriptError(f"{where}: either at a node or step, or at a path")
        return cls(kind=kind, **{key: value for key, value in document.items() if key != "fault"})

    def document(self) -> dict[str, Any]:
        """As a script says it."""
        plain = Fault(self.kind)
        keys = sorted(KINDS[self.kind] | {"times", "after"})
        said = {key: getattr(self, key) for key in keys if getattr(self, key) != getattr(plain, key)}
        return {"fault": self.kind, **said}

    def at_path(self, method: str, path: str) -> bool:
        """Whether it is a fault of such a request."""
        if self.path is None or (self.method or method).upper() != method:
            return False
        below = self.path.rstrip("/") + "/"
        return path == self.path or path.startswith(below)

    def at_node(self, class_type: str, step: int) -> bool:
        """Whether it is a fault of a node of that class at that step; 0 is its beginning."""
        return self.path is None and self.node in {None, class_type} and (self.step or 0) == step

    def at_frame(self, event: str, *, end: bool) -> bool:
        """Whether it is a fault of a frame of that type."""
        return self.event in {None, event} or (end and self.event == "end")


def _check(key: str, value: Any, where: str) -> None:
    if key in _TEXTS and not isinstance(value, str):
        raise FaultScriptError(f"{where}: must be a string (got {kind_of(value)})")
    if key in _COUNTS and not (key == "times" and value is None):
        least = _COUNTS[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            always = ", or null for always" if key == "times" else ""
            raise FaultScriptError(f"{where}: must be an integer of at least {least}{always} (got {shown(value)})")
    if key == "seconds" and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise FaultScriptError(f"{where}: must be a number above 0 (got {shown(value)})")
    if key == "path" and not value.startswith("/"):
        raise FaultScriptError(f"{where}: must begin with / (got {shown(value)})")


class Faults:
    """The faults that are still to come, in order. Any thread may use it.

    Args:
        script: the first of them.
        file: a JSON list of more; each that fires is crossed out there before it does anything, so that a process
            that it ends does not have it again when it is started anew. What is added later is added there too.
        own_process: whether the simulator has its process to itself, and may end it.

    Raises:
        FaultScriptError: the script or the file is wrong.
        OSError: the file can't be read.
    """

    def __init__(self, script: Iterable[Any] = (), *, file: Path | None = None, own_process: bool = False) -> None:
        self.own_process = own_process
        self._file = file
        self._lock = threading.Lock()
        self._coming: list[Fault] = []
        if file is not None:
            self._coming = self._read(_parsed(file), file.name)
        self.add(*script)

    def add(self, *faults: Any) -> None:
        """Add faults after those that are still to come; all or, where one is wrong, none.

        Args:
            faults: as a script says them.

        Raises:
            FaultScriptError: one is wrong.
        """
        more = self._read(faults, "faults")
        with self._lock:
            self._coming += more
            if more:
                self._write()

    def clear(self) -> None:
        """Have no more faults."""
        with self._lock:
            self._coming = []
            self._write()

    def coming(self) -> list[dict[str, Any]]:
        """What is still to come, as a script."""
        with self._lock:
            return [fault.document() for fault in self._coming]

    def take(self, kinds: Collection[str], fits: Callable[[Fault], bool] = lambda _: True) -> Fault | None:
        """The first fault of those kinds that fits here and now, crossed out; None for none."""
        with self._lock:
            before, found = list(self._coming), None
            for index, fault in enumerate(before):
                if fault.kind not in kinds or not fits(fault):
                    continue
                if fault.after:
                    self._coming[index] = replace(fault, after=fault.after - 1)
                    continue
                found = fault
                if fault.times is not None:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._coming[index : index + 1] = left
                break
            if self._coming != before:
                self._write()
            return found

    def _read(self, documents: Iterable[Any], where: str) -> list[Fault]:
        faults = [Fault.read(document, f"{where}[{index}]") for index, document in enumerate(documents)]
        for index, fault in enumerate(faults):
            if fault.kind in ENDING and not self.own_process:
                raise FaultScriptError(
                    f"{where}[{index}].fault: {fault.kind} would end the process that this simulator is a part of; "
                    "start one of its own with python -m engine.simulator"
                )
        return faults

    def _write(self) -> None:
        """Have the file say what is still to come; whoever ends us meanwhile leaves the old one or the new one."""
        if self._file is None:
            return
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        with part.open("w", encoding="utf-8") as file:
            json.dump([fault.document() for fault in self._coming], file, indent=1)
        part.replace(self._file)


def _parsed(file: Path) -> list[Any]:
    try:
        script = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FaultScriptError(f"{file.name}: is not JSON: {error}") from error
    if not isinstance(script, list):
        raise FaultScriptError(f"{file.name}: must be an array of faults (got {kind_of(script)})")
    return script
