"""What the picture of a graph says: a card for each node, and the links between them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from engine.bindings import resolve
from engine.graph import label_of, links, title_of
from engine.map_parts import Computed
from engine.nodes import NodeCatalogue
from engine.workflow import Workflow

FONT = 11
TITLE_FONT = 12
LINE = 18
PADDING = 10
_WIDEST_TEXT = 250
_WIDEST_NAME = 180
_NARROWEST = 96
_LINK = re.compile(r"\[\s*'([^']+)'\s*,\s*(\d+)\s*\]")


@dataclass(frozen=True, slots=True)
class Connection:
    """A link of a graph.

    Attributes:
        source: the node that it comes from.
        output: the number of the output there.
        target: the node that it goes to.
        input_name: the input there.
        type: what it carries; empty where that is not known.
        sometimes: the template has another link there, and an expression puts this one in its place.
    """

    source: str
    output: int
    target: str
    input_name: str
    type: str
    sometimes: bool


@dataclass(frozen=True, slots=True)
class Tag:
    """A marked line of a box.

    Attributes:
        style: `pill` for a parameter, `out` for an output, `dim` for a condition.
        text: what stands on it.
        before: what stands left of it: the input.
        full: the whole text, for who points at it; empty where that is no more.
    """

    style: str
    text: str
    before: str = ""
    full: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What a box says.

    Attributes:
        heading: one or two lines.
        inputs: names of the linked inputs, each with the type of its link.
        outputs: numbers of the outputs that are used, each with its type.
        tags: the lines below.
        dashed: it is not in every graph.
        repeated: there can be several of it.
    """

    heading: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[int, str], ...]
    tags: tuple[Tag, ...]
    dashed: bool
    repeated: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        widths = [text_width(line, TITLE_FONT, bold=True) for line in self.heading]
        for taken, given in zip_longest((name for name, _ in self.inputs), (kind for _, kind in self.outputs)):
            row = [text for text in (taken, given) if text]
            widths.append(sum(text_width(text, FONT) + 6 for text in row) + 12 * (len(row) - 1))
        widths += [tag_width(tag) + (text_width(tag.before, FONT) + 6 if tag.before else 0) for tag in self.tags]
        return max(_NARROWEST, round(max(widths)) + 2 * PADDING), round(self.rows_top + LINE * self.rows + 4)

    @property
    def rows(self) -> int:
        """How many lines there are below the heading."""
        return max(len(self.inputs), len(self.outputs)) + len(self.tags)

    @property
    def rows_top(self) -> float:
        """Pixels from the top to the first line below the heading."""
        return 8 + LINE * len(self.heading)

    def row_y(self, index: int) -> float:
        """Pixels from the top to the middle of a line below the heading."""
        return self.rows_top + LINE * index + LINE / 2


def connections(workflow: Workflow, nodes: NodeCatalogue) -> list[Connection]:
    """The links of the template, and those that an expression may put in the place of one of them.

    Args:
        workflow: whose links they are.
        nodes: says which output is of which type.
    """
    graph = workflow.template
    fixed = [(*link, node_id, name) for node_id, node in graph.items() for name, link in links(node)]
    upstream = {node_id: {link[0] for _, link in links(node)} for node_id, node in graph.items()}
    others = []
    for source, output, target, name in _alternatives(workflow, nodes):
        # Two expressions may each name the other's node: a picture of a circle would have no left and right.
        if source in graph and (source, output, target, name) not in fixed and not _reaches(upstream, source, target):
            upstream[target].add(source)
            others.append((source, output, target, name))
    types: dict[tuple[str, int], str] = {}
    for source, output, target, name in [*fixed, *others]:
        if not types.get((source, output)):
            types[source, output] = _type(workflow, nodes, source, output, target, name)
    return [
        Connection(*each, type=types[each[0], each[1]], sometimes=index >= len(fixed))
        for index, each in enumerate([*fixed, *others])
    ]


def _alternatives(workflow: Workflow, nodes: NodeCatalogue) -> Iterator[tuple[str, int, str, str]]:
    """The links that expressions name: source, output, target and input."""
    for path, computed in workflow.parameter_map.computed.items():
        if isinstance(computed, Computed) and computed.replaces_link:
            match_all = computed.match == "all"
            for place in resolve(path, workflow.template, match_all=match_all, replaces_link=True, nodes=nodes):
                for source, output in _LINK.findall(computed.expression):
                    yield source, int(output), place.node_id, place.input_name


def _reaches(upstream: Mapping[str, set[str]], node_id: str, wanted: str) -> bool:
    """Whether a node is made of another, directly or not."""
    waiting, seen = [node_id], {node_id}
    while waiting:
        if (each := waiting.pop()) == wanted:
            return True
        waiting += upstream[each] - seen
        seen |= upstream[each]
    return False


