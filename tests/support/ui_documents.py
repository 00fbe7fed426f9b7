"""Documents in UI format, as the editor saves them, and programs that stand in for comfy-cli where it is to fail."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

INSTANCE = "0f6d3c52-9a3e-4a5b-8c1d-2f7e6a9b4c10"
"""The type of a node that is a subgraph."""


def node(node_id: Any, node_type: str, values: Any = (), *, inputs: Any = (), outputs: Any = (), **more: Any) -> Any:
    """A node; inputs are `(name, type, link id)`, with a widget `(…, {label})`; outputs `(type, link ids)`."""
    slots = [
        {"name": name, "type": kind, "link": link, **({"widget": {"name": name}, **widget[0]} if widget else {})}
        for name, kind, link, *widget in inputs
    ]
    return {
        "id": node_id,
        "type": node_type,
        "mode": 0,
        "inputs": slots,
        "outputs": [{"name": kind, "type": kind, "links": list(links)} for kind, links in outputs],
        "properties": {"Node name for S&R": node_type},
        "widgets_values": list(values) if isinstance(values, tuple) else values,
        **more,
    }


def document(nodes: list[Any], links: Any = (), subgraphs: Any = (), **more: Any) -> dict[str, Any]:
    """An export; links are `[id, from, slot, to, slot, type]`."""
    return {
        "id": "5e1b8d0a-1111-4222-8333-444455556666",
        "nodes": nodes,
        "links": list(links),
        "version": 0.4,
        **({"definitions": {"subgraphs": list(subgraphs)}} if subgraphs else {}),
        **more,
    }


def subgraph(
    nodes: list[Any], links: Any, *, inputs: Any = (), outputs: Any = (), subgraph_id: str = INSTANCE
) -> dict[str, Any]:
    """A subgraph; inputs and outputs are `(name, type, link ids)`, links as in a document."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return {
        "id": subgraph_id,
        "name": "Inner",
        "nodes": nodes,
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        "inputs": [{"name": name, "type": kind, "linkIds": list(ids)} for name, kind, ids in inputs],
        "outputs": [{"name": name, "type": kind, "linkIds": list(ids)} for name, kind, ids in outputs],
    }


def picture(color: int = 255, prefix: str = "plain") -> dict[str, Any]:
    """A graph that needs no model: a plain picture, saved."""
    return document(
        [
            node(1, "EmptyImage", (16, 8, 1, color), outputs=[("IMAGE", [1])]),
            node(2, "SaveImage", (prefix,), inputs=[("images", "IMAGE", 1)]),
        ],
        [[1, 1, 0, 2, 0, "IMAGE"]],
    )


def api_picture(color: int = 255, prefix: str = "plain") -> dict[str, Any]:
    """What becomes of `picture`."""
    plain = {"width": 16, "height": 8, "batch_size": 1, "color": color}
    return {
        "1": {"inputs": plain, "class_type": "EmptyImage", "_meta": {"title": "EmptyImage"}},
        "2": {
            "inputs": {"filename_prefix": prefix, "images": ["1", 0]},
            "class_type": "SaveImage",
            "_meta": {"title": "Save Image"},
        },
    }


def nested(depth: int, each: int, *, circle: bool = False) -> dict[str, Any]:
    """Subgraphs within subgraphs, each with so many instances of the next one."""
    ids = [f"{level:08d}-0000-4000-8000-000000000000" for level in range(depth)]
    levels = []
    for level, own in enumerate(ids):
        last = level == depth - 1
        inner = ids[0] if circle else "EmptyImage"
        types = [inner if last else ids[level + 1]] * each
        nodes = [node(number, node_type) for number, node_type in enumerate(types)]
        levels.append(subgraph(nodes, [], subgraph_id=own))
    return document([node(1, ids[0])], subgraphs=levels)


def program(folder: Any, code: str) -> Any:
    """An executable that runs Python in place of comfy-cli."""
    path = folder / "comfy"
    script = folder / "comfy.py"
    script.write_text(code)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n')
    path.chmod(0o755)
    return path


def saying(folder: Any, answer: Any) -> Any:
    """One that prints a document as comfy-cli prints its answer."""
    return program(folder, f"print({json.dumps(answer)!r})")
