"""From the values of a payload to the graph that is queued. Pure.

All that can be is decided when the workflow loads: which nodes are copied, what is written where, what no output needs.
A render copies, writes, computes, and rewires where an operator or a computed link asks for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.compiled import Compiled, Writer
from engine.errors import Problem, RenderFailed
from engine.expressions import Names, context_of
from engine.fitting import fitted, fitted_link
from engine.graph import CONTAINERS, Graph, copied, label_of, needed_by
from engine.graph_copies import NodeCopies
from engine.nodes import NodeCatalogue
from engine.operator_rendering import FOR_THE_AUTHOR, rewired
from engine.rewiring import Wiring, users_of


class Renderer:
    """Renders one workflow. Immutable, and safe to use from several threads.

    Args:
        name: of the workflow, for expressions.
        template: its graph.
        compiled: its map.
        nodes: the node catalogue.
        declared: whether the map names the outputs.
    """

    def __init__(self, name: str, template: Graph, compiled: Compiled, nodes: NodeCatalogue, *, declared: bool) -> None:
        self._name = name
        self._template = template
        self._compiled = compiled
        self._nodes = nodes
        self._declared = declared
        # Links can only change where an expression replaces one or an operator passes a node by: elsewhere what is
        # needed is known now. Operators never make a node needed that was not.
        relinking = [writer.place for writer in compiled.writers if writer.replaces_link]
        self._relinking = tuple((place.node_id, place.input_name) for place in relinking)
        self._rewires = bool(relinking or compiled.operators)
        self._users = users_of(template) if self._rewires else {}
        ends = {output.node_id for output in compiled.outputs}
        shown = {key for key, node in template.items() if (spec := nodes.get(node["class_type"])) and spec.is_output}
        self._shown = shown - ends
        needed = set(template) if relinking else needed_by(template, ends)
        self._steps = _Steps(template, compiled, needed)
        more = needed if relinking else needed_by(template, ends | shown)
        self._steps_with_previews = self._steps if more == needed else _Steps(template, compiled, more)

    def render(self, values: Mapping[str, Any], *, job_id: str, previews: bool) -> Graph:
        """The graph to queue; see `engine.workflow.Workflow.render`.

        Args:
            values: of every parameter, files by their names.
            job_id: for expressions that use it.
            previews: keep the nodes that show or save something beside the outputs.

        Raises:
            RenderFailed: with every problem.
        """
        steps = self._steps_with_previews if previews else self._steps
        graph = steps.copies.made()
        for node_id, bound in steps.bound:
            inputs = graph[node_id]["inputs"]
            for input_name, parameter in bound:
                value = values[parameter]
                if type(value) in CONTAINERS:
                    value = {"__value__": copied(value)} if type(value) is list else copied(value)
                if value is not None:
                    inputs[input_name] = value
        if not steps.computed and not self._rewires:
            return graph
        names = context_of(values, workflow=self._name, job_id=job_id)
        self._compute(steps.computed, names, graph)
        return self._rewired(graph, names, previews=previews) if self._rewires else graph

    def _compute(self, writers: tuple[Writer, ...], names: Names, graph: Graph) -> None:
        problems = []
        for writer in writers:
            place, expression = writer.place, writer.expression
            if expression is None:
                continue
            try:
                value = expression.evaluate(names)
                if value is not None:
                    graph[place.node_id]["inputs"][place.input_name] = self._fitted(writer, value)
            except ValueError as error:
                where = f"{label_of(self._template, place.node_id)}.{place.input_name}"
                problems.append(Problem(where, f"{error}; computed by: {expression.source}"))
        if problems:
            raise RenderFailed(problems=problems, hint=FOR_THE_AUTHOR)

    def _fitted(self, writer: Writer, value: Any) -> Any:
        if writer.replaces_link and isinstance(value, list):
            return fitted_link(value, writer.spec, self._template, self._nodes)
        return fitted(value, writer.spec, writer.choices)

    def _rewired(self, graph: Graph, names: Names, *, previews: bool) -> Graph:
        wiring = Wiring(graph, self._users)
        for node_id, input_name in self._relinking:
            wiring.linked(node_id, input_name)
        return rewired(
            wiring,
            names,
            self._compiled,
            self._template,
            self._nodes,
            only_needed=not self._relinking,
            extras=self._shown if previews else (),
            declared=self._declared,
        )


class _Steps:
    """What a render does to the nodes that it keeps: copies, the values that are bound there, what is computed."""

    def __init__(self, template: Graph, compiled: Compiled, kept: set[str]) -> None:
        writers = [writer for writer in compiled.writers if writer.place.node_id in kept]
        self.copies = NodeCopies(template, kept)
        bound: dict[str, list[tuple[str, str]]] = {}
        for writer in writers:
            if writer.expression is None:
                bound.setdefault(writer.place.node_id, []).append((writer.place.input_name, writer.parameter))
        self.bound = tuple((node_id, tuple(places)) for node_id, places in bound.items())
        self.computed = tuple(writer for writer in writers if writer.expression is not None)
