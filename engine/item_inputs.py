"""What the items of a list may hold, by the inputs that a repeat gives it to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.fitting import misfit_of_type, narrowed, takes_choices
from engine.operators import MAX_COPIES, Row
from engine.payload import ChoiceList
from engine.schema import ArrayParameter, ObjectParameter, Parameter
from engine.value_schemas import is_nullable

# Types of parameters, and of inputs that take all of their values but for the range, which is narrowed, and the list.
_PLAIN = {
    "string": {"STRING", "COMBO"},
    "integer": {"INT", "FLOAT"},
    "number": {"FLOAT"},
    "boolean": {"BOOLEAN"},
}


def held_to_inputs(
    parameter: Parameter, row: Row, class_type: str, problem: Callable[[str, str], None]
) -> tuple[Parameter, list[ChoiceList], Row]:
    """The list's parameter, narrowed to as many items as there can be, and these to what the node takes.

    Args:
        parameter: the one that the row stands for.
        row: the repeat.
        class_type: of the repeated node.
        problem: is told of items that can't go where they are to: where in the map, and why.

    Returns:
        It, the lists that its items take their values from, and the row, which leaves alone what is checked so.
    """
    lists: list[ChoiceList] = []
    checked = set()
    if isinstance(parameter, ArrayParameter) and (parameter.max_items is None or parameter.max_items > MAX_COPIES):
        parameter = parameter.model_copy(update={"max_items": MAX_COPIES})
    for setter in row.setters:
        if setter.keys is None or not isinstance(parameter, ArrayParameter):
            continue
        found = _at(parameter.items, setter.keys)
        where = f"repeat.{row.node_id}.set.{setter.input_name}"
        if found is None:
            problem(where, f"the items of {row.source} have no {'.'.join(setter.keys)}")
        elif setter.keys and is_nullable(parameter.items, item=True):
            problem(where, f'an item of {row.source} may be null and then has no {setter.keys[0]}; drop its "default"')
        elif setter.spec is None:
            continue
        elif reason := misfit_of_type(found, setter.spec):
            problem(where, reason)
        else:
            reference = f"{class_type}.{setter.input_name}"
            is_of_list = takes_choices(found, setter.spec)
            if is_of_list:
                lists.append(ChoiceList((row.source, "*", *setter.keys), reference))
            items = _replaced(parameter.items, setter.keys, narrowed(found, setter.spec))
            parameter = parameter.model_copy(update={"items": items})
            # A parameter with another list, or with none on purpose, is held to that, and not to the input's.
            is_of_list = is_of_list or getattr(found, "choices", None) == reference or setter.choices is None
            if is_of_list and setter.spec.type in _PLAIN.get(found.type, ()) and not setter.spec.multiselect:
                checked.add(setter.input_name)
    setters = tuple(replace(each, checked=each.keys if each.input_name in checked else None) for each in row.setters)
    return parameter, lists, replace(row, setters=setters)


def _at(parameter: Parameter, keys: tuple[str, ...]) -> Parameter | None:
    for key in keys:
        if not isinstance(parameter, ObjectParameter) or key not in parameter.properties:
            return None
        parameter = parameter.properties[key]
    return parameter


def _replaced(parameter: Parameter, keys: tuple[str, ...], by: Parameter) -> Parameter:
    if not keys or not isinstance(parameter, ObjectParameter):
        return by
    below = _replaced(parameter.properties[keys[0]], keys[1:], by)
    return parameter.model_copy(update={"properties": {**parameter.properties, keys[0]: below}})
