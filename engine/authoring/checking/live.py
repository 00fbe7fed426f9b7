"""What the running ComfyUI lacks: files, and the choices that examples name."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.wording import nearest, shown

MISSING_MODEL = code(
    "missing_model",
    "error",
    "With `--live`: the running ComfyUI lacks a file that `requires.models` lists.",
    "put it into that folder below ComfyUI's models",
)


def live_findings(subject: Subject) -> Iterator[Finding]:
    """The required model files that the running ComfyUI does not list; nothing without one.

    Files that the graph names and the lists of its inputs lack are told by the checks of inputs, defaults and
    examples, which know those lists then.
    """
    if not subject.nodes.live or subject.parameter_map is None:
        return
    lists = {
        choice.replace("\\", "/")
        for reference in subject.nodes.from_files
        for choice in subject.nodes.choices(reference) or ()
        if isinstance(choice, str)
    }
    for index, model in enumerate(subject.parameter_map.requires.models):
        path = model.path.replace("\\", "/")
        below = path.partition("/")[2] or path
        if below not in lists:
            near = nearest(below, lists, cutoff=0.8)
            guess = f"; there is {shown(near)}" if near else ""
            yield MISSING_MODEL.at(
                subject.map, f"requires.models[{index}]", f"the running ComfyUI has no {shown(path)}{guess}"
            )
