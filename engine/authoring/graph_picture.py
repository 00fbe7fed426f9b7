"""The picture of a workflow's graph, as SVG: what is linked to what, and where each parameter goes. Pure.

It shows nodes with the inputs that are linked or that a payload decides, and no fixed values. The same workflow gives
the same bytes. Colours follow the reader's light or dark scheme; whatever they tell stands there in words, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from engine.authoring.graph_layout import Layout, Wire, laid_out
from engine.graph import label_of, links, title_of
from engine.nodes import NodeCatalogue
from engine.wording import listed
from engine.workflow import Workflow

_FONT = 11
_TITLE_FONT = 12
_LINE = 18
_PADDING = 10
_WIDEST_TEXT = 250
_NARROWEST = 96

_COLOURS = {
    "MODEL": "#8a6fd8",
    "CLIP": "#b08900",
    "VAE": "#dc5a5a",
    "CONDITIONING": "#d9731a",
    "LATENT": "#c653b4",
    "IMAGE": "#2f82d6",
    "MASK": "#3c9a50",
    "CONTROL_NET": "#149a8d",
    "VIDEO": "#5b6ee1",
    "AUDIO": "#a0702c",
}
_OTHER_COLOURS = ("#5f8a3a", "#c2577d", "#3f8fa8", "#8d7a5a", "#7a63b8")
_UNKNOWN = "#7d8590"

_STYLE = """\
.gp{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;font-size:11px}
.gp .page{fill:#fff}.gp .box{fill:#f6f8fa;stroke:#8c959f}.gp .some{stroke-dasharray:5 3}
.gp text{fill:#1f2328}.gp .name{font-size:12px;font-weight:600}.gp .dim{fill:#59636e}
.gp .pill{fill:#0b5cc4}.gp .out{fill:#1a7438}.gp .pill+text,.gp .out+text{fill:#fff}
.gp .wire{fill:none;stroke-width:1.6;stroke-opacity:.85}
@media (prefers-color-scheme:dark){.gp .page{fill:#0d1117}.gp .box{fill:#1c2128;stroke:#768390}
.gp text{fill:#e6edf3}.gp .dim{fill:#9aa5b1}.gp .pill{fill:#8dc1ff}.gp .out{fill:#7ee08f}
.gp .pill+text,.gp .out+text{fill:#0d1117}}"""


@dataclass(frozen=True, slots=True)
class _Tag:
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
class _Card:
    """What a box says.

    Attributes:
        heading: one or two lines.
        inputs: names of the linked inputs, each with the type that it is linked to.
        outputs: numbers of the outputs that are used, each with its type.
        tags: the lines below.
        dashed: it is not in every graph.
        repeated: there can be several of it.
    """

    heading: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[int, str], ...]
    tags: tuple[_Tag, ...]
    dashed: bool
    repeated: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        widths = [text_width(line, _TITLE_FONT, bold=True) for line in self.heading]
        for taken, given in zip_longest((name for name, _ in self.inputs), (kind for _, kind in self.outputs)):
            row = [text for text in (taken, given) if text]
            widths.append(sum(text_width(text, _FONT) + 6 for text in row) + 12 * (len(row) - 1))
        widths += [_tag_width(tag) + (text_width(tag.before, _FONT) + 6 if tag.before else 0) for tag in self.tags]
        return max(_NARROWEST, round(max(widths)) + 2 * _PADDING), round(self.rows_top + _LINE * self.rows + 4)

    @property
    def rows(self) -> int:
        """How many lines there are below the heading."""
        return max(len(self.inputs), len(self.outputs)) + len(self.tags)

    @property
    def rows_top(self) -> float:
        """Pixels from the top to the first line below the heading."""
        return 8 + _LINE * len(self.heading)

    def row_y(self, index: int) -> float:
        """Pixels from the top to the middle of a line below the heading."""
        return self.rows_top + _LINE * index + _LINE / 2


def graph_picture(workflow: Workflow, nodes: NodeCatalogue) -> str:
    """The picture, a whole SVG document.

    Args:
        workflow: whose template is drawn.
        nodes: says which output is of which type; a class that it lacks is drawn with what its links tell.
    """
    graph = workflow.template
    types = _link_types(workflow, nodes)
    used: dict[str, dict[int, str]] = {node_id: {} for node_id in graph}
    for node in graph.values():
        for _, (source, output) in links(node):
            used[source][output] = types[source, output]
    cards = {node_id: _card(workflow, nodes, node_id, types, used[node_id]) for node_id in graph}
    wires, kinds = [], []
    for node_id, node in graph.items():
        for index, (_, (source, output)) in enumerate(links(node)):
            row = [number for number, _ in cards[source].outputs].index(output)
            wires.append(Wire(source, output, cards[source].row_y(row), node_id, cards[node_id].row_y(index)))
            kinds.append(types[source, output])
    layout = laid_out({node_id: card.size for node_id, card in cards.items()}, wires)
    title = f"{workflow.name}: {workflow.title}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="gp" role="img" viewBox="0 0 {layout.width} {layout.height}" '
        f'width="{layout.width}" height="{layout.height}" aria-labelledby="{workflow.name}-t {workflow.name}-d">',
        f'<title id="{workflow.name}-t">{_text(title)}</title>',
        f'<desc id="{workflow.name}-d">{_text(_told(workflow))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{layout.width}" height="{layout.height}"/>',
        *_wires(layout, kinds),
        *(line for node_id, card in cards.items() for line in _drawn(card, layout.places[node_id])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text_width(text: str, font: float, *, bold: bool = False) -> float:
    """At most so many pixels wide is a text, in the usual fonts without serifs; a wide one (DejaVu Sans) decides."""
    widths = (_WIDTHS.get(each, 0.72 if each.isascii() and each.isupper() else 0.64) for each in text)
    total = sum(width if each.isascii() else 1.0 for each, width in zip(text, widths, strict=True))
    return total * font * (1.1 if bold else 1.0)


_WIDTHS = (
    dict.fromkeys("il.,:;'|!I jft()[]/-r\"", 0.42) | dict.fromkeys("mwMW@%=<>+&#", 1.0) | dict.fromkeys("GOQNHDU", 0.8)
)


def _link_types(workflow: Workflow, nodes: NodeCatalogue) -> dict[tuple[str, int], str]:
    """The type of every output that is linked; what the catalogue does not know is told by the input it goes to."""
    graph = workflow.template
    found: dict[tuple[str, int], str] = {}
    for node in graph.values():
        for name, (source, output) in links(node):
            spec = nodes.get(graph[source]["class_type"])
            kind = spec.outputs[output] if spec and output < len(spec.outputs) else ""
            taken = nodes.input(node["class_type"], name)
            if (not kind or kind in _ANYTHING) and taken and taken.type not in _ANYTHING:
                kind = taken.type.partition(",")[0]
            if not found.get((source, output)):
                found[source, output] = "" if kind in _ANYTHING else kind
    return found


_ANYTHING = frozenset({"", "*", "COMFY_MATCHTYPE_V3", "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"})


def _card(
    workflow: Workflow,
    nodes: NodeCatalogue,
    node_id: str,
    types: Mapping[tuple[str, int], str],
    used: Mapping[int, str],
) -> _Card:
    node = workflow.template[node_id]
    label, title = label_of(workflow.template, node_id), title_of(node)
    heading = (label,) if not title or title == node["class_type"] else (title, label)
    inputs = tuple((_shortened(name), types[link]) for name, link in links(node))
    outputs = tuple((number, used[number] or f"output {number + 1}") for number in sorted(used))
    conditions = list(_conditions(workflow, node_id))
    tags = [*_bound(workflow, nodes, node_id), *conditions]
    tags += [_tag("out", each.name, full=each.description) for each in workflow.outputs if each.node_id == node_id]
    repeated = node_id in workflow.parameter_map.repeat
    return _Card(tuple(map(_shortened, heading)), inputs, outputs, tuple(tags), bool(conditions), repeated)


def _bound(workflow: Workflow, nodes: NodeCatalogue, node_id: str) -> Iterator[_Tag]:
    """A tag for each input that a payload decides, with the parameters that do."""
    node = workflow.template[node_id]
    spec = nodes.get(node["class_type"])
    known = [*spec.inputs, *spec.dynamic] if spec else []
    for name in dict.fromkeys([*node.get("inputs", {}), *known]):
        if parameters := workflow.parameters_at(node_id, name):
            shown = ", ".join(dict.fromkeys(each.replace("[0]", "[]") for each in parameters))
            computed = "= " if workflow.is_computed(node_id, name) else ""
            yield _tag("pill", computed + shown, before="" if shown == name else name)


def _conditions(workflow: Workflow, node_id: str) -> Iterator[_Tag]:
    """What must hold for a node to be in the graph, and what it is there several times for."""
    if repeat := workflow.parameter_map.repeat.get(node_id):
        yield _tag("dim", f"once for each of {repeat.over.strip()}")
    for switch in workflow.parameter_map.switches.values():
        if node_id in switch.bypass or node_id in switch.remove:
            yield _tag("dim", f"only if {switch.when.strip()}")


def _tag(style: str, text: str, before: str = "", full: str = "") -> _Tag:
    short, left = _shortened(text), _shortened(before, _WIDEST_TEXT / 2)
    cut = " ".join(whole for whole, shown in ((before, left), (text, short)) if whole != shown)
    return _Tag(style, short, left, full or cut)


def _tag_width(tag: _Tag) -> float:
    return text_width(tag.text, _FONT) + (0 if tag.style == "dim" else 12)


def _shortened(text: str, widest: float = _WIDEST_TEXT) -> str:
    """A text that fits, cut at its end where it is too long."""
    text = " ".join(text.split())
    if text_width(text, _TITLE_FONT) <= widest:
        return text
    while text_width(f"{text}…", _TITLE_FONT) > widest:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _wires(layout: Layout, kinds: Sequence[str]) -> Iterator[str]:
    for route, kind in zip(layout.routes, kinds, strict=True):
        (x, y), *rest = route
        path = f"M{x:.0f} {y:.0f}"
        for index, (to_x, to_y) in enumerate(rest):
            if index % 2 == 0:  # straight through a layer
                path += f"H{to_x:.0f}" if to_x > x else ""
            else:
                middle = (x + to_x) / 2
                path += f"C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
            x, y = to_x, to_y
        yield f'<path class="wire" stroke="{colour_of(kind)}" d="{path}"/>'


def colour_of(kind: str) -> str:
    """The colour of a type, always the same one."""
    if not kind:
        return _UNKNOWN
    number = hashlib.sha256(kind.encode()).digest()[0]
    return _COLOURS.get(kind) or _OTHER_COLOURS[number % len(_OTHER_COLOURS)]


def _drawn(card: _Card, place: tuple[int, int]) -> Iterator[str]:
    left, top = place
    width, height = card.size
    look = "box some" if card.dashed else "box"
    if card.repeated:
        yield f'<rect class="{look}" x="{left + 5}" y="{top + 5}" width="{width}" height="{height}" rx="6"/>'
    yield f'<rect class="{look}" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
    for index, line in enumerate(card.heading):
        style = "dim" if index else "name"
        yield f'<text class="{style}" x="{left + _PADDING}" y="{top + 19 + _LINE * index}">{_text(line)}</text>'
    for index, (name, kind) in enumerate(card.inputs):
        y = top + card.row_y(index)
        yield f'<circle cx="{left}" cy="{y:g}" r="4" fill="{colour_of(kind)}"/>'
        yield f'<text x="{left + _PADDING}" y="{y + 4:g}">{_text(name)}</text>'
    for index, (_, kind) in enumerate(card.outputs):
        y = top + card.row_y(index)
        known = kind if not kind.startswith("output ") else ""
        yield f'<circle cx="{left + width}" cy="{y:g}" r="4" fill="{colour_of(known)}"/>'
        yield f'<text class="dim" x="{left + width - _PADDING}" y="{y + 4:g}" text-anchor="end">{_text(kind)}</text>'
    first = max(len(card.inputs), len(card.outputs))
    for index, tag in enumerate(card.tags):
        yield from _drawn_tag(tag, left, top + card.row_y(first + index), width)


def _drawn_tag(tag: _Tag, left: int, y: float, width: int) -> Iterator[str]:
    full = f"<title>{_text(tag.full)}</title>" if tag.full else ""
    if tag.style == "dim":
        yield f'<text class="dim" x="{left + _PADDING}" y="{y + 4:g}">{full}{_text(tag.text)}</text>'
        return
    if tag.before:
        yield f'<text class="dim" x="{left + _PADDING}" y="{y + 4:g}">{_text(tag.before)}</text>'
    wide = round(_tag_width(tag))
    x = left + _PADDING if tag.style == "pill" and not tag.before else left + width - _PADDING - wide
    yield f'<rect class="{tag.style}" x="{x}" y="{y - 7.5:g}" width="{wide}" height="15" rx="7"/>'
    yield f'<text x="{x + wide / 2:g}" y="{y + 4:g}" text-anchor="middle">{full}{_text(tag.text)}</text>'


def _told(workflow: Workflow) -> str:
    """The picture in words, for who does not see it."""
    graph = workflow.template
    names = [f"{title_of(node) or node['class_type']} ({node_id})" for node_id, node in graph.items()]
    parameters = ", ".join(workflow.parameters) or "none"
    outputs = ", ".join(each.name for each in workflow.outputs)
    return f"{len(graph)} nodes: {listed(names, most=len(names))}. Parameters: {parameters}. Outputs: {outputs}."


def _text(text: str) -> str:
    """A text as XML takes it: without the characters that no XML may hold."""
    allowed = "".join(each for each in text if each in "\t\n" or (each >= " " and not "\ud800" <= each <= "\udfff"))
    return escape(allowed, quote=False)
