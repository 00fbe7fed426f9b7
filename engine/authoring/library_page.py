"""Pages about all workflows of a folder, in Markdown: a table with a card for each, and their parameters. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.authoring.describing import example_payload, parameter_rows, with_short_files
from engine.authoring.levels import LEVELS, MEANINGS, Standing
from engine.media_values import holds_media
from engine.schema import StringParameter
from engine.workflow import Workflow

GRAPHS = "graphs"
"""The folder of the pictures, beside the page."""

_GIGABYTE = 10**9
_NO_PACKS = "none, ComfyUI's own nodes alone"


@dataclass(frozen=True, slots=True)
class Card:
    """A workflow and what is known of it beside its map.

    Attributes:
        workflow: it.
        standings: how far it got, the newest ComfyUI first.
    """

    workflow: Workflow
    standings: Sequence[Standing]

    def standing(self, version: str) -> Standing:
        """How far it got with that ComfyUI, which is among those that are known."""
        return next(each for each in self.standings if each.version == version)

    def shown(self, version: str) -> str:
        """How far it got with that ComfyUI, or, where nothing is known of that, with the one where it got furthest."""
        own = self.standing(version)
        best = min(self.standings, key=lambda each: LEVELS.index(each.level))
        better = own.level == LEVELS[-1] and best.level != own.level
        return f"{best} (ComfyUI {best.version})" if better else str(own)


def library_page(cards: Sequence[Card], release: str) -> str:
    """The table and the cards.

    Args:
        cards: in their order.
        release: the version of ComfyUI whose level the table has.
    """
    lines = [
        "# The library",
        "",
        "The workflows that come with the engine: to be used as they are, and to copy from. `engine models fetch NAME`",
        "gets the model files of one, `engine run NAME` runs it, `engine describe NAME` tells more.",
        "[Parameters](parameters.md) are called the same in all of them. In brackets is what may be left out. Files of "
        "example.com",
        "stand for your own: a URL, or with `engine run` a file as well: `-p image=@photo.jpg`.",
        "Generated from `templates/`, `schemas/` and `docs/levels.json`.",
        "",
        "| workflow | | takes | makes | GPU | level |",
        "|---|---|---|---|---|---|",
        *(_summary(card, release) for card in cards),
        "",
        "## Levels",
        "",
        f"How far each got, the highest first. The table is about ComfyUI {release} where it names no other. "
        "`make verify` and",
        "`make levels COMFY_HOME=…` write down what a real ComfyUI did; a level counts for the graphs that reached it: "
        "what",
        "changes them takes it away, what is corrected in the words does not.",
        "",
        *(f"- *{level}*: {MEANINGS[level]}." for level in LEVELS),
        "",
        "GPUs are cards with so much memory; where the figure is from stands below. Nothing is refused for it.",
    ]
    for card in cards:
        lines += ["", *_card(card)]
    return "\n".join(lines) + "\n"


def parameters_page(workflows: Sequence[Workflow]) -> str:
    """Every parameter of all workflows: what it is, and which of them have it."""
    lines = [
        "# Parameters of the library",
        "",
        "A name stands for one thing, of one type, in all workflows of [the library](library.md). Where their words",
        "for it differ, each has a row. Bounds and defaults are on the cards. Generated from `schemas/`.",
        "",
        "| parameter | type | group | meaning | in |",
        "|---|---|---|---|---|",
    ]
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for workflow in workflows:
        for row in parameter_rows(workflow):
            same = found.setdefault((row.name, row.type, row.group), {})
            same.setdefault(row.about, []).append(workflow.name)
    for (name, kind, group), meanings in sorted(found.items()):
        told = (f"`{name}`", kind, group)
        for meaning, uses in sorted(meanings.items(), key=lambda each: -len(each[1])):
            lines.append(_row(*told, meaning, ", ".join(f"[{each}](library.md#{each})" for each in uses)))
            told = ("", "", "")  # one row for each meaning, its name in the first alone
    return "\n".join(lines) + "\n"


def command_line(workflow: Workflow, payload: Mapping[str, Any]) -> str:
    """`engine run …` with a payload, for a POSIX shell.

    Args:
        workflow: says which values are texts.
        payload: one that is valid.
    """
    words = ["engine run", shlex.quote(workflow.name)]
    for name, value in payload.items():
        parameter = workflow.parameters[name]
        is_text = isinstance(value, str) and not (isinstance(parameter, StringParameter) and value.startswith("@"))
        sent, sign = (value, "=") if is_text else (json.dumps(value, ensure_ascii=False), "=")
        if not is_text and (isinstance(value, str | list | dict) or value is None):
            sign = ":="
        words.append(f"-p {name}{sign}{shlex.quote(sent)}")
    return " ".join(words)


def _summary(card: Card, release: str) -> str:
    workflow = card.workflow
    gpu = workflow.requires.gpu
    return _row(
        f"[{workflow.name}](#{workflow.name})",
        workflow.title,
        ", ".join(_taken(workflow)) or "nothing",
        ", ".join(dict.fromkeys(each.kind or "file" for each in workflow.outputs)),
        f"{gpu.memory_gb:g} GB" if gpu else "",
        card.shown(release),
    )


def _taken(workflow: Workflow) -> Iterator[str]:
    """What it is made of: prompt and files, those in brackets that may be left out."""
    for name, parameter in workflow.parameters.items():
        if name == "prompt" or holds_media(parameter):
            yield name if parameter.required else f"({name})"


def _card(card: Card) -> Iterator[str]:
    workflow = card.workflow
    yield from (f"## {workflow.name}", "", f"**{_cell(workflow.title)}.** {_cell(workflow.description)}".rstrip(), "")
    yield f"![The graph of {workflow.name}]({GRAPHS}/{workflow.name}.svg)"
    yield from ("", "| parameter | type | allowed | default | meaning |", "|---|---|---|---|---|")
    for row in parameter_rows(workflow):
        default = f"`{row.default}`" if row.default not in ("", "required", "drawn", "none") else row.default
        yield _row(f"`{row.name}`", row.type, row.allowed, default, row.about)
    yield ""
    yield from (f"- {line}" for line in _facts(card))
    payload, _ = example_payload(workflow)
    shown = with_short_files(workflow, payload)
    yield from ("", "```sh", command_line(workflow, shown), "```", "", "```json")
    yield from (json.dumps({"workflow": workflow.name, "payload": shown}, ensure_ascii=False), "```")


def _facts(card: Card) -> Iterator[str]:
    workflow, requires = card.workflow, card.workflow.requires
    outputs = ", ".join(f"`{each.name}` ({each.kind or 'file'})" for each in workflow.outputs)
    yield from (f"Rule: {_cell(rule)}" for rule in workflow.rules)
    yield f"Gives: {outputs}"
    if workflow.gates:
        yield f"A result must pass these checks ([quality](quality.md)); {_cell(workflow.gates.said)}" + "".join(
            f"\n  - {_cell(str(gate))}" for gate in workflow.gates.entries
        )
    sizes = [each.size_bytes for each in requires.models]
    known = f", {sum(filter(None, sizes)) / _GIGABYTE:.1f} GB" if sizes and all(sizes) else ""
    yield f"Models{known}:{'' if requires.models else ' none'}" + "".join(
        f"\n  - {f'[{each.path}]({each.url})' if each.url else f'`{each.path}`'}"
        + (f" ({_cell(each.source)})" if each.source else "")
        for each in requires.models
    )
    packs = ", ".join(f"{_cell(each)} ([snapshots](snapshots.md))" for each in requires.node_packs)
    yield f"Node packs: {packs or _NO_PACKS}"
    if requires.gpu:
        yield f"GPU: {requires.gpu.memory_gb:g} GB ({_cell(requires.gpu.source)})"
    yield "Level: " + "; ".join(f"{each} on ComfyUI {each.version}" for each in card.standings)


def _row(*cells: str) -> str:
    """A row of a table. Cells that begin with a code or a link are Markdown already."""
    marked = (cell.replace("|", "\\|") if cell.startswith(("[", "`")) else _cell(cell) for cell in cells)
    return f"| {' | '.join(marked)} |"


def _cell(text: str) -> str:
    """A text as a cell of a table: no mark-up, in one line."""
    text = " ".join(text.split())
    for sign in "\\|<*_[":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
