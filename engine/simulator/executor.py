"""Runs one prompt: node by node, reporting as ComfyUI does (0.3.64 and 0.8.0)."""

from __future__ import annotations

import json
import random
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.simulator import images, masking, media, models, packs, saving, scaling
from engine.simulator.calls import Call, InterruptedPromptError, Operation
from engine.simulator.classes import Classes, is_second_style
from engine.simulator.faults import Faults
from engine.simulator.folders import Folders, OutsideFolderError
from engine.simulator.jobs import Job, Result
from engine.simulator.mishaps import Mishaps
from engine.simulator.reporting import Reporter
from engine.simulator.schedule import Schedule, inputs_of, is_link, signatures
from engine.simulator.sockets import Hub

if TYPE_CHECKING:
    from PIL.Image import Image

OPERATIONS: Mapping[str, Operation] = {
    **images.OPERATIONS,
    **scaling.OPERATIONS,
    **masking.OPERATIONS,
    **saving.OPERATIONS,
    **media.OPERATIONS,
    **models.OPERATIONS,
    **packs.OPERATIONS,
}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A node's result, as the cache keeps it."""

    outputs: tuple[Any, ...]
    shown: dict[str, Any] | None


class Executor:
    """Runs prompts, one at a time, and keeps the results of the last one's nodes for the next.

    Args:
        classes: the node classes there are.
        folders: where files are.
        hub: whom to tell.
        faults: what is to go wrong.
        step_seconds: how long a sampling step takes.
        previews: whether samplers send previews, where the prompt's `preview_method` does not say.
        operations: what nodes do, by class, beside and before those of `OPERATIONS`.
    """

    def __init__(
        self,
        classes: Classes,
        folders: Folders,
        hub: Hub,
        faults: Faults,
        *,
        step_seconds: float,
        previews: bool,
        operations: Mapping[str, Operation],
    ) -> None:
        self.classes, self.folders, self.hub = classes, folders, hub
        self.previews = previews
        self.operations = {**OPERATIONS, **operations}
        self.kept: dict[str, _Kept] = {}
        self.temp_names: dict[tuple[str, str], str] = {}
        self._step_seconds = step_seconds
        self._interrupted = threading.Event()
        self._stopped = threading.Event()
        self.mishaps = Mishaps(faults, hub, self._stopped)
        self._forget = threading.Event()

    def run(self, job: Job) -> Result:
        """Run a job to its end, whatever that is."""
        self._interrupted.clear()
        if self._forget.is_set():
            self._forget.clear()
            self.kept = {}
        run = _Run(self, job)
        try:
            return run.to_its_end()
        finally:
            self.hub.executing = (run.client, None)

    def interrupt(self) -> None:
        """Have the running prompt end before its next step."""
        self._interrupted.set()

    def stop(self) -> None:
        """End the running prompt at once, for the last time."""
        self._stopped.set()
        self._interrupted.set()

    def forget(self) -> None:
        """Keep nothing for the next prompt."""
        self._forget.set()

    def look_up(self) -> None:
        """See whether to go on.

        Raises:
            InterruptedPromptError: somebody interrupted; the mark is taken back, it counts once.
        """
        if self._interrupted.is_set():
            self._interrupted.clear()
            raise InterruptedPromptError

    def wait(self) -> None:
        """Let a step take its time."""
        if self._step_seconds > 0:
            self._stopped.wait(self._step_seconds)

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, or until it is stopped."""
        self._stopped.wait(seconds)


@dataclass
class _Run:
    """One prompt under way."""

    executor: Executor
    job: Job
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client: str | None = self.job.extra_data.get("client_id")
        self.prompt, self.prompt_id = self.job.prompt, self.job.prompt_id
        self.classes = self.executor.classes
        self.reporter = Reporter(self.executor.hub, self.prompt_id, self.client)

    def to_its_end(self) -> Result:
        self.reporter.tell("execution_start", {"prompt_id": self.prompt_id})
        self.keys = signatures(self.prompt, self.classes, self.executor.folders)
        used = set(self.keys.values())
        kept = self.executor.kept = {key: value for key, value in self.executor.kept.items() if key in used}
        cached = [node_id for node_id in self.prompt if self.keys[node_id] in kept]
        shown = (value.shown and value.shown["output"] for value in kept.values())
        self.executor.mishaps.cached(shown, self.executor.folders.of_type)
        self.reporter.tell("execution_cached", {"nodes": cached, "prompt_id": self.prompt_id})
        self.schedule = Schedule(self.prompt, self.classes, lambda node_id: self.keys[node_id] in kept)
        for output in self.job.outputs:
            self.schedule.add(output)
        success = self._dissolve()
        return Result(
            success,
            {node_id: shown["output"] for node_id, shown in self.shown.items()},
            {node_id: shown["meta"] for node_id, shown in self.shown.items()},
            self.reporter.messages,
        )

    def _dissolve(self) -> bool:
        while self.schedule:
            node_id = self.schedule.next()
            current_inputs: dict[str, Any] = {}
            try:
                finished = self._execute(node_id, current_inputs)
            except InterruptedPromptError:
                self.reporter.tell("execution_interrupted", self._about(node_id), to_all=True)
                return False
            except Exception as error:  # noqa: BLE001 -- the edge: whatever a node raises is the prompt's error
                self.reporter.tell("execution_error", self._failure(node_id, error, current_inputs))
                return False
            if finished:
                self.schedule.done(node_id)
        self.reporter.tell("execution_success", {"prompt_id": self.prompt_id})
        return True

    def _execute(self, node_id: str, current_inputs: dict[str, Any]) -> bool:
        """Run a node; false when it turned out to need another first."""
        kept = self.executor.kept.get(self.keys[node_id])
        if kept is not None:
            self.reporter.shows(node_id, kept.shown["output"] if kept.shown else None)
            if kept.shown is not None and self.client is not None:
                self.shown[node_id] = kept.shown
            self.reporter.ends(node_id)
            return True

        self.reporter.starts(node_id)
        description = self.classes.describe(self.prompt[node_id]["class_type"])
        inputs, missing = self._inputs(node_id)
        current_inputs |= {name: [_shown(value)] for name, value in inputs.items()}
        current_inputs |= {name: [_shown(value)] for name, value in self._hidden(node_id, description)}
        self.executor.look_up()
        needed = self._lazily_needed(node_id, inputs, missing)
        if needed is not None:
            self.schedule.need(node_id, needed)
            return False
        outcome = self._call(node_id, inputs, description)
        if outcome.ui is not None:
            meta = {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
            self.shown[node_id] = {"meta": meta, "output": outcome.ui}
            self.reporter.shows(node_id, outcome.ui)
        self.executor.kept[self.keys[node_id]] = _Kept(outcome.outputs, self.shown.get(node_id))
        self.reporter.ends(node_id)
        self.executed.append(node_id)
        return True

    def _call(self, node_id: str, inputs: dict[str, Any], description: Mapping[str, Any]) -> Any:
        def report(value: int, maximum: int, preview: Image | None = None, picture_format: str = "JPEG") -> None:
            self.executor.look_up()
            self.reporter.step(node_id, value, maximum, preview, picture_format)
            mishap(value)

        def mishap(step: int) -> None:
            self.executor.mishaps.at_node(class_type, step, saves=saves, prompt_id=self.prompt_id, client=self.client)

        class_type = self.prompt[node_id]["class_type"]
        saves = bool(description.get("output_node"))
        mishap(0)
        method = self.job.extra_data.get("preview_method")
        letters = "abcdefghijklmnopqrstupvxyz"
        call = Call(
            class_type=class_type,
            inputs=inputs,
            description=description,
            prompt=self.prompt,
            extra_pnginfo=self.job.extra_data.get("extra_pnginfo"),
            folders=self.executor.folders,
            report=report,
            wait=self.executor.wait,
            rest=self.executor.rest,
            previews=self.executor.previews if method in (None, "default") else method != "none",
            temp_name=self.executor.temp_names.setdefault(
                (node_id, class_type),
                "_temp_" + "".join(random.choices(letters, k=5)),  # noqa: S311 -- a name, no secret
            ),
            fails=lambda: self.executor.mishaps.greys(class_type),
        )
        return self.executor.operations.get(class_type, models.simulate)(call)

    def _inputs(self, node_id: str) -> tuple[dict[str, Any], set[str]]:
        """The node's values, links followed; and the names of those that are not there (yet)."""
        values: dict[str, Any] = {}
        missing: set[str] = set()
        for name, value in inputs_of(self.prompt[node_id]).items():
            if not is_link(value):
                values[name] = value
                continue
            kept = self.executor.kept.get(self.keys[value[0]])
            slot = int(value[1])
            if kept is None or slot >= len(kept.outputs):
                missing.add(name)
                values[name] = None
            else:
                values[name] = kept.outputs[slot]
        return values, missing

    def _lazily_needed(self, node_id: str, inputs: Mapping[str, Any], missing: set[str]) -> str | None:
        """The node that a switch turned to, while it has not run."""
        if self.prompt[node_id]["class_type"] != "ComfySwitchNode":
            return None
        chosen = "on_true" if inputs.get("switch") else "on_false"
        link = self.prompt[node_id]["inputs"].get(chosen)
        return str(link[0]) if chosen in missing and self.keys[link[0]] not in self.executor.kept else None

    def _hidden(self, node_id: str, description: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        if is_second_style(description):
            return
        values = {
            "PROMPT": json.dumps(self.prompt),
            "EXTRA_PNGINFO": self.job.extra_data.get("extra_pnginfo"),
            "UNIQUE_ID": node_id,
            "AUTH_TOKEN_COMFY_ORG": self.job.secrets.get("auth_token_comfy_org"),
            "API_KEY_COMFY_ORG": self.job.secrets.get("api_key_comfy_org"),
        }
        for name, kind in description["input"].get("hidden", {}).items():
            if isinstance(kind, str) and kind in values:
                yield name, values[kind]

    def _about(self, node_id: str) -> dict[str, Any]:
        return {
            "prompt_id": self.prompt_id,
            "node_id": node_id,
            "node_type": self.prompt[node_id]["class_type"],
            "executed": list(self.executed),
        }

    def _failure(self, node_id: str, error: Exception, current_inputs: dict[str, Any]) -> dict[str, Any]:
        # An error class of our own stands for one that ComfyUI raises without a class.
        kind = Exception if isinstance(error, OutsideFolderError) else type(error)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        return {
            **self._about(node_id),
            "exception_message": f"{error}\n",
            "exception_type": f"{module}{kind.__qualname__}",
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": current_inputs,
            "current_outputs": list(self.prompt),
        }


def _shown(value: Any) -> Any:
    """A value as an error shows it: plain ones as they are, others as text."""
    return value if value is None or isinstance(value, int | float | bool | str) else str(value)
