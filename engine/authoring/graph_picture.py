"""The picture of a workflow's graph, as SVG: what is linked to what, and where each parameter goes. Pure.

It shows nodes with the inputs that are linked or that a payload decides, and no fixed values. The same workflow gives
the same bytes. Colours follow the reader's light or dark scheme; whatever they tell stands there in words, too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from engine.authoring.graph_cards import LINE, PADDING, Card, Connection, Tag, card_of, connections, tag_width
from engine.authoring.graph_layout import Layout, Wire, laid_out
from engine.graph import links, title_of
from engine.nodes import NodeCatalogue
from engine.wording import listed
from engine.workflow import Workflow

BEGINNING = '<svg xmlns="http://www.w3.org/2000/svg" class="gp"'
"""What every picture begins with."""

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
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2, without \r

_STYLE = """\
.gp{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;font-size:11px}
.gp .page{fill:#fff}.gp .box{fill:#f6f8fa;stroke:#8c959f}.gp .some{stroke-dasharray:5 3}
.gp text{fill:#1f2328}.gp .name{font-size:12px;font-weight:600}.gp .dim{fill:#59636e}
.gp .pill{fill:#0b5cc4}.gp .out{fill:#1a7438}.gp .pill+text,.gp .out+text{fill:#fff}
.gp .wire{fill:none;stroke-width:1.6;stroke-opacity:.85}
@media (prefers-color-scheme:dark){.gp .page{fill:#0d1117}.gp .box{fill:#1c2128;stroke:#768390}
.gp text{fill:#e6edf3}.gp .dim{fill:#9aa5b1}.gp .pill{fill:#8dc1ff}.gp .out{fill:#7ee08f}
.gp .pill+text,.gp .out+text{fill:#0d1117}}"""


def graph_picture(workflow: Workflow, nodes: NodeCatalogue) -> str:
    """The picture, a whole SVG document.

    Args:
        workflow: whose template is drawn.
        nodes: says which output is of which type; a class that it lacks is drawn with what its links tell.
    """
    connected = connections(workflow, nodes)
    cards = {node_id: card_of(workflow, nodes, node_id, connected) for node_id in workflow.template}
    wires = [_wire(each, workflow, cards) for each in connected]
    layout = laid_out({node_id: card.size for node_id, card in cards.items()}, wires)
    title = f"{workflow.name}: {workflow.title}"
    parts = [
        f'{BEGINNING} role="img" viewBox="0 0 {layout.width} {layout.height}" '
        f'width="{layout.width}" height="{layout.height}" aria-labelledby="{workflow.name}-t {workflow.name}-d">',
        f'<title id="{workflow.name}-t">{_text(title)}</title>',
        f'<desc id="{workflow.name}-d">{_text(_told(workflow))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{layout.width}" height="{layout.height}"/>',
        *_drawn_wires(layout, connected),
        *(line for node_id, card in cards.items() for line in _drawn(card, layout.places[node_id])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _wire(link: Connection, workflow: Workflow, cards: Mapping[str, Card]) -> Wire:
    source, target = cards[link.source], cards[link.target]
    given = [number for number, _ in source.outputs].index(link.output)
    taken = [name for name, _ in links(workflow.template[link.target])].index(link.input_name)
    return Wire(link.source, link.output, source.row_y(given), link.target, target.row_y(taken))


def _drawn_wires(layout: Layout, connected: Sequence[Connection]) -> Iterator[str]:
    for route, link in zip(layout.routes, connected, strict=True):
        (x, y), *rest = route
        path = f"M{x:.0f} {y:.0f}"
        for index, (to_x, to_y) in enumerate(rest):
            if index % 2 == 0:  # straight through a layer
                path += f"H{to_x:.0f}" if to_x > x else ""
            else:
                middle = (x + to_x) / 2
                path += f"C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
            x, y = to_x, to_y
        look = "wire some" if link.sometimes else "wire"
        yield f'<path class="{look}" stroke="{colour_of(link.type)}" d="{path}"/>'


def colour_of(kind: str) -> str:
    """The colour of a type, always the same one."""
    if not kind:
        return _UNKNOWN
    number = hashlib.sha256(kind.encode()).digest()[0]
    return _COLOURS.get(kind) or _OTHER_COLOURS[number % len(_OTHER_COLOURS)]


def _drawn(card: Card, place: tuple[int, int]) -> Iterator[str]:
    left, top = place
    width, height = card.size
    look = "box some" if card.dashed else "box"
    if card.repeated:
        yield f'<rect class="{look}" x="{left + 5}" y="{top + 5}" width="{width}" height="{height}" rx="6"/>'
    yield f'<rect class="{look}" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
    for index, line in enumerate(card.heading):
        style = "dim" if index else "name"
        yield f'<text class="{style}" x="{left + PADDING}" y="{top + 19 + LINE * index}">{_text(line)}</text>'
    for index, (name, kind) in enumerate(card.inputs):
        y = top + card.row_y(index)
        yield f'<circle cx="{left}" cy="{y:g}" r="4" fill="{colour_of(kind)}"/>'
        yield f'<text x="{left + PADDING}" y="{y + 4:g}">{_text(name)}</text>'
    for index, (_, kind) in enumerate(card.outputs):
        y = top + card.row_y(index)
        known = kind if not kind.startswith("output ") else ""
        yield f'<circle cx="{left + width}" cy="{y:g}" r="4" fill="{colour_of(known)}"/>'
        yield f'<text class="dim" x="{left + width - PADDING}" y="{y + 4:g}" text-anchor="end">{_text(kind)}</text>'
    first = max(len(card.inputs), len(card.outputs))
    for index, tag in enumerate(card.tags):
        yield from _drawn_tag(tag, left, top + card.row_y(first + index), width)


def _drawn_tag(tag: Tag, left: int, y: float, width: int) -> Iterator[str]:
    full = f"<title>{_text(tag.full)}</title>" if tag.full else ""
    if tag.style == "dim":
        yield f'<text class="dim" x="{left + PADDING}" y="{y + 4:g}">{full}{_text(tag.text)}</text>'
        return
    if tag.before:
        yield f'<text class="dim" x="{left + PADDING}" y="{y + 4:g}">{_text(tag.before)}</text>'
    wide = round(tag_width(tag))
    x = left + PADDING if tag.style == "pill" and not tag.before else left + width - PADDING - wide
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
    return escape(_NOT_XML.sub("", text), quote=False)