def _type(workflow: Workflow, nodes: NodeCatalogue, source: str, output: int, target: str, input_name: str) -> str:
    """The type of an output; what the catalogue does not know is told by the input that it goes to."""
    spec = nodes.get(workflow.template[source]["class_type"])
    kind = spec.outputs[output] if spec and output < len(spec.outputs) else ""
    taken = nodes.input(workflow.template[target]["class_type"], input_name)
    if kind in _ANYTHING and taken and taken.type not in _ANYTHING:
        kind = taken.type.partition(",")[0]
    return "" if kind in _ANYTHING else kind


_ANYTHING = frozenset({"", "*", "COMFY_MATCHTYPE_V3", "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"})


def card_of(workflow: Workflow, nodes: NodeCatalogue, node_id: str, connected: list[Connection]) -> Card:
    """What the box of a node says.

    Args:
        workflow: whose node it is.
        nodes: says which inputs its class has.
        node_id: the node.
        connected: all links of the graph.
    """
    node = workflow.template[node_id]
    label, title = label_of(workflow.template, node_id), title_of(node)
    used = {each.output: each.type for each in connected if each.source == node_id}
    heading = (label,) if not title or title == node["class_type"] else (title, label)
    taken = {each.input_name: each.type for each in reversed(connected) if each.target == node_id}
    inputs = tuple((_shortened(name), taken[name]) for name, _ in links(node))
    outputs = tuple((number, _shortened(used[number]) or f"output {number + 1}") for number in sorted(used))
    conditions = list(_conditions(workflow, node_id))
    tags = [*_bound(workflow, nodes, node_id), *conditions]
    tags += [_tag("out", each.name, full=each.description) for each in workflow.outputs if each.node_id == node_id]
    repeated = node_id in workflow.parameter_map.repeat
    return Card(tuple(map(_shortened, heading)), inputs, outputs, tuple(tags), bool(conditions), repeated)


def _bound(workflow: Workflow, nodes: NodeCatalogue, node_id: str) -> Iterator[Tag]:
    """A tag for each input that a payload decides, with the parameters that do."""
    node = workflow.template[node_id]
    spec = nodes.get(node["class_type"])
    known = [*spec.inputs, *spec.dynamic] if spec else []
    for name in dict.fromkeys([*node.get("inputs", {}), *known]):
        if parameters := workflow.parameters_at(node_id, name):
            shown = ", ".join(dict.fromkeys(each.replace("[0]", "[]") for each in parameters))
            computed = "= " if workflow.is_computed(node_id, name) else ""
            yield _tag("pill", computed + shown, before="" if shown == name else name)


def _conditions(workflow: Workflow, node_id: str) -> Iterator[Tag]:
    """What must hold for a node to be in the graph, and what it is there several times for."""
    if repeat := workflow.parameter_map.repeat.get(node_id):
        yield _tag("dim", f"once for each of {repeat.over.strip()}")
    for switch in workflow.parameter_map.switches.values():
        if node_id in switch.bypass or node_id in switch.remove:
            yield _tag("dim", f"only if {switch.when.strip()}")


def _tag(style: str, text: str, before: str = "", full: str = "") -> Tag:
    short, left = _shortened(text), _shortened(before, _WIDEST_NAME)
    cut = " ".join(whole for whole, shown in ((before, left), (text, short)) if whole != shown)
    return Tag(style, short, left, full or cut)


def tag_width(tag: Tag) -> float:
    """Pixels that a tag takes, without what stands left of it."""
    return text_width(tag.text, FONT) + (0 if tag.style == "dim" else 12)


def _shortened(text: str, widest: float = _WIDEST_TEXT) -> str:
    """A text that fits, cut at its end where it is too long."""
    text = " ".join(text.split())
    if text_width(text, TITLE_FONT) <= widest:
        return text
    while text_width(f"{text}…", TITLE_FONT) > widest:
        text = text[:-1]
    return f"{text.rstrip()}…"


def text_width(text: str, font: float, *, bold: bool = False) -> float:
    """At most so many pixels wide is a text, in the usual fonts without serifs; a wide one (DejaVu Sans) decides."""
    widths = (_WIDTHS.get(each, 0.72 if each.isascii() and each.isupper() else 0.64) for each in text)
    total = sum(width if each.isascii() else 1.0 for each, width in zip(text, widths, strict=True))
    return total * font * (1.1 if bold else 1.0)


_WIDTHS = (
    dict.fromkeys("il.,:;'|!I jft()[]/-r\"", 0.42) | dict.fromkeys("mwMW@%=<>+&#", 1.0) | dict.fromkeys("GOQNHDU", 0.8)
)
