"""Tells what the start found: the screen, and then which workflows can't run, and why.

To know that of a workflow it has to be loaded, which takes some ms each. Where ComfyUI is still to start there is time
for it; else jobs are taken first.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from engine.catalog import Catalog
from engine.errors import ComfyUnavailable
from engine.fitness import tell_broken
from engine.jobs import Runner
from engine.logs import event
from engine.starting.screen import MOST_LOADED, Facts, library, screen, shown
from engine.wording import listed

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.01
"""Between two workflows that are loaded while jobs run: they are not to wait for what only the log wants."""


def tell(facts: Facts, catalog: Catalog, *, missing: ComfyUnavailable | None = None) -> None:
    """Say what was found.

    Args:
        facts: it; without `readiness` nothing is said of what the workflows lack.
        catalog: the workflows.
        missing: that there is no GPU.
    """
    _say("the worker starts", screen(facts, catalog) | ({"GPU": missing.message} if missing else {}), facts)


def tell_readiness(facts: Facts, catalog: Catalog) -> None:
    """Say what the workflows lack, where that came too late for the screen; of very many it says nothing."""
    if len(catalog) <= MOST_LOADED:
        _say("the workflows were looked through", library(facts, catalog), facts, title="the workflows")


def name_unfit(catalog: Catalog, runner: Runner, *, asks_comfyui: bool) -> None:
    """Name the workflows in the log that are broken, or whose node classes ComfyUI lacks; takes its time.

    Args:
        catalog: the workflows.
        runner: knows what they lack.
        asks_comfyui: whether there is a ComfyUI by now that can be asked for its classes.
    """
    if asks_comfyui:
        try:
            runner.live.get()
        except ComfyUnavailable as error:  # the first job asks again
            event(log, logging.WARNING, "ComfyUI's node classes are not known yet", reason=error.message)
    for entry in catalog.entries():
        if entry.workflow is None:
            tell_broken(entry)
        else:
            lacking = runner.readiness.of(entry.workflow)
            if classes := [each.name for each in lacking if each.kind == "class"]:
                event(log, logging.WARNING, "a workflow is not ready", name=entry.source.name, missing=listed(classes))
        time.sleep(_PAUSE_SECONDS)


def _say(what: str, lines: Mapping[str, str], facts: Facts, title: str = "") -> None:
    if facts.settings.log_format == "json":
        fields: dict[str, Any] = {heading.lower(): text for heading, text in lines.items()}
        event(log, logging.INFO, what, **fields)
    else:
        sys.stderr.write(f"{shown(lines, title)}\n")  # a screen, and no line of the log; in one piece
