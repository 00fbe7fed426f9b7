"""A stand-in for ComfyUI: its API, its messages, its refusals, and pictures marked as simulated.

It is for trying workflows and for testing programs that use ComfyUI, where there is no GPU and no model.
"""

from __future__ import annotations

from engine.simulator.calls import Call, Operation, Outcome
from engine.simulator.classes import choices_from
from engine.simulator.server import Simulator

__all__ = ["Call", "Operation", "Outcome", "Simulator", "choices_from"]
