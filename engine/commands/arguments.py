"""The arguments of commands that have many, or commands below them; `engine.cli` has all others."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Functions: TypeAlias = Mapping[str, object]
"""A command below another to what it does."""


def has_models(models: argparse.ArgumentParser, functions: Functions) -> None:
    """The commands below `engine models`: `list`, `fetch` and `verify`, each with its function."""
    commands = models.add_subparsers(metavar="COMMAND", required=True)
    for name, text in (
        ("list", "List the model files that workflows need, and which of them are there."),
        ("fetch", "Fetch the model files that are missing."),
        ("verify", "Compare the model files that are there with what the maps say of them."),
    ):
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(function=functions[name])
        added.add_argument("names", nargs="*", metavar="NAME", help="workflows; all of them by default")
        added.add_argument("--json", action="store_true", help="print one JSON document, the result or the failure")
        if name == "fetch":
            where = "the folder for them, like ComfyUI's models/; by default MODELS_DIR, the volume's, or ComfyUI's own"
            added.add_argument("--into", type=Path, metavar="DIR", help=where)
            added.add_argument("--all", action="store_true", help="of all workflows, however many there are")


def has_snapshots(snapshot: argparse.ArgumentParser, functions: Functions) -> None:
    """The commands below `engine snapshot`: `list`, `freeze` and `verify`, each with its function."""
    commands = snapshot.add_subparsers(metavar="COMMAND", required=True)
    for name, text in (
        ("list", "List the snapshots, and whether their locks agree with them."),
        ("freeze", "Make a snapshot of a running ComfyUI, with its lock and its node catalogue."),
        ("verify", "Compare what a ComfyUI provides with a snapshot's lock."),
    ):
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(function=functions[name])
        if name == "verify":
            added.add_argument("name", nargs="?", metavar="NAME", help="the snapshot; by default SNAPSHOT's")
        if name != "list":
            needed = name == "freeze"
            added.add_argument("--from", dest="source", required=needed, metavar="URL", help="http://127.0.0.1:8188")
            added.add_argument("--home", type=Path, metavar="DIR", help="the folder of that ComfyUI's main.py")
        if name == "freeze":
            added.add_argument("--name", metavar="NAME", help="the snapshot's; by default comfyui-VERSION")
            added.add_argument("--replace", action="store_true", help="replace one that is there")
        if name == "verify":
            added.add_argument("--python", type=Path, metavar="FILE", help="that ComfyUI runs with")
            added.add_argument("--args", default="", metavar="ARGS", help="more of ComfyUI's: --args=--cpu")
        added.add_argument("--folder", type=Path, metavar="DIR", help="of the snapshots; snapshots/ by default")
        added.add_argument("--json", action="store_true", help="print one JSON document, the result or the failure")


def takes_export(add: argparse.ArgumentParser) -> None:
    """What `engine add` takes."""
    add.add_argument("file", metavar="FILE", help="the export, or a picture ComfyUI made; - for stdin")
    add.add_argument("--name", metavar="NAME", help="the workflow's name; the file's by default")
    add.add_argument("--folder", type=Path, metavar="DIR", help="where it goes; the last of WORKFLOWS_PATH by default")
    add.add_argument("--catalogue", type=Path, metavar="FILE", help="another node catalogue to read the graph by")
    add.add_argument("--interactive", action="store_true", help="ask what the graph does not tell")
    add.add_argument("--check", action="store_true", help="write nothing; the status is 1 where something would change")
    add.add_argument("--all", action="store_true", help="every parameter that is found goes into the map")
    again = add.add_argument_group("a workflow that there is")
    again.add_argument("--new", action="store_true", help="what is new in the export goes into the map")
    again.add_argument("--drop-lost", action="store_true", help="what leads nowhere any more goes from the map")
    again.add_argument("--replace", action="store_true", help="a new map takes the place of the one that there is")


def takes_payload(parser: argparse.ArgumentParser) -> None:
    """What a command takes that makes a payload: the workflow, and the values of its parameters."""
    parser.add_argument("name", metavar="NAME", help="the workflow")
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter; KEY=@FILE reads a file, KEY:=JSON takes JSON",
    )
    parser.add_argument("--payload", type=Path, metavar="FILE", help="a JSON file with the payload; - for stdin")
