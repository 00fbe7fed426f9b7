"""The switches and repeats of a map, checked against its template and made ready to use. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property

from engine.bindings import Place
from engine.expressions import Expression
from engine.fitting import wanted_of
from engine.graph import Graph, as_link, label_of, links, needed_by
from engine.map_parts import Computed, Repeat, Switch
from engine.nodes import InputSpec, NodeCatalogue
from engine.operators import MAX_COPIES, Gate, Operators, Row, Setter, still_needed
from engine.rewiring import Wiring, users_of
from engine.schema import ArrayParameter, BooleanParameter, ParameterMap
from engine.wording import did_you_mean, listed, shown

_LINK = re.compile(r"""\[\s*(['"])(?P<node>.*?)\1\s*,\s*(?P<output>\d+)\s*\]""")
_QUOTED = re.compile(r"""(['"])(?P<text>.*?)\1""")

Report = Callable[[str, str], None]
"""Takes where in the map something is wrong, and what."""

Compile = Callable[[str, str, Collection[str]], Expression | None]
"""Takes where an expression stands, its source, and the names it may use beside the parameters'."""


def compile_operators(
    parameter_map: ParameterMap,
    graph: Graph,
    nodes: NodeCatalogue,
    *,
    compiled: Compile,
    problem: Report,
    warning: Callable[[str], None],
) -> Operators:
    """Check the operators one by one.

    Args:
        parameter_map: whose they are.
        graph: the template.
        nodes: types of inputs and outputs.
        compiled: makes an expression, or reports why it is none.
        problem: is told what is wrong.
        warning: is told what may be wrong.
    """
    compiler = _Compiler(parameter_map, graph, nodes, compiled, problem, warning)
    rows = [row for node_id, each in parameter_map.repeat.items() if (row := compiler.row(node_id, each))]
    gates = [gate for name, each in parameter_map.switches.items() if (gate := compiler.gate(name, each))]
    return Operators(tuple(rows), tuple(gates))


def tried(
    operators: Operators,
    graph: Graph,
    nodes: NodeCatalogue,
    *,
    outputs: Sequence[str],
    declared: Mapping[str, str],
    written: Collection[Place],
) -> Iterator[tuple[str, str]]:
    """What goes wrong with the template when its switches are off and its lists empty or longer.

    Args:
        operators: as compiled.
        graph: the template.
        nodes: says which inputs are required.
        outputs: the ids of all nodes whose results are returned.
        declared: the name of each of them, where the map gives it one.
        written: places whose link a payload replaces: what stands there then is only known at render.

    Yields:
        What was tried, and what is wrong then.
    """
    users = users_of(graph) if operators else {}
    for what, state in operators.trials():
        wiring = Wiring(dict(graph), users, shared=True)
        loose = operators.rebuild(wiring, state, graph)
        trial = wiring.graph
        for node_id in outputs:
            if node_id not in trial and node_id in declared:
                yield what, f"the output {declared[node_id]} goes with its node {label_of(graph, node_id)}"
        left = [node_id for node_id in outputs if node_id in trial]
        if not left and not declared:
            yield what, "no node that saves anything is left"
        empty = [
            each for each in still_needed(loose, trial, nodes) if Place(each.node_id, each.input_name) not in written
        ]
        kept = needed_by(trial, left) if empty else frozenset()
        for each in empty:
            if each.node_id in kept:
                yield (
                    what,
                    f"{label_of(trial, each.node_id)}.{each.input_name} is left empty, which ComfyUI requires: "
                    f"it was linked to {label_of(graph, each.gone)}",
                )


class _Compiler:
    def __init__(
        self,
        parameter_map: ParameterMap,
        graph: Graph,
        nodes: NodeCatalogue,
        compiled: Compile,
        problem: Report,
        warning: Callable[[str], None],
    ) -> None:
        self.map = parameter_map
        self.graph = graph
        self.nodes = nodes
        self.compiled = compiled
        self.problem = problem
        self.warning = warning

    def row(self, node_id: str, repeat: Repeat) -> Row | None:
        where = f"repeat.{node_id}"
        over = self.compiled(f"{where}.over", repeat.over, ())
        self._check_kind(f"{where}.over", over, "a list")
        if not self._is_node(where, node_id):
            return None
        setters = [self._setter(f"{where}.set.{name}", node_id, name, each) for name, each in repeat.set.items()]
        if not repeat.set:
            self.problem(where, 'all copies would be alike; say what differs: "set": {"lora_name": "item.name"}')
        through = self._through(f"{where}.through", node_id, repeat.through)
        if not through and self._used(node_id):
            label = label_of(self.graph, node_id)
            self.problem(where, f"copies of {label} can't be put in a row: none of its inputs takes what it gives")
        inputs = self.graph[node_id].get("inputs", {})
        for name in through:
            if as_link(inputs.get(name)):
                continue
            if name in repeat.set:
                self.problem(f"{where}.set.{name}", "`through` links this input; one place, one writer")
            elif name in inputs:
                self.problem(f"{where}.through.{name}", "the input holds a value in the template, no link to pass on")
        self._check_row(where, node_id, through)
        if over is None or None in setters:
            return None
        source = self.map.parameters.get(repeat.over.strip())
        if source is not None and not isinstance(source, ArrayParameter):
            self.problem(f"{where}.over", f"it takes a list; {repeat.over.strip()} is of type {source.type}")
        most = source.max_items if isinstance(source, ArrayParameter) else None
        if isinstance(source, ArrayParameter) and (most is None or most > MAX_COPIES):
            self.warning(f"{where}: give {repeat.over.strip()} a maxItems; it takes {MAX_COPIES} items otherwise")
        may_be_empty = not (isinstance(source, ArrayParameter) and source.min_items and not source.nullable)
        if may_be_empty:
            self._one_for_each(f"{where}.through", through)
        return Row(
            node_id,
            over,
            through,
            tuple(setter for setter in setters if setter),
            {output: name for name, output in through.items()},
            may_be_empty,
        )

    def gate(self, name: str, switch: Switch) -> Gate | None:
        where = f"switches.{name}"
        when = self.compiled(f"{where}.when", switch.when, ())
        self._check_kind(f"{where}.when", when, "true or false")
        self._check_when(f"{where}.when", switch.when.strip())
        if not switch.bypass and not switch.remove:
            self.problem(where, 'it switches nothing; name nodes in "bypass" or "remove"')
        for node_id in switch.through:
            if node_id not in switch.bypass:
                self.problem(f"{where}.through.{node_id}", f"only for nodes of `bypass`: {listed(switch.bypass)}")
        for node_id in sorted({*switch.bypass} & {*switch.remove}):
            self.problem(where, f"node {node_id} is in `bypass` and in `remove`; keep it in one")
        bypass = {}
        for node_id in switch.bypass:
            if self._is_node(f"{where}.bypass", node_id):
                through = self._through(f"{where}.through.{node_id}", node_id, switch.through.get(node_id))
                self._one_for_each(f"{where}.through.{node_id}", through)
                bypass[node_id] = {output: name for name, output in through.items()}
        remove = tuple(node_id for node_id in switch.remove if self._is_node(f"{where}.remove", node_id))
        return Gate(name, when, bypass, remove) if when else None

    def _check_kind(self, where: str, expression: Expression | None, wanted: str | None) -> None:
        if expression and (reason := expression.misfit(wanted)):
            self.problem(where, reason)

    def _check_when(self, where: str, name: str) -> None:
        source = self.map.parameters.get(name)
        if source is None:
            return
        if not isinstance(source, BooleanParameter):
            asked = f"{name}|length > 0" if isinstance(source, ArrayParameter) else f"{name} is not none"
            advice = f"; write {asked}" if source.nullable or isinstance(source, ArrayParameter) else ""
            self.problem(where, f"it takes true or false; {name} is of type {source.type}{advice}")
        elif source.nullable:
            self.problem(where, f"it takes true or false; {name} may be null; write {name} is true")

    def _check_row(self, where: str, node_id: str, through: Mapping[str, int]) -> None:
        """Warn of what the copies could hand on and don't: of that only the last one's has an effect."""
        spec = self.nodes.get(self.graph[node_id]["class_type"])
        for output in sorted(self._used(node_id) - {*through.values()}) if spec else ():
            kind = spec.outputs[output] if spec and output < len(spec.outputs) else None
            inputs = [each.name for each in spec.inputs.values() if each.type == kind] if spec else []
            if through and inputs:
                self.warning(
                    f"{where}.through: output {output} ({kind}) is used, and of the copies only the last one's counts; "
                    f"to hand it on, name an input for it: {listed(inputs)}"
                )

    def _one_for_each(self, where: str, through: Mapping[str, int]) -> None:
        """An output is stood for by one input where the node is passed by."""
        for output, count in Counter(through.values()).items():
            if count > 1:
                names = listed(name for name, each in through.items() if each == output)
                self.problem(where, f"{names} can't all stand for output {output} where the node is bypassed; keep one")

    def _used(self, node_id: str) -> set[int]:
        """The outputs that something is linked to in the template, or that a computed link may lead to."""
        used = set(self._used_outputs.get(node_id, ()))
        for each in self.map.computed.values():
            if isinstance(each, Computed) and each.replaces_link:
                used |= self._named_in(each.expression, node_id)
        return used

    @cached_property
    def _used_outputs(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for node in self.graph.values():
            for _, (source, output) in links(node):
                found.setdefault(source, set()).add(output)
        return found

    def _named_in(self, expression: str, node_id: str) -> set[int]:
        written = {int(found["output"]) for found in _LINK.finditer(expression) if found["node"] == node_id}
        if written or not any(found["text"] == node_id for found in _QUOTED.finditer(expression)):
            return written
        spec = self.nodes.get(self.graph[node_id]["class_type"])
        return set(range(len(spec.outputs))) if spec else set()  # its id alone: put together to a link in some way

    def _is_node(self, where: str, node_id: str) -> bool:
        if node_id in self.graph:
            return True
        known = listed(label_of(self.graph, each) for each in self.graph)
        self.problem(where, f"no node {node_id} in the template; the nodes are: {known}")
        return False

    def _setter(self, where: str, node_id: str, name: str, source: str) -> Setter | None:
        class_type = self.graph[node_id]["class_type"]
        spec = self.nodes.input(class_type, name)
        inputs = self.graph[node_id].get("inputs", {})
        if name not in inputs and spec is None:
            known = {*inputs, *(self.nodes[class_type].inputs if class_type in self.nodes else ())}
            self.problem(where, f"{label_of(self.graph, node_id)} has no input {name}{did_you_mean(name, known)}")
            return None
        if as_link(inputs.get(name)):
            self.problem(where, f"the input holds a link to {label_of(self.graph, inputs[name][0])}")
            return None
        if spec is not None and not spec.is_value and spec.type != "*":
            self.problem(where, f"the input takes a link ({spec.type}), no value")
            return None
        expression = self.compiled(where, source, ("item",))
        if expression is None:
            return None
        self._check_kind(where, expression, wanted_of(spec))
        return Setter(name, spec, expression, self.nodes.choices(f"{class_type}.{name}") if spec else None)

    def _through(self, where: str, node_id: str, given: Mapping[str, int] | None) -> dict[str, int]:
        """Input to output: as the map says it, else the n-th input of a type and the n-th output of it."""
        spec = self.nodes.get(self.graph[node_id]["class_type"])
        label = label_of(self.graph, node_id)
        if given is not None:
            return {name: output for name, output in given.items() if self._fits(where, node_id, name, output)}
        used = self._used(node_id)
        if spec is None:
            if used:
                self.problem(
                    where.partition(".through")[0],
                    f"the node catalogue does not know {self.graph[node_id]['class_type']}; say what stands for its "
                    f'outputs {listed(sorted(used))}: "through": {{INPUT: OUTPUT}}',
                )
            return {}
        found: dict[str, int] = {}
        of_type = Counter(spec.outputs)
        for kind in of_type:
            outputs = [index for index, each in enumerate(spec.outputs) if each == kind]
            inputs = [each.name for each in spec.inputs.values() if each.type == kind]
            if not inputs or not used & set(outputs):
                continue
            if len(inputs) != len(outputs):
                self.problem(
                    where.partition(".through")[0],
                    f"{label} has {len(inputs)} inputs of type {kind} ({listed(inputs)}) and {len(outputs)} outputs; "
                    f'say which stands for which: "through": {shown({inputs[0]: outputs[0]})}',
                )
                continue
            found |= dict(zip(inputs, outputs, strict=True))
        return found

    def _fits(self, where: str, node_id: str, name: str, output: int) -> bool:
        spec = self.nodes.get(self.graph[node_id]["class_type"])
        label = label_of(self.graph, node_id)
        taken: InputSpec | None = spec.input(name) if spec else None
        if spec is None:
            return True
        if taken is None:
            self.problem(where, f"{label} takes no input {name}{did_you_mean(name, spec.inputs)}")
        elif not 0 <= output < len(spec.outputs):
            self.problem(where, f"{label} has no output {output}; it has {len(spec.outputs)}: {listed(spec.outputs)}")
        elif not taken.accepts_link_of(spec.outputs[output]):
            self.problem(where, f"output {output} of {label} is {spec.outputs[output]}, {name} takes {taken.type}")
        else:
            return True
        return False
