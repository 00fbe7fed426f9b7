"""Whether a parameter or a value fits the input it goes to, by the node catalogue. Pure."""

from __future__ import annotations

import math
from typing import Any

from engine.graph import Graph, as_link, label_of
from engine.nodes import InputSpec, NodeCatalogue
from engine.schema import MEDIA_TYPES, IntegerParameter, NumberParameter, Parameter, SeedParameter, StringParameter
from engine.wording import did_you_mean, kind_of, listed, shown

_TAKEN_BY = {  # parameter type to the types of inputs it may be bound to
    "string": {"STRING", "COMBO"},
    "integer": {"INT", "FLOAT", "COMBO"},
    "seed": {"INT", "FLOAT"},
    "number": {"FLOAT", "COMBO"},
    "boolean": {"BOOLEAN", "COMBO"},
    **{media: {"COMBO", "STRING"} for media in MEDIA_TYPES},
}


def misfit_of_type(parameter: Parameter, spec: InputSpec) -> str | None:
    """Why a parameter of that type can't be bound to that input; None where it can."""
    if spec.type == "*" or spec.multiselect:
        return None
    if not spec.is_value:
        return f"the input takes a link ({spec.type}), no value"
    taken = {"COMBO"} if spec.type.startswith("COMFY_DYNAMICCOMBO") else {spec.type}
    if taken & _TAKEN_BY.get(parameter.type, set()):
        return None
    return f"the input takes {spec.type}, the parameter is of type {parameter.type}"


def wanted_of(spec: InputSpec | None) -> str | None:
    """What an input takes, in words, where a text is never that."""
    words = {"INT": "a number", "FLOAT": "a number", "BOOLEAN": "true or false"}
    return words.get(spec.type) if spec else None


def narrowed(parameter: Parameter, spec: InputSpec) -> Parameter:
    """The parameter with the range of the input it is bound to, where that is narrower than its own."""
    if spec.type not in {"INT", "FLOAT"}:
        return parameter
    update: dict[str, Any] = {}
    if isinstance(parameter, IntegerParameter | NumberParameter):
        low, high = spec.minimum, spec.maximum
        if isinstance(parameter, IntegerParameter):
            low, high = None if low is None else math.ceil(low), None if high is None else math.floor(high)
        if low is not None and (parameter.minimum is None or parameter.minimum < low):
            update["minimum"] = low
        if high is not None and (parameter.maximum is None or parameter.maximum > high):
            update["maximum"] = high
    elif isinstance(parameter, SeedParameter) and spec.maximum is not None and parameter.maximum > spec.maximum:
        update["maximum"] = int(spec.maximum)
    return parameter.model_copy(update=update) if update else parameter


def takes_choices(parameter: Parameter, spec: InputSpec) -> bool:
    """Whether the input's list is the parameter's."""
    return isinstance(parameter, StringParameter) and parameter.choices is None and spec.choices is not None


def fitted(value: Any, spec: InputSpec | None, choices: tuple[Any, ...] | None) -> Any:
    """A literal as it is written into an input.

    Args:
        value: the literal; lists come back wrapped, so that none can act as a link.
        spec: of the input; None where the catalogue does not know it.
        choices: what it takes, where that may be enforced.

    Raises:
        ValueError: it does not fit; the text says why.
    """
    if isinstance(value, list | tuple):
        return {"__value__": list(value)}
    if spec is None or spec.type == "*":
        return value
    if spec.type in {"INT", "FLOAT"}:
        return _fitted_number(value, spec)
    wanted = {"STRING": str, "BOOLEAN": bool}.get(spec.type)
    if wanted and not isinstance(value, wanted):
        raise ValueError(f"the input takes {spec.type}, the expression gives {kind_of(value)}: {shown(value)}")
    if choices is not None and value not in choices:
        guess = did_you_mean(str(value), [each for each in choices if isinstance(each, str)])
        raise ValueError(f"{shown(value)} is not a choice of the input{guess}; the choices are: {listed(choices)}")
    if not spec.is_value:
        raise ValueError(f"the input takes a link ({spec.type}), the expression gives {shown(value)}")
    return value


def _fitted_number(value: Any, spec: InputSpec) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"the input takes {spec.type}, the expression gives {kind_of(value)}: {shown(value)}")
    if spec.type == "INT" and isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"the input takes a whole number, the expression gives {shown(value)}; round it")
        value = int(value)
    if spec.minimum is not None and value < spec.minimum:
        raise ValueError(f"the input takes at least {spec.minimum}, the expression gives {shown(value)}")
    if spec.maximum is not None and value > spec.maximum:
        raise ValueError(f"the input takes at most {spec.maximum}, the expression gives {shown(value)}")
    return value


def fitted_link(value: Any, spec: InputSpec | None, graph: Graph, nodes: NodeCatalogue) -> list[Any]:
    """A link as it is written into an input.

    Raises:
        ValueError: it is no link, or leads to nothing that fits; the text says why.
    """
    link = as_link(value)
    if link is None:
        raise ValueError(f"the expression gives {shown(value)}, which is no link; a link is ['NODE', OUTPUT]")
    node_id, index = link
    if node_id not in graph:
        raise ValueError(f"the link leads to node {node_id}, which is not in the template")
    source = nodes.get(graph[node_id]["class_type"])
    if source is None:
        return [node_id, index]
    if not 0 <= index < len(source.outputs):
        raise ValueError(f"{label_of(graph, node_id)} has no output {index}; it has {len(source.outputs)}")
    if spec is not None and not spec.accepts_link_of(source.outputs[index]):
        raise ValueError(
            f"output {index} of {label_of(graph, node_id)} is {source.outputs[index]}, the input takes {spec.type}"
        )
    return [node_id, index]
