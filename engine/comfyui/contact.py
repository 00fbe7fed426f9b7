"""What a prompt is run with: the ways to its ComfyUI, and how long all may take."""

from __future__ import annotations

from dataclasses import dataclass

from engine.comfyui.client import ComfyClient
from engine.comfyui.events import EventStream
from engine.comfyui.watch import Watch


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a ComfyUI may leave us without what we wait for, in seconds.

    Attributes:
        patience: how long it may be gone during an execution, as for a restart of a proxy.
        silent: how long it may keep connections and answer nothing, as while it loads a large model.
        stall: how long an execution may make no progress; None for as long as it may run.
        stop: how long to try to stop a prompt; a node that looks for no interrupt outlasts it.
    """

    patience: float = 15.0
    silent: float = 60.0
    stall: float | None = None
    stop: float = 30.0


@dataclass(frozen=True, slots=True)
class Contact:
    """All that a ComfyUI is reached by.

    Attributes:
        client: to ask.
        events: to be told.
        watch: knows whether it runs.
        bounds: of time.
    """

    client: ComfyClient
    events: EventStream
    watch: Watch
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Allowed:
    """How long one prompt may take, in seconds.

    Attributes:
        seconds: for the execution, from its start in ComfyUI.
        queue_seconds: for the wait before that.
        waited_seconds: what is gone of that wait when it is queued.
    """

    seconds: float
    queue_seconds: float
    waited_seconds: float = 0.0
