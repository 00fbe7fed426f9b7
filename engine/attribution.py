"""Which parameter decides what stands in an input of a rendered graph. Pure."""

from __future__ import annotations

from engine.compiled import Compiled, Writer
from engine.graph import Graph
from engine.operators import Row, Setter
from engine.rewiring import item_of


def original_of(template: Graph, node_id: str) -> str:
    """The node of the template that a node of a rendered graph stands for: itself, unless a repeat copied it."""
    item = None if node_id in template else item_of(node_id)
    return item[0] if item else node_id


def parameters_at(compiled: Compiled, template: Graph, node_id: str, input_name: str) -> tuple[str, ...]:
    """The names of the parameters that decide what stands in an input.

    Its own, or those its expression uses; of a repeated node the item of the list: `loras[1].name`.

    Args:
        compiled: the workflow's.
        template: the workflow's.
        node_id: of a rendered graph.
        input_name: of the node.
    """
    if found := _setter_at(compiled, template, node_id, input_name):
        row, setter = found
        if setter.keys is not None and row.source in compiled.parameters:
            item = None if node_id in template else item_of(node_id)
            return (".".join([f"{row.source}[{item[1] if item else 0}]", *setter.keys]),)
        names: set[str] = {*row.over.names, *setter.expression.names}
    else:
        writer = _writer_at(compiled, template, node_id, input_name)
        if writer is None:
            return ()
        names = {writer.parameter} if writer.expression is None else {*writer.expression.names}
    return tuple(name for name in sorted(names) if name in compiled.parameters)


def is_computed(compiled: Compiled, template: Graph, node_id: str, input_name: str) -> bool:
    """Whether an expression gives what stands in an input, so that it need be no value of the payload."""
    if found := _setter_at(compiled, template, node_id, input_name):
        return found[1].keys is None
    writer = _writer_at(compiled, template, node_id, input_name)
    return writer is not None and writer.expression is not None


def _writer_at(compiled: Compiled, template: Graph, node_id: str, input_name: str) -> Writer | None:
    original = original_of(template, node_id)
    at = (writer for writer in compiled.writers if writer.place.node_id == original)
    return next((writer for writer in at if writer.place.input_name == input_name), None)


def _setter_at(compiled: Compiled, template: Graph, node_id: str, input_name: str) -> tuple[Row, Setter] | None:
    original = original_of(template, node_id)
    rows = (row for row in compiled.operators.rows if row.node_id == original)
    return next(((row, each) for row in rows for each in row.setters if each.input_name == input_name), None)
