"""All payloads worth trying of a workflow, made from its map and its examples.

Together they turn every switch on and off, give every repeat none, one and most copies, and exchange every link that an
expression chooses; `never_turned` says what they miss, so that a test can hold it.
"""

import itertools
import json
from dataclasses import dataclass
from decimal import Decimal

from engine.authoring.describing import example_payload
from engine.errors import InvalidPayload
from engine.expressions import compile_expression, context_of
from engine.map_parts import Computed
from engine.schema import MEDIA_TYPES
from engine.simulator.classes import MODEL_FOLDERS

ABSENT = object()
FILES = {"image": "library.png", "mask": "library.png", "video": "library.mp4", "audio": "library.wav"}
"""Type of a file to the name of one that a ComfyUI for the library has among its inputs."""

_SHORT = 10  # a longer list of choices is not tried one by one
_MANY = 64  # above it, pairs are tried in place of all combinations
_MANY_ITEMS = 3  # of a list without an end


@dataclass(frozen=True)
class Variant:
    """A payload that the workflow takes, and what is special about it."""

    title: str
    payload: dict

    def rendered(self, workflow):
        """Its graph, the files called by `FILES`; a seed that is drawn is always the same."""
        values = workflow.validate({**_seeds(workflow), **self.payload})
        files = {each.where: FILES.get(each.parameter.type, "library.bin") for each in workflow.media_values(values)}
        return workflow.render(values, files)


def variants(workflow):
    """The payloads, each once; those that a rule refuses are left out."""
    examples = [Variant(each.title, dict(each.payload)) for each in workflow.examples]
    base = dict(example_payload(workflow)[0])
    axes = {name: found for name in workflow.parameters if (found := _values(workflow, name))}
    found = list(examples)
    for name, values in axes.items():
        found += [_changed(base, {name: value}) for value in values]
    deciding = [name for name in axes if name in _deciding(workflow)]
    combinations = list(itertools.product(*(axes[name] for name in deciding)))
    if len(combinations) <= _MANY:
        found += [_changed(base, dict(zip(deciding, each, strict=True))) for each in combinations]
    else:
        for pair in itertools.combinations(deciding, 2):
            for values in itertools.product(*(axes[name] for name in pair)):
                found.append(_changed(base, dict(zip(pair, values, strict=True))))
    for end in ("minimum", "maximum"):
        bounds = {name: _fitting(each, end) for name, each in _schema(workflow).items() if _has_end(each, end)}
        found.append(Variant(f"every number at its {end}", {**base, **bounds}))
    distinct = {json.dumps(each.payload, sort_keys=True): each for each in reversed(found)}
    return [each for each in reversed(distinct.values()) if not _breaks_a_rule(workflow, each.payload)]


def never_turned(workflow, tried):
    """What no variant turns: a state of a switch, a number of copies of a repeated node, a link that is exchanged."""
    wanted = {(name, state) for name in workflow.parameter_map.switches for state in (False, True)}
    for node_id, repeat in workflow.parameter_map.repeat.items():
        parameter = workflow.parameters.get(repeat.over.strip())
        wanted |= {(node_id, count) for count in (_counts(parameter) if parameter else (0, 1))}
    seen, links = set(), {path: set() for path in _exchanged(workflow)}
    for each in tried:
        values = workflow.validate({**_seeds(workflow), **each.payload})
        context = context_of({**values, "workflow": workflow.name, "job_id": ""})

        def found(source, context=context):
            return compile_expression(source, _names(workflow)).evaluate(context)

        seen |= {(name, found(switch.when)) for name, switch in workflow.parameter_map.switches.items()}
        seen |= {(node_id, len(found(each.over) or [])) for node_id, each in workflow.parameter_map.repeat.items()}
        for path, source in _exchanged(workflow).items():
            links[path].add(json.dumps(found(source)))
    return (wanted - seen) | {(path, *values) for path, values in links.items() if len(values) < 2}


def _exchanged(workflow):
    """The expressions that put something in the place of a link, by their paths."""
    computed = workflow.parameter_map.computed.items()
    return {path: each.expression for path, each in computed if isinstance(each, Computed) and each.replaces_link}


