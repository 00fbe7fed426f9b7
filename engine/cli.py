"""The command line: one function per command, each thin.

Typer, because it makes the help, the completion and the usage errors from the signatures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import EngineError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Named ComfyUI workflows with typed parameters.",
)
nodes_app = typer.Typer(no_args_is_help=True, help="The node catalogue that workflows are checked against.")
app.add_typer(nodes_app, name="nodes")

Name = Annotated[str, typer.Argument(help="The workflow.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", help="A parameter: key=value, key=@file, or key:=JSON.", metavar="KEY=VALUE"),
]
PayloadFile = Annotated[Path | None, typer.Option("--payload", help="A JSON file with the payload; - for stdin.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, the result or the failure.")]


@app.command()
def run(
    name: Name,
    parameters: Parameters = None,
    payload: PayloadFile = None,
    out: Annotated[Path | None, typer.Option(help="The folder for the results.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and store its results."""
    from engine.commands import run_command

    run_command.run(name, parameters or [], payload, out, as_json=as_json)


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """List the workflows, and what is wrong with broken ones."""
    from engine.commands import catalog_commands

    catalog_commands.list_workflows(as_json=as_json)


@app.command()
def describe(name: Name, as_json: AsJson = False) -> None:
    """Show a workflow's parameters, outputs and examples."""
    from engine.commands import catalog_commands

    catalog_commands.describe(name, as_json=as_json)


@app.command()
def render(name: Name, parameters: Parameters = None, payload: PayloadFile = None, as_json: AsJson = False) -> None:
    """Print the graph that a payload gives; nothing is queued."""
    from engine.commands import catalog_commands

    catalog_commands.render(name, parameters or [], payload, as_json=as_json)


@app.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Workflows; all of them by default.")] = None,
    catalogue: Annotated[Path | None, typer.Option(help="Another node catalogue to check against.")] = None,
    as_json: AsJson = False,
) -> None:
    """Load workflows, and validate and render their examples; tell every problem."""
    from engine.commands import catalog_commands

    catalog_commands.check(names or [], catalogue, as_json=as_json)


@app.command()
def worker() -> None:
    """Answer jobs from RunPod's queue."""
    from engine.worker import start

    # The SDK reads sys.argv itself (--test_input, --rp_serve_api): it must not see our command's name.
    sys.argv = [sys.argv[0]]
    start()


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Show every environment variable, its default and its value."""
    from engine.commands import settings_command

    settings_command.show(as_json=as_json)


@nodes_app.command()
def refresh(
    source: Annotated[str, typer.Option("--from", help="A running ComfyUI: http://127.0.0.1:8188.", metavar="URL")],
    out: Annotated[Path | None, typer.Option(help="The file to write; the bundled one by default.")] = None,
) -> None:
    """Make the node catalogue anew from a running ComfyUI."""
    from engine.commands import nodes_commands

    nodes_commands.refresh(source, out)


def main() -> None:
    """The `engine` command: exit status 0, 1 for a failure, 2 for usage."""
    try:
        app()
    except EngineError as error:
        from engine.commands.output import print_failure

        print_failure(error, as_json="--json" in sys.argv)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
