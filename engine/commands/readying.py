"""What the workflows lack on the machine that a command runs on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import ComfyUnavailable, SettingsError

if TYPE_CHECKING:
    from engine.readiness import Readiness


@contextlib.contextmanager
def readiness() -> Iterator[Readiness | None]:
    """What tells it; None where there is no ComfyUI, or where the settings are wrong, which other commands tell.

    A ComfyUI of COMFY_URL is asked; one of COMFY_HOME is not started for it, so that of its classes nothing is known.
    """
    from engine.starting.places import find

    found = find(os.environ)
    if not (found or os.environ.get("COMFY_URL") or os.environ.get("COMFY_HOME")):
        yield None
        return
    from engine.readiness import Readiness
    from engine.settings import load_settings

    try:
        settings = load_settings(found)
    except SettingsError:
        settings = None
    if settings is None:
        yield None
    elif url := settings.only_comfy_url:
        from engine.comfyui import ComfyUI
        from engine.live_nodes import LiveNodes

        with ComfyUI(url, connect_timeout=2.0, read_timeout=5.0) as comfy:
            live = LiveNodes(lambda: comfy)
            with contextlib.suppress(ComfyUnavailable):
                live.get()
            yield Readiness(settings, live, lambda: comfy)
    else:
        yield Readiness.by_disk(settings)


def missing_lines(line: dict[str, Any]) -> Iterator[str]:
    """What to print of the missing things of `Readiness.state`.

    Args:
        line: it, or a line of a listing that has it.
    """
    for each in line.get("missing", ()):
        yield f"missing: {each['name']}: {each['remedy']}"
    for each in line.get("missing_for_some", ()):
        default_of = each.get("default_of")
        whose = f"the default of {', '.join(default_of)}" if default_of else "for some payloads"
        yield f"missing ({whose}): {each['name']}: {each['remedy']}"
