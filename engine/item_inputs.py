"""What the items of a list may hold, by the inputs that a repeat gives it to. Pure."""

from __future__ import annotations

from collections.abc import Callable

from engine.fitting import misfit_of_type, narrowed, takes_choices
from engine.operators import MAX_COPIES, Row
from engine.payload import ChoiceList
from engine.schema import ArrayParameter, ObjectParameter, Parameter
from engine.value_schemas import is_nullable


def held_to_inputs(
    parameter: Parameter, row: Row, class_type: str, problem: Callable[[str, str], None]
) -> tuple[Parameter, list[ChoiceList]]:
    """The list's parameter, narrowed to as many items as there can be, and these to what the node takes.

    Args:
        parameter: the one that the row stands for.
        row: the repeat.
        class_type: of the repeated node.
        problem: is told of items that can't go where they are to: where in the map, and why.

    Returns:
        It, and the lists that its items take their values from.
    """
    lists: list[ChoiceList] = []
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
            if takes_choices(found, setter.spec):
                lists.append(ChoiceList((row.source, "*", *setter.keys), f"{class_type}.{setter.input_name}"))
            items = _replaced(parameter.items, setter.keys, narrowed(found, setter.spec))
            parameter = parameter.model_copy(update={"items": items})
    return parameter, lists


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
