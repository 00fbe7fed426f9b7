"""Why a workflow does not load: every problem of both files, also of those parts that come after the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.authoring.checking.codes import Code, code
from engine.authoring.finding import Finding
from engine.catalog import Source
from engine.documents import read_json
from engine.errors import InvalidMap, Problem, WorkflowError
from engine.graph import Graph, find_cycle, parse_graph
from engine.map_file import parse_map
from engine.nodes import NodeCatalogue
from engine.schema import ParameterMap
from engine.workflow import Workflow

MISSING_FILE = code(
    "missing_file",
    "error",
    "One of the two files of a workflow is missing, or their name is none.",
    "a workflow is templates/NAME.json and schemas/NAME.json",
)
UNREADABLE = code("unreadable", "error", "A file can't be read, or is not JSON.", "correct it, or export it again")
INVALID_TEMPLATE = code(
    "invalid_template",
    "error",
    "The template is no graph in API format.",
    "in ComfyUI choose Workflow > Export (API); engine add FILE takes what else ComfyUI writes",
)
BROKEN_LINK = code(
    "broken_link", "error", "A link leads to a node that is not in the template.", "export the graph again from ComfyUI"
)
CYCLE = code("cycle", "error", "Links go round in a circle.", "take one of the links out in ComfyUI and export again")
INVALID_MAP = code("invalid_map", "error", "The parameter map itself is wrong.", "correct the map")
BROKEN_PATH = code(
    "broken_path", "error", "A path of the map leads to no place where its value fits.", "correct the path"
)
UNEXPECTED_CLASS = code(
    "unexpected_class",
    "error",
    "A node is not of the class that `expects` names: the template was exported anew and its ids moved.",
    "engine add FILE finds the nodes again; else correct the paths that name it, and expects",
)
BROKEN_OUTPUT = code(
    "broken_output", "error", "A declared output names a node that is not there or saves nothing.", "name another node"
)
NO_OUTPUT = code(
    "no_output", "error", "No node of the template saves anything.", "add one in ComfyUI, such as SaveImage"
)
INVALID_EXAMPLE = code(
    "invalid_example", "error", "An example does not validate or does not render.", "correct the example, or the map"
)
INVALID_EXPRESSION = code(
    "invalid_expression",
    "error",
    "An expression, a rule, a switch or a repeat is wrong.",
    "correct the expression, or the switch or repeat that it is of",
)
UNKNOWN_CHOICES = code(
    "unknown_choices",
    "warning",
    "Something of the map can't be checked, since the node catalogue does not know a class that it names.",
    "check with --live against the ComfyUI that runs it",
)

UNBOUNDED_LIST = code(
    "unbounded_list",
    "warning",
    "The list of a `repeat` has no `maxItems`: a caller may send as many items as a node is ever repeated for.",
    "give the list a maxItems",
)
PARTIAL_ROW = code(
    "partial_row",
    "warning",
    "The `through` of a `repeat` leaves out an output that is used: of that only the last copy's has an effect.",
    "name the input that hands it on, in `through`",
)
TWO_WRITERS = code("two_writers", "error", "Two things of the map write one place.", "keep one of the two")

_ADVICE = re.compile(
    r"; (?=(?:add|bind|choose|correct|drop|give|in ComfyUI|keep|leave|make|name|round|say|take|use|write)\b)"
)
"""What parts a message that ends with what to do: the finding's remedy then."""
_UNUSED = "it is used nowhere"
_ONE_WRITER = "one place, one writer"


def load_findings(source: Source, error: WorkflowError, nodes: NodeCatalogue) -> Iterator[Finding]:
    """Why a workflow does not load.

    A map is read in steps, each of which needs the one before. Where one fails, what is malformed is set aside and
    the next looks at the rest.

    Args:
        source: its files.
        error: what loading it said.
        nodes: the node catalogue.
    """
    problems = list(error.problems) or [Problem("", error.message, file=_label(source, "schemas"))]
    if source.template.is_file() and source.map.is_file():
        problems += _rest(source, problems, nodes)
    raw = _document(source.template, _label(source, "templates"))
    told: set[Problem] = set()
    for each in problems:
        if each not in told:
            told.add(each)
            yield _finding(each, source, raw)


def compile_warnings(workflow: Workflow, file: str) -> Iterator[Finding]:
    """What loading a workflow could not check."""
    for warning in workflow.warnings:
        where, separator, message = warning.partition(": ")
        known = separator and re.fullmatch(r"[\w.$\['\]\"-]+", where)
        of_repeat = PARTIAL_ROW if where.endswith(".through") else UNBOUNDED_LIST
        kind = of_repeat if where.startswith("repeat.") else UNKNOWN_CHOICES
        yield kind.at(file, where if known else "", message if known else warning)


def parts_of(source: Source) -> tuple[Graph, Any, ParameterMap | None]:
    """The nodes of the template that are some, the map as JSON, and the map itself where it could be read."""
    raw = _document(source.template, "")
    graph = {
        node_id: node
        for node_id, node in (raw.items() if isinstance(raw, dict) else ())
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and _is_object(node.get("inputs", {}))
    }
    document = _document(source.map, "")
    try:
        return graph, document, parse_map(document, label="")
    except InvalidMap:
        return graph, document, None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _label(source: Source, folder: str) -> str:
    return f"{folder}/{source.name}.json"


def _document(path: Any, label: str) -> Any:
    try:
        return read_json(path, label=label)
    except InvalidMap:
        return None