def _names(workflow):
    return [*workflow.parameters, "workflow", "job_id"]


def _changed(base, changes):
    payload = {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}
    told = [f"{name} {'left out' if value is ABSENT else json.dumps(value)[:40]}" for name, value in changes.items()]
    return Variant(", ".join(told), payload)


def _values(workflow, name):
    """The values of a parameter that make a difference; none where any value is like any other."""
    parameter = workflow.parameters[name]
    schema = _schema(workflow)[name]
    if parameter.type == "boolean":
        return [False, True]
    if parameter.type in MEDIA_TYPES:
        return [] if parameter.required else [ABSENT, f"https://example.com/{FILES.get(parameter.type, 'library.bin')}"]
    if parameter.type == "array":
        return [_items(workflow, name, count) for count in _counts(parameter)]
    choices = [each for each in schema.get("enum", ()) if each is not None]
    if choices and len(choices) <= _SHORT:
        return choices
    if name not in _deciding(workflow):
        return []
    if parameter.type in ("integer", "number"):
        ends = [schema[end] for end in ("minimum", "maximum") if end in schema]
        return list(dict.fromkeys([*ends, *_in_examples(workflow, name)])) + ([] if parameter.required else [ABSENT])
    if parameter.type == "string" and not choices:
        return (["a text"] if schema.get("minLength") else ["", "a text"]) + ([] if parameter.required else [ABSENT])
    return []


def _counts(parameter):
    least, most = parameter.min_items or 0, parameter.max_items or _MANY_ITEMS
    return tuple(dict.fromkeys((least, max(least, min(1, most)), most)))


def _items(workflow, name, count):
    """So many items: those of the examples over and over, else made up."""
    known = [item for sent in _in_examples(workflow, name) for item in sent]
    known = known or [_made_up(workflow, workflow.parameters[name].items)]
    return [known[index % len(known)] for index in range(count)]


def _made_up(workflow, parameter):
    if parameter.type == "object":
        return {name: _made_up(workflow, each) for name, each in parameter.properties.items() if each.required}
    if parameter.type in MEDIA_TYPES:
        return f"https://example.com/{FILES.get(parameter.type, 'library.bin')}"
    for folder, inputs in MODEL_FOLDERS.items():
        if getattr(parameter, "choices", None) in inputs:
            own = (each.path.partition("/")[2] for each in workflow.requires.models if _is_in(each, folder))
            return next(own, f"library_{folder}.safetensors")
    enum = getattr(parameter, "enum", None)
    return enum[0] if enum else {"boolean": True, "string": "a text", "seed": 1}.get(parameter.type, 1)


def _is_in(model, folder):
    return model.path.startswith(f"{folder}/")


def _in_examples(workflow, name):
    return [each.payload[name] for each in workflow.examples if each.payload.get(name) is not None]


def _deciding(workflow):
    """The parameters that switches, repeats and exchanged links look at."""
    parameter_map = workflow.parameter_map
    sources = [each.when for each in parameter_map.switches.values()]
    sources += [each.over for each in parameter_map.repeat.values()]
    sources += _exchanged(workflow).values()
    return {name for source in sources for name in compile_expression(source, _names(workflow)).names}


def _schema(workflow):
    return workflow.payload_schema()["properties"]


def _has_end(schema, end):
    return end in schema and "x-type" not in schema and "enum" not in schema


def _fitting(schema, end):
    """The bound itself, or the next value inside of it that is a multiple of what it has to be."""
    bound, step = schema[end], schema.get("multipleOf")
    if step is None or Decimal(str(bound)) % Decimal(str(step)) == 0:
        return bound
    steps = Decimal(str(bound)) // Decimal(str(step)) + (end == "minimum")
    return type(bound)(steps * Decimal(str(step)))


def _seeds(workflow):
    return {name: 7 for name, each in workflow.parameters.items() if each.type == "seed" and not each.required}


def _breaks_a_rule(workflow, payload):
    """Whether rules refuse it; whatever else is wrong with it is a mistake of this module, or of the map."""
    try:
        workflow.validate({**_seeds(workflow), **payload})
    except InvalidPayload as error:
        if {problem.message for problem in error.problems} <= set(workflow.rules):
            return True
        raise
    return False
