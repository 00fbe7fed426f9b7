"""What the start knows before ComfyUI's process begins, and whether it may begin by then."""

from __future__ import annotations

from typing import NamedTuple

from engine.models.hub_caches import runpod_cache
from engine.settings import Settings
from engine.starting.modes import Choice
from engine.starting.volume_layout import Prepared, prepare
from engine.starting.workflow_fetch import WorkflowFetch


class Beginning(NamedTuple):
    """What the start knows.

    Attributes:
        choice: what the process is to do.
        settings: as read.
        workflows: what is offered; those of repositories are being fetched.
        volume: what was made and linked there.
        at: when the process began, by the monotonic clock.
    """

    choice: Choice
    settings: Settings
    workflows: WorkflowFetch
    volume: Prepared
    at: float

    @property
    def starts_comfyui(self) -> bool:
        """Whether ComfyUI is ours to start, and before the first job."""
        settings = self.settings
        return bool(settings.comfy_home and not settings.comfy_url and settings.comfy_start == "boot")

    @property
    def reads_workflows_first(self) -> bool:
        """Whether ComfyUI has to wait until the workflows are read, and the folders of their models made.

        It looks in those folders alone that it was told of when it started. Workflows of repositories are not waited
        for.
        """
        models = self.settings.models_fetch == "start" or runpod_cache(self.settings.volume_path) is not None
        return models and not self.workflows.has_any


def beginning(choice: Choice, settings: Settings, at: float) -> Beginning:
    """Find the workflows, and make the volume ready.

    Args:
        choice: what the process is to do.
        settings: as read.
        at: when the process began, by the monotonic clock.
    """
    return Beginning(choice, settings, WorkflowFetch(settings), prepare(settings), at)