def _rest(source: Source, known: list[Problem], nodes: NodeCatalogue) -> Iterator[Problem]:
    """What loading would have said of the rest, had it got that far."""
    graph, document, parameter_map = parts_of(source)
    label = _label(source, "schemas")
    if not graph or not isinstance(document, dict):
        return
    aside: set[str] = set()
    if parameter_map is not None and all(each.file == label for each in known):
        return  # it got as far as the paths
    wrong = [each for each in known if each.file == label]
    while parameter_map is None:
        document, more = _set_aside(document, [each.where for each in wrong])
        if more <= aside:
            return
        aside |= more
        try:
            parameter_map = parse_map(document, label=label)
        except InvalidMap as error:  # names and bounds are looked at once every key is what it is to be
            wrong = list(error.problems)
            yield from wrong
    try:
        Workflow(source.name, graph, parameter_map, nodes, label=label)
    except WorkflowError as error:
        for problem in error.problems:
            follows = any(problem.where == each or problem.where.startswith((f"{each}.", f"{each}[")) for each in aside)
            if not follows and not (aside and problem.message.startswith(_UNUSED)):
                yield problem


def _set_aside(document: Mapping[str, Any], wheres: Iterable[str]) -> tuple[dict[str, Any], set[str]]:
    """The map without its malformed parts, and which these are. A parameter keeps its name, for expressions to use."""
    kept: dict[str, Any] = {key: {**part} if isinstance(part, dict) else part for key, part in document.items()}
    aside: set[str] = set()
    for where in wheres:
        section, _, rest = where.partition(".")
        section = section.partition("[")[0]
        entries = kept.get(section)
        key = _key(rest, entries) if isinstance(entries, dict) else None
        if isinstance(entries, dict) and key is not None:
            aside.add(f"{section}.{key}")
            if section == "parameters" and _is_name(key):
                entries[key] = {"type": "string", "default": None}
            else:
                entries.pop(key, None)
        elif section in kept and section != "parameters":
            aside.add(section)
            kept.pop(section)
        elif section == "parameters":
            aside.add(section)
            kept["parameters"] = {}
    if aside:
        # They were meant for the map as it will be.
        aside |= {each for each in ("examples", "rules") if kept.pop(each, None) is not None}
    return kept, aside


def _key(rest: str, entries: Mapping[str, Any]) -> str | None:
    """The entry of a section that a place within it belongs to; keys may hold dots."""
    fits = [key for key in entries if rest == key or rest.startswith((f"{key}.", f"{key}["))]
    return max(fits, key=len, default=None)


def _is_name(key: str) -> bool:
    try:
        parse_map({"parameters": {key: {"type": "string"}}}, label="")
    except InvalidMap:
        return False
    return True


def _finding(problem: Problem, source: Source, raw: Any) -> Finding:
    file = problem.file or _label(source, "schemas")
    in_template = file.startswith("templates/")
    kind = _kind_of_template(problem, source, raw) if in_template else _kind_of_map(problem, source)
    where = problem.where
    if kind is CYCLE:
        where = (find_cycle(raw) or [""])[0]
    elif kind is NO_OUTPUT:  # told of the map, which takes all that save something for outputs
        file, where = _label(source, "templates"), ""
    message, *advice = _ADVICE.split(problem.message, maxsplit=1)
    # Of moved ids the kind knows more than the message.
    remedy = advice[0] if advice and kind is not UNEXPECTED_CLASS else None
    return kind.at(file, where, message, remedy=remedy)


def _kind_of_template(problem: Problem, source: Source, raw: Any) -> Code:
    if not (source.template.is_file() and source.map.is_file()):
        return MISSING_FILE
    if raw is None:
        return UNREADABLE
    if ".inputs." in problem.where:
        return BROKEN_LINK
    try:
        parse_graph(raw, label="")
    except InvalidMap:
        is_circle = isinstance(raw, dict) and not problem.where and all(map(_is_object, raw.values()))
        return CYCLE if is_circle and raw and find_cycle(raw) else INVALID_TEMPLATE
    return MISSING_FILE  # nothing is wrong with what it holds: it is the name


def _kind_of_map(problem: Problem, source: Source) -> Code:
    if not (source.template.is_file() and source.map.is_file()):
        return MISSING_FILE
    section, _, rest = problem.where.partition(".")
    if _document(source.map, "") is None:
        return UNREADABLE
    if not problem.where or (problem.where, problem.message) in _malformed(source):
        return INVALID_MAP
    if problem.message.endswith(_ONE_WRITER):
        return TWO_WRITERS
    if problem.where == "outputs" and "saves" in problem.message:
        return NO_OUTPUT
    if section == "parameters":
        return BROKEN_PATH if re.search(r"\.bind(\[\d+\])?$", problem.where) else INVALID_MAP
    if section == "computed":
        return BROKEN_PATH if rest and rest in problem.message else INVALID_EXPRESSION
    by_section = {"expects": UNEXPECTED_CLASS, "outputs": BROKEN_OUTPUT}
    if section in by_section and rest:
        return by_section[section]
    if problem.where.startswith("examples["):
        return INVALID_EXAMPLE if ".payload" in problem.where else INVALID_MAP
    return INVALID_EXPRESSION if section.partition("[")[0] in {"rules", "switches", "repeat"} else INVALID_MAP


def _malformed(source: Source) -> set[tuple[str, str]]:
    """Place and message of what is wrong with the map by itself."""
    try:
        parse_map(_document(source.map, ""), label="")
    except InvalidMap as error:
        return {(each.where, each.message) for each in error.problems}
    return set()
