"""A template and its map, compiled: every path resolved, every expression parsed, everything checked. Pure.

All problems are found before any is raised, so that an author sees them together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from engine.bindings import BindingInvalid, Place, resolve
from engine.compiled import Compiled, DeclaredOutput, Writer
from engine.errors import BindingNotFound, InvalidMap, InvalidPayload, Problem
from engine.expressions import Expression, ExpressionInvalid, compile_expression
from engine.fitting import misfit_of_type, narrowed, takes_choices, wanted_of
from engine.gate_compilation import compile_gates
from engine.graph import Graph, as_link, label_of, links
from engine.item_inputs import held_to_inputs
from engine.map_parts import Computed
from engine.nodes import InputSpec, NodeCatalogue
from engine.operator_compilation import compile_operators, tried
from engine.operators import Operators, Row
from engine.payload import ChoiceList, PayloadValidator
from engine.schema import (
    ArrayParameter,
    MediaParameter,
    ObjectParameter,
    Parameter,
    ParameterMap,
    SeedParameter,
    StringParameter,
    walk,
)
from engine.value_checks import parameter_problems, payload_problems
from engine.wording import did_you_mean, listed, shown

EXPRESSION_NAMES = ("workflow", "job_id")


def compile_workflow(parameter_map: ParameterMap, graph: Graph, nodes: NodeCatalogue, *, label: str) -> Compiled:
    """Check a map against its template and prepare both for use.

    Args:
        parameter_map: read from its file.
        graph: the template.
        nodes: the node catalogue: types, ranges and choices of inputs.
        label: how messages call the map.

    Raises:
        BindingNotFound: paths do not lead to places, and nothing else is wrong.
        InvalidMap: with every problem.
    """
    compiler = _Compiler(parameter_map, graph, nodes)
    compiled = compiler.compile()
    if compiler.problems:
        only_paths = all(is_path for is_path, _, _ in compiler.problems)
        kind = BindingNotFound if only_paths else InvalidMap
        raise kind(problems=[Problem(where, message, file=label) for _, where, message in compiler.problems])
    return compiled


class _Compiler:
    def __init__(self, parameter_map: ParameterMap, graph: Graph, nodes: NodeCatalogue) -> None:
        self.map = parameter_map
        self.graph = graph
        self.nodes = nodes
        self.problems: list[tuple[bool, str, str]] = []  # is it about a path, where, message
        self.result = Compiled(parameters=dict(parameter_map.parameters))
        self.used: set[str] = set()
        self.bound: dict[str, list[Writer]] = {}

    def compile(self) -> Compiled:
        self._expected_classes()
        for name in self.map.parameters:
            self._bind(name)
        for path, computed in self.map.computed.items():
            self._compute(path, computed)
        self._one_writer_each()
        self._rules()
        self._outputs()
        self._operators()
        self._gates()
        for name in self.map.parameters:
            self._nested_choices(self.map.parameters[name], (name,))
            self._default(name)
            if name not in self.used:
                self._problem(f"parameters.{name}", "it is used nowhere; bind it, use it in an expression, or drop it")
        self._ranges()
        self._validator()
        return self.result

    def _problem(self, where: str, message: str, *, path: bool = False) -> None:
        self.problems.append((path, where, message))

    def _expected_classes(self) -> None:
        for node_id, class_type in self.map.expects.items():
            where = f"expects.{node_id}"
            if node_id not in self.graph:
                known = listed(label_of(self.graph, each) for each in self.graph)
                self._problem(where, f"no node {node_id} in the template; the nodes are: {known}", path=True)
            elif (found := self.graph[node_id]["class_type"]) != class_type:
                self._problem(
                    where,
                    f"node {node_id} is a {found}, not a {class_type}: the template was exported anew and its "
                    "ids moved; correct the paths that name it",
                    path=True,
                )

    def _bind(self, name: str) -> None:
        parameter = self.map.parameters[name]
        bindings = parameter.bindings
        for index, binding in enumerate(bindings):
            where = f"parameters.{name}.bind" + (f"[{index}]" if len(bindings) > 1 else "")
            places = self._resolve(
                where, binding.path, binding.match, replaces_link=binding.replaces_link, create=binding.create
            )
            for place in places:
                self._bind_place(name, where, place, replaces_link=binding.replaces_link)
            self.used.add(name)

    def _bind_place(self, name: str, where: str, place: Place, *, replaces_link: bool) -> None:
        spec = self._spec(place)
        parameter = self.result.parameters[name]
        if spec is not None:
            if reason := misfit_of_type(parameter, spec):
                self._problem(where, f"{place}: {reason}")
                return
            if takes_choices(parameter, spec):
                self._choice_list((name,), f"{self.graph[place.node_id]['class_type']}.{place.input_name}")
            self.result.parameters[name] = narrowed(parameter, spec)
        writer = Writer(place, spec, parameter=name, replaces_link=replaces_link)
        self.result.writers.append(writer)
        self.bound.setdefault(name, []).append(writer)

    def _compute(self, path: str, computed: str | Computed) -> None:
        where = f"computed.{path}"
        settings = Computed(expression=computed) if isinstance(computed, str) else computed
        expression = self._expression(where, settings.expression)
        places = self._resolve(
            where, path, settings.match, replaces_link=settings.replaces_link, create=settings.create
        )
        for place in places if expression else ():
            spec = self._spec(place)
            if spec and not settings.replaces_link and not spec.is_value and spec.type != "*":
                self._problem(where, f"{place}: the input takes a link ({spec.type}), no value")
            elif expression and (reason := expression.misfit(wanted_of(spec))):
                self._problem(where, reason)
            reference = f"{self.graph[place.node_id]['class_type']}.{place.input_name}"
            self.result.writers.append(
                Writer(
                    place,
                    spec,
                    expression=expression,
                    replaces_link=settings.replaces_link,
                    choices=self.nodes.choices(reference) if spec else None,
                )
            )

    def _resolve(self, where: str, path: str, match: str, *, replaces_link: bool, create: bool) -> tuple[Place, ...]:
        try:
            return resolve(
                path,
                self.graph,
                match_all=match == "all",
                replaces_link=replaces_link,
                create=create,
                nodes=self.nodes,
            )
        except BindingInvalid as error:
            message = str(error) if path in where or path in str(error) else f"{path} {error}"
            self._problem(where, message, path=True)
            return ()

    def _expression(self, where: str, source: str, more: Collection[str] = ()) -> Expression | None:
        try:
            expression = compile_expression(source, [*self.map.parameters, *EXPRESSION_NAMES, *more])
        except ExpressionInvalid as error:
            self._problem(where, f"{shown(source)}: {error}")
            return None
        self.used |= expression.names
        return expression

    def _spec(self, place: Place) -> InputSpec | None:
        return self.nodes.input(self.graph[place.node_id]["class_type"], place.input_name)

    def _one_writer_each(self) -> None:
        writers: dict[Place, str] = {}
        for writer in self.result.writers:
            name = f"parameters.{writer.parameter}" if writer.parameter else f"computed.{writer.place}"
            if writer.place in writers:
                self._problem(
                    name, f"{writer.place} is written by {writers[writer.place]} already; one place, one writer"
                )
            writers.setdefault(writer.place, name)

    def _rules(self) -> None:
        for index, rule in enumerate(self.map.rules):
            where = f"rules[{index}].that"
            if expression := self._expression(where, rule.that):
                if reason := expression.misfit("true or false"):
                    self._problem(where, reason)
                self.result.rules.append((expression, rule.message))

    def _outputs(self) -> None:
        declared = []
        for name, output in self.map.outputs.items():
            where = f"outputs.{name}.node"
            if output.node not in self.graph:
                known = listed(label_of(self.graph, each) for each in self.graph)
                self._problem(where, f"no node {output.node} in the template; the nodes are: {known}", path=True)
                continue
            spec = self.nodes.get(self.graph[output.node]["class_type"])
            if spec is not None and not spec.is_output:
                label = label_of(self.graph, output.node)
                self._problem(where, f"{label} saves nothing; name a node that does, such as SaveImage")
            declared.append(
                DeclaredOutput(name, output.node, output.kind, output.title or "", output.description or "")
            )
        if not self.map.outputs:
            declared = [DeclaredOutput(node_id, node_id, None) for node_id in self._output_nodes()]
            if not declared:
                self._problem("outputs", "no node of the template saves anything; add one, such as SaveImage")
        self.result.outputs = tuple(declared)

    def _operators(self) -> None:
        operators = compile_operators(
            self.map,
            self.graph,
            self.nodes,
            compiled=self._expression,
            problem=self._problem,
            warning=self.result.warnings.append,
        )
        operators = Operators(tuple(self._held(row) for row in operators.rows), operators.gates)
        self.result.operators = operators
        setters = {Place(row.node_id, each.input_name) for row in operators.rows for each in row.setters}
        for writer in self.result.writers:
            if writer.place in setters:
                name = f"parameters.{writer.parameter}" if writer.parameter else f"computed.{writer.place}"
                self._problem(
                    name, f"{writer.place} is written by repeat.{writer.place.node_id} too; one place, one writer"
                )
        if self.problems:
            return
        trouble = tried(
            operators,
            self.graph,
            self.nodes,
            outputs=[each.node_id for each in self.result.outputs],
            declared={each.node: name for name, each in self.map.outputs.items()},
            written={writer.place for writer in self.result.writers if writer.replaces_link},
        )
        for what, message in trouble:
            self._problem(what, message)

    def _held(self, row: Row) -> Row:
        if row.source not in self.result.parameters:
            return row
        class_type = self.graph[row.node_id]["class_type"]
        held, lists, row = held_to_inputs(self.result.parameters[row.source], row, class_type, self._problem)
        self.result.parameters[row.source] = held
        for each in lists:
            self._choice_list(each.path, each.reference)
        return row

    def _gates(self) -> None:
        seeds = [name for name, each in self.result.parameters.items() if isinstance(each, SeedParameter)]
        outputs = {name: each.kind for name, each in self.map.outputs.items()}
        self.result.gates = compile_gates(
            self.map,
            outputs or {each.name: each.kind for each in self.result.outputs},
            [name for name in seeds if name in self.used],
            compiled=self._expression,
            problem=self._problem,
        )

    def _output_nodes(self) -> Iterator[str]:
        linked = {link[0] for node in self.graph.values() for _, link in links(node)}
        for node_id, node in self.graph.items():
            spec = self.nodes.get(node["class_type"])
            if spec.is_output if spec else node_id not in linked:
                yield node_id

    def _choice_list(self, path: tuple[str, ...], reference: str) -> None:
        self.result.choice_lists.append(ChoiceList(path, reference))
        choices = self.nodes.choices(reference)
        if choices is not None:
            self.result.choices[reference] = choices

    def _nested_choices(self, parameter: Parameter, path: tuple[str, ...]) -> None:
        if isinstance(parameter, StringParameter) and parameter.choices:
            where = f"parameters.{'.'.join(path)}.choices"
            class_type, _, name = parameter.choices.partition(".")
            spec = self.nodes.input(class_type, name)
            if not name:
                self._problem(where, f'{shown(parameter.choices)} is not of the form "Class.input"')
            elif class_type in self.nodes and (spec is None or spec.choices is None):
                self._problem(where, f"{shown(parameter.choices)} is no list of choices in the node catalogue")
            elif class_type not in self.nodes:
                guess = did_you_mean(class_type, self.nodes)
                self.result.warnings.append(
                    f"{where}: the node catalogue does not know {class_type}{guess}; nothing is enforced without it"
                )
            self._choice_list(path, parameter.choices)
        elif isinstance(parameter, StringParameter) and parameter.enum:
            self._enum_within_choices(path, parameter.enum)
        elif isinstance(parameter, ArrayParameter):
            self._nested_choices(parameter.items, (*path, "*"))
        elif isinstance(parameter, ObjectParameter):
            for name, nested in parameter.properties.items():
                self._nested_choices(nested, (*path, name))

    def _enum_within_choices(self, path: tuple[str, ...], enum: Sequence[str]) -> None:
        for choice_list in self.result.choice_lists:
            choices = self.result.choices.get(choice_list.reference) if choice_list.path == path else None
            for value in enum if choices is not None else ():
                if value not in (choices or ()):
                    message = (
                        f"{shown(value)} is no choice of {choice_list.reference}{did_you_mean(value, choices or ())}"
                    )
                    self._problem(f"parameters.{'.'.join(path)}.enum", message)

    def _ranges(self) -> None:
        for where, parameter, _ in walk(self.result.parameters):
            for least, most in (("minimum", "maximum"), ("min_items", "max_items")):
                low, high = getattr(parameter, least, None), getattr(parameter, most, None)
                if low is not None and high is not None and low > high:
                    message = f"with what its input takes, its range is empty: at least {low}, at most {high}"
                    self._problem(where, message)

    def _default(self, name: str) -> None:
        parameter = self.map.parameters[name]
        if parameter.required or (isinstance(parameter, SeedParameter) and not parameter.has_default):
            return
        if parameter.has_default or isinstance(parameter, MediaParameter):
            self.result.defaults[name] = parameter.default
            return
        where = f"parameters.{name}"
        writers = self.bound.get(name, [])
        literals = [self.graph[each.place.node_id].get("inputs", {}).get(each.place.input_name) for each in writers]
        if not writers:
            if not parameter.bindings:
                self._problem(where, 'say "required": true or give it a "default"; without a `bind` it has none')
        elif any(literal is None or as_link(literal) for literal in literals):
            self._problem(where, 'the template has no value there: say "required": true or give it a "default"')
        elif any(literal != literals[0] for literal in literals):
            values = listed(
                f"{shown(literal)} at {each.place}" for literal, each in zip(literals, writers, strict=True)
            )
            self._problem(where, f'its places hold different values ({values}); give it a "default"')
        else:
            self.result.defaults[name] = literals[0]

    def _validator(self) -> None:
        if self.problems:
            return  # they will be raised, and nothing will be validated
        lenient = {name: each.model_copy(update={"required": False}) for name, each in self.result.parameters.items()}
        checker = PayloadValidator(lenient, self.result.defaults, self.result.choice_lists)
        for name, value in list(self.result.defaults.items()):
            if value is None:
                continue
            given = self.map.parameters[name].has_default
            origin = "its default" if given else f"the template's own value {shown(value)}"
            try:
                made = checker.validate({name: value}, self.result.choices)[name]
                if not isinstance(self.map.parameters[name], SeedParameter):
                    # What validation makes of it is the default: nested defaults filled in, 20.0 a whole number.
                    self.result.defaults[name] = made
            except InvalidPayload as error:
                where = f"parameters.{name}" + (".default" if given else "")
                for problem in error.problems:
                    self._problem(where, f"{origin} does not validate: {problem.message}")
        self.result.validator = PayloadValidator(self.result.parameters, self.result.defaults, self.result.choice_lists)
        for where, message in parameter_problems(self.result.parameters, checker, self.result.choices):
            self._problem(where, message)
        for index, example in enumerate(self.map.examples):
            for problem in payload_problems(self.result.validator, example.payload, self.result.choices):
                self._problem(f"examples[{index}].payload", f"does not validate: {problem}")
