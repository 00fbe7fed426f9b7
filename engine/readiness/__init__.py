"""Whether a workflow can run on this worker: which of its models and node classes are missing.

Nothing is claimed that is not known. Without a ComfyUI of COMFY_URL or COMFY_HOME there is the simulator, which has all
that the templates name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NoReturn, Self

from engine.errors import ComfyUnavailable, Problem, RenderFailed, WorkflowNotReady
from engine.live_nodes import LiveNodes
from engine.needs import NeededModel
from engine.readiness.coming import Coming
from engine.readiness.listing import Asked, Listing
from engine.readiness.missing import Missing, missing_class, missing_model
from engine.readiness.presence import Presence
from engine.settings import Settings
from engine.wording import listed
from engine.workflow import Workflow

__all__ = ["Asked", "Coming", "Missing", "Readiness"]

_MOST_NAMED = 5


class Readiness:
    """What the workflows lack on this worker. Safe to use from several threads; looking starts no ComfyUI.

    Args:
        settings: say which ComfyUI there is, and where its models are.
        live: what the running ComfyUI has; what is not known of it is not asked for.
        comfy: gives the ComfyUI, which is asked only while it runs.
        coming: the models that are being fetched.
    """

    def __init__(
        self, settings: Settings, live: LiveNodes, comfy: Callable[[], Asked], coming: Coming | None = None
    ) -> None:
        self._live = live
        self._listing = Listing(comfy)
        self._claims = bool(settings.comfy_url or settings.comfy_home)
        self._presence = Presence(settings, self._listing, came=live.outdated)
        self.coming = coming or Coming()

    @classmethod
    def by_disk(cls, settings: Settings, coming: Coming | None = None) -> Self:
        """What is known of a ComfyUI that does not run: what the disk tells."""
        return cls(settings, LiveNodes(_nobody), _nobody, coming)

    def of(self, workflow: Workflow) -> list[Missing]:
        """What is missing that every payload needs; with something here the workflow is not ready."""
        return [each for each in self._missing(workflow) if not each.for_some]

    def all_of(self, workflow: Workflow) -> list[Missing]:
        """All that is missing, also what only some payloads need, as a default that another value can replace."""
        return self._missing(workflow)

    def state(self, workflow: Workflow) -> dict[str, Any]:
        """The status, in JSON's types: `ready`, or `not_ready` with what is `missing`.

        `missing_for_some` has what only some payloads need; it is there where something is.
        """
        found = self._missing(workflow)
        missing = [each.as_dict() for each in found if not each.for_some]
        some = [each.as_dict() for each in found if each.for_some]
        state: dict[str, Any] = {"status": "not_ready", "missing": missing} if missing else {"status": "ready"}
        return state | ({"missing_for_some": some} if some else {})

    def check(self, workflow: Workflow, values: Any) -> None:
        """Whether a job can run.

        Args:
            workflow: the job's.
            values: the job's, as `validate` gave them.

        Raises:
            WorkflowNotReady: something is missing that this job needs.
        """
        found = self._missing(workflow, anew=True)
        if any(each.for_some for each in found):
            found = _needed(found, workflow, values)
        if found:
            raise self._refusal(workflow, found)

    def lacks(self, path: str) -> bool:
        """Whether a model is missing for all we know."""
        return self._claims and self._presence.lacks(path)

    def look_again(self) -> None:
        """Forget what was there a moment ago."""
        self._presence.forget()
        self._listing.forget()

    def _missing(self, workflow: Workflow, *, anew: bool = False) -> list[Missing]:
        """All that is missing.

        Args:
            workflow: whose.
            anew: what was missing a moment ago is looked for again.
        """
        if not self._claims:
            return []
        needs = workflow.needs
        found = [
            missing_model(
                model,
                workflow.name,
                is_coming=model.path in self.coming,
                out_of_sight=self._presence.out_of_sight(model.path),
            )
            for model in needs.models
            if self._presence.lacks(model.path, anew=anew)
        ]
        known = self._live.known
        if known is not None:
            for classes, for_some in ((needs.classes, False), (needs.other_classes, True)):
                gone = [each for each in classes if each not in known]
                found += [missing_class(each, for_some=for_some) for each in gone if not self._has_class(each, anew)]
        return found

    def _has_class(self, class_type: str, anew: bool) -> bool:
        """Whether ComfyUI has a class by now, which it had not when it was asked for all."""
        if not self._listing.has_class(class_type, anew=anew):
            return False
        self._live.outdated()
        return True

    def _refusal(self, workflow: Workflow, missing: list[Missing]) -> WorkflowNotReady:
        names = listed([f"the {each.what} {each.name}" for each in missing], most=_MOST_NAMED)
        verb = "is" if len(missing) == 1 else "are"
        instead = dict.fromkeys(name for each in missing for name in each.default_of)
        coming = all(each.is_coming for each in missing)
        advice = ["send the job again in a while: it is being fetched" if coming else ""]
        if instead and all(each.default_of for each in missing):
            advice.append(f"send another {listed(instead)}")
        if not coming:
            remedies = dict.fromkeys(each.remedy for each in missing)
            advice.append("the operator: " + "; ".join([*remedies][:_MOST_NAMED]))
        return WorkflowNotReady(
            f"{workflow.name} is not ready on this worker: {names} {verb} missing",
            hint="; or ".join(text for text in advice if text),
            problems=[Problem(", ".join(each.default_of), f"{each.name} is missing") for each in missing],
            # Nothing changes by itself, unless the file is on its way.
            retryable=coming,
        )


def _nobody() -> NoReturn:
    raise ComfyUnavailable("ComfyUI does not run")


def _needed(found: list[Missing], workflow: Workflow, values: Any) -> list[Missing]:
    """What of it one job needs; where its graph can't be told, what all need."""
    graph = None
    with contextlib.suppress(RenderFailed):  # as it may with the stand-ins for files that are yet to be fetched
        graph = workflow.render(values)
    if graph is None:
        return [each for each in found if not each.for_some]
    classes = {node["class_type"] for node in graph.values()}
    models: dict[str, NeededModel] = {model.path: model for model in workflow.needs.models}

    def is_needed(each: Missing) -> bool:
        return each.name in classes if each.kind == "class" else models[each.name].is_in(graph)

    return [each for each in found if not each.for_some or is_needed(each)]
