"""What the running ComfyUI lacks: model files, and what defaults and examples name."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.errors import InvalidPayload, RenderFailed
from engine.schema import MediaParameter
from engine.wording import nearest, not_available, shown

NOT_AVAILABLE = code(
    "not_available",
    "error",
    "With `--live`: a default or an example names what the running ComfyUI does not have.",
    "put the file there, or name another",
)
MISSING_MODEL = code(
    "missing_model",
    "error",
    "With `--live`: the running ComfyUI lacks a file that `requires.models` lists.",
    "put it into that folder below ComfyUI's models: engine models fetch does so where the map has its url",
)


def live_findings(subject: Subject) -> Iterator[Finding]:
    """What defaults, examples and `requires` name and the running ComfyUI lacks; nothing without one.

    What the graph itself names is told by the check of its inputs, which knows the lists of files then.
    """
    if not subject.nodes.live or subject.parameter_map is None:
        return
    yield from _defaults(subject)
    yield from _examples(subject)
    yield from _models(subject)


def _defaults(subject: Subject) -> Iterator[Finding]:
    told: set[str] = set()
    for place, writer in subject.written.items():
        parameter = subject.parameters.get(writer.parameter)
        if parameter is None or isinstance(parameter, MediaParameter) or writer.parameter in told:
            continue
        spec = subject.spec(place.node_id, place.input_name)
        value = subject.default_at(place.node_id, place.input_name)
        if spec and spec.choices is not None and isinstance(value, str) and value not in spec.choices:
            told.add(writer.parameter)
            origin = "its default" if parameter.has_default else "the template's own value"
            message = f"{origin}: {not_available(value, spec.choices, files=spec.from_files)}"
            yield NOT_AVAILABLE.at(subject.map, f"parameters.{writer.parameter}", message)


def _examples(subject: Subject) -> Iterator[Finding]:
    workflow = subject.workflow
    if workflow is None:
        return
    for index, example in enumerate(workflow.examples):
        try:
            workflow.validate(example.payload, subject.nodes)
        except (InvalidPayload, RenderFailed) as error:
            for problem in error.problems:
                yield NOT_AVAILABLE.at(subject.map, f"examples[{index}].payload", str(problem))


def _models(subject: Subject) -> Iterator[Finding]:
    files = {
        choice.replace("\\", "/")
        for reference in subject.nodes.from_files
        for choice in subject.nodes.choices(reference) or ()
        if isinstance(choice, str)
    }
    models = subject.parameter_map.requires.models if subject.parameter_map else ()
    for index, model in enumerate(models):
        path = model.path.replace("\\", "/")
        below = path.partition("/")[2] or path
        if below not in files:
            near = nearest(below, files, cutoff=0.8)
            guess = f"; there is {shown(near)}" if near else ""
            message = f"the running ComfyUI has no {shown(path)}{guess}"
            yield MISSING_MODEL.at(subject.map, f"requires.models[{index}]", message)
