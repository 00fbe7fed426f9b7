"""What the operators of a workflow make of a rendered graph, and why that can't be run where it can't. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from engine.compiled import Compiled
from engine.errors import Problem, RenderFailed
from engine.expressions import Names
from engine.graph import Graph, find_cycle, label_of, needed_by
from engine.nodes import NodeCatalogue
from engine.operators import State, still_needed
from engine.rewiring import Wiring
from engine.wording import listed

FOR_THE_AUTHOR = "tell the workflow's author; other values may work"


def rewired(
    wiring: Wiring,
    names: Names,
    compiled: Compiled,
    template: Graph,
    nodes: NodeCatalogue,
    *,
    only_needed: bool,
    extras: Collection[str] = (),
    declared: bool,
) -> Graph:
    """The graph once its operators are done, without what no output needs then.

    Args:
        wiring: of the graph, its places written; it is changed.
        names: of the values.
        compiled: the workflow's.
        template: the workflow's.
        nodes: the node catalogue.
        only_needed: no link was computed, and but for the extras the graph holds nothing that no output needs.
        extras: nodes of the template that are kept beside the outputs, where what is left can still run them.
        declared: whether the map names the outputs, so that each has to be there.

    Raises:
        RenderFailed: the operators can't be computed, or leave a graph that ComfyUI would refuse; with every problem.
    """
    state, problems = compiled.operators.state_of(names, template)
    if problems:
        raise RenderFailed(problems=problems, hint=FOR_THE_AUTHOR)
    graph, copies = wiring.graph, wiring.copies
    loose = compiled.operators.rebuild(wiring, state, template)
    # Operators alone make no circle of what was none.
    if not only_needed and (cycle := find_cycle(graph)):
        circle = " -> ".join(copies.get(node_id, node_id) for node_id in cycle)
        raise RenderFailed(f"the links go round in a circle: {circle}", hint=FOR_THE_AUTHOR)
    empty = still_needed(loose, graph, nodes)
    ends = _stand_ins([output.node_id for output in compiled.outputs], graph, copies)
    if not only_needed or extras:
        kept = needed_by(graph, ends)
        broken = {each.node_id for each in empty}
        for node_id in _stand_ins(extras, graph, copies):
            if not (behind := needed_by(graph, [node_id])) & broken:
                kept |= behind
        graph = {node_id: node for node_id, node in graph.items() if node_id in kept}
    else:
        wiring.prune(ends)
    for each in empty:
        if each.node_id in graph:
            where = f"{label_of(template, copies.get(each.node_id, each.node_id))}.{each.input_name}"
            why = _why_gone(copies.get(each.gone, each.gone), compiled, state, template)
            problems.append(Problem(where, f"is left empty, which ComfyUI requires: {why}"))
    problems += _lost(graph, compiled, state, template) if declared else ()
    if not graph and not problems:
        problems.append(Problem("", f"no node that saves anything is left{_off(state)}"))
    if problems:
        raise RenderFailed(problems=dict.fromkeys(problems), hint=FOR_THE_AUTHOR)
    return graph


def _stand_ins(node_ids: Collection[str], graph: Graph, copies: Mapping[str, str]) -> list[str]:
    """Those of the nodes that are there, and the copies of any of them."""
    found = [node_id for node_id in node_ids if node_id in graph]
    wanted = frozenset(node_ids)
    if not wanted.isdisjoint(copies.values()):
        found += [each for each, original in copies.items() if original in wanted and each in graph]
    return found


def _lost(graph: Graph, compiled: Compiled, state: State, template: Graph) -> Iterator[Problem]:
    for output in compiled.outputs:
        if output.node_id not in graph:
            yield Problem(
                output.name, f"there is no such output: {_why_gone(output.node_id, compiled, state, template)}"
            )


def _why_gone(node_id: str, compiled: Compiled, state: State, template: Graph) -> str:
    label = label_of(template, node_id)
    if any(row.node_id == node_id and not state.items[node_id] for row in compiled.operators.rows):
        return f"the list that {label} is repeated for is empty"
    return f"{label} is switched off{_off(state)}"


def _off(state: State) -> str:
    return f" (off: {listed(sorted(state.shut))})" if state.shut else ""
