"""The command line: one function per command, each thin.

argparse, because it starts in 20 ms; the libraries that make nicer help cost more than a listing of a thousand
workflows (`benchmarks/startup.py`).
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from engine import in_capitals
from engine.commands.arguments import has_models, has_snapshots, takes_export, takes_payload
from engine.errors import EngineError, UsageError, file_trouble


def _run(options: argparse.Namespace) -> None:
    from engine.commands import run_command

    wishes = (options.delivery, options.version_id, options.retries)
    run_command.run(options.name, options.param, options.payload, options.out, *wishes, as_json=options.json)


def _serve(options: argparse.Namespace) -> None:
    from engine.commands import serve_command
    from engine.ending import leaving_threads

    with leaving_threads():
        serve_command.serve(options.host, options.port)


def _list(options: argparse.Namespace) -> None:
    from engine.commands import catalog_commands

    catalog_commands.list_workflows(as_json=options.json)


def _describe(options: argparse.Namespace) -> None:
    from engine.commands import describe_command

    describe_command.describe(options.name, options.call, options.url, options.picture, as_json=options.json)


def _openapi(options: argparse.Namespace) -> None:
    from engine.commands import openapi_command

    openapi_command.write(options.names, options.out, options.url, strict=options.strict)


def _render(options: argparse.Namespace) -> None:
    from engine.commands import render_command

    render_command.render(options.name, options.param, options.payload, as_json=options.json, difference=options.diff)


def _check(options: argparse.Namespace) -> None:
    from engine.commands import check_command

    live, names = options.live, options.names
    if live and "/" not in live and ":" not in live:
        live, names = "", [*names, live]  # `--live poster`: what follows is no URL but a workflow
    check_command.check(
        names,
        catalogue=options.catalogue,
        folder=options.folder,
        live=live,
        snapshot=options.snapshot,
        strict=options.strict,
        save=options.save,
        as_json=options.json,
    )


def _add(options: argparse.Namespace) -> None:
    from engine.commands import add_command, add_plans

    wishes = add_plans.Wishes(options.all, options.new, options.drop_lost, options.replace)
    add_command.add(
        add_command.AddOptions(
            options.file,
            name=options.name,
            folder=options.folder,
            catalogue=options.catalogue,
            check=options.check,
            interactive=options.interactive,
            wishes=wishes,
            as_json=options.json,
        )
    )


def worker(arguments: Sequence[str]) -> None:
    """What `handler.py` and `engine worker` do: take RunPod's jobs, serve the local API, or run one command.

    Args:
        arguments: `serverless`, `serve` or `cli COMMAND …`; the SDK's (`--test_input`); or nothing, where RunPod's
            variables say which.
    """
    from engine.starting.modes import check_jobs, choose

    environment = in_capitals(os.environ)
    try:
        choice = choose(arguments, environment)
        check_jobs(choice, environment)
    except EngineError as error:
        _end_with(error, as_json=False)
    if choice.mode != "cli":
        gc.disable()  # nothing of what is imported now is garbage; engine.starting.beside enables it again
        from engine.ending import leaving_threads
        from engine.starting.sequence import start

        sys.argv = [sys.argv[0], *choice.arguments]  # the SDK reads its own from there
        with leaving_threads():
            start(choice)
        return
    from engine.starting.places import find_all

    if choice.arguments[:1] != ("settings",):  # which tells what is set from what is found
        # What the worker itself would use; a variable that is set counts as ever.
        for name, each in find_all(environment).items():
            os.environ[name] = os.environ.get(name) or each.value
    sys.argv = ["engine", *choice.arguments]
    main()


def _worker(options: argparse.Namespace) -> None:
    worker(options.arguments)


def _mcp(options: argparse.Namespace) -> None:  # noqa: ARG001 - every command has the same form
    from engine.commands import mcp_command

    mcp_command.serve()


def _settings(options: argparse.Namespace) -> None:
    from engine.commands import settings_command
    from engine.starting.places import find_all

    settings_command.show(as_json=options.json, found=find_all(in_capitals(os.environ)))


def _models_list(options: argparse.Namespace) -> None:
    from engine.commands import models_command

    models_command.show(options.names, as_json=options.json)


def _models_verify(options: argparse.Namespace) -> None:
    from engine.commands import models_command

    models_command.verify(options.names, as_json=options.json)


def _models_fetch(options: argparse.Namespace) -> None:
    from engine.commands import models_command

    models_command.fetch(options.names, options.into, everything=options.all, as_json=options.json)


def _bundle(options: argparse.Namespace) -> None:
    from engine.commands import bundle_command

    bundle_command.write(options.directory, options.names, folder=options.folder, as_json=options.json)


def _nodes_refresh(options: argparse.Namespace) -> None:
    from engine.commands import nodes_commands

    nodes_commands.refresh(options.source, options.out)


def _snapshot_list(options: argparse.Namespace) -> None:
    from engine.commands import snapshot_command

    snapshot_command.show(options.folder, as_json=options.json)


def _snapshot_freeze(options: argparse.Namespace) -> None:
    from engine.commands import snapshot_command

    snapshot_command.make(
        options.source,
        options.name,
        home=options.home,
        folder=options.folder,
        replace=options.replace,
        as_json=options.json,
    )


def _snapshot_verify(options: argparse.Namespace) -> None:
    import shlex

    from engine.commands import snapshot_command

    snapshot_command.verify(
        options.name,
        url=options.source,
        home=options.home,
        python=options.python,
        arguments=tuple(shlex.split(options.args)),
        folder=options.folder,
        as_json=options.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("engine", description="Named ComfyUI workflows with typed parameters.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, function: object, text: str, *, takes_json: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(function=function)
        if takes_json:
            added.add_argument("--json", action="store_true", help="print one JSON document, the result or the failure")
        return added

    run = command("run", _run, "Run a workflow and store its results.")
    takes_payload(run)
    run.add_argument(
        "-d",
        "--delivery",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how results are wanted: format=webp, quality=80, filename={workflow}_{seed}, mode=s3, thumbnail=256, …",
    )
    run.add_argument("--version-id", metavar="ID", help="the environment to run in; by default VERSION_ID's")
    run.add_argument("--out", type=Path, metavar="DIR", help="the folder for the results")
    run.add_argument("--retries", type=int, choices=range(11), metavar="N", help="further tries, if its checks fail")
    serve = command("serve", _serve, "Serve the workflows here: pages to try them, and the API.", takes_json=False)
    serve.add_argument("--host", metavar="ADDRESS", help="where to listen; by default API_HOST, else 127.0.0.1")
    serve.add_argument("--port", type=int, metavar="N", help="its port; by default API_PORT, else 8000")
    command("list", _list, "List the workflows, and what is wrong with broken ones.")
    describe = command("describe", _describe, "Show a workflow's parameters, outputs and examples.")
    describe.add_argument("name", metavar="NAME")
    describe.add_argument("--call", choices=("curl", "python", "javascript"), help="print one example call, to be run")
    describe.add_argument("--picture", type=Path, metavar="FILE", help="draw its graph into FILE, an SVG")
    describe.add_argument("--url", help="the endpoint that calls go to: http://127.0.0.1:8000; RunPod's by default")
    openapi = command("openapi", _openapi, "Write an OpenAPI document, one operation per workflow.", takes_json=False)
    openapi.add_argument("names", nargs="*", metavar="NAME", help="workflows; all of them by default")
    openapi.add_argument("--out", type=Path, metavar="FILE", help="the file to write; stdout by default")
    openapi.add_argument("--url", help="the endpoint: http://127.0.0.1:8000; RunPod's by default")
    openapi.add_argument("--strict", action="store_true", help="fail where a workflow is broken")
    render = command("render", _render, "Print the graph that a payload gives; nothing is queued.")
    takes_payload(render)
    render.add_argument("--diff", action="store_true", help="print what differs from the template, and why")
    check = command("check", _check, "Look over workflows: everything that is or may be wrong, with the remedy.")
    check.add_argument("names", nargs="*", metavar="NAME", help="workflows; all of them by default")
    check.add_argument("--catalogue", type=Path, metavar="FILE", help="another node catalogue to check against")
    check.add_argument("--folder", type=Path, metavar="DIR", help="with templates/ and schemas/; else WORKFLOWS_PATH")
    check.add_argument("--snapshot", metavar="NAME", help="every class is to come from it; by default SNAPSHOT's")
    check.add_argument("--strict", action="store_true", help="warnings fail as well")
    check.add_argument("--save", action="store_true", help="keep what the examples render to in tests/rendered/")
    check.add_argument(
        "--live",
        nargs="?",
        const="",
        metavar="URL",
        help="check against a running ComfyUI, its files too; without URL the one of COMFY_URL or COMFY_HOME",
    )
    add = command("add", _add, "Make a workflow of an exported graph, or carry one over to a changed export.")
    takes_export(add)
    about = "Answer RunPod's jobs (serverless), or HTTP on this machine (serve), or run a command (cli)."
    command("worker", _worker, about, takes_json=False).add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="serverless|serve|cli COMMAND",
        help="by default what RunPod's variables say; --test_input JSON runs one job",
    )
    command("mcp", _mcp, "Offer the workflows to agents as tools, over stdin and stdout (MCP).", takes_json=False)
    command("settings", _settings, "Show every environment variable, its default and its value.")
    models = commands.add_parser("models", help="The model files that workflows need: list, fetch, verify.")
    has_models(models, {"list": _models_list, "fetch": _models_fetch, "verify": _models_verify})
    bundle = command("bundle", _bundle, "Copy workflows into a folder of their own, as an image takes them.")
    bundle.add_argument("directory", type=Path, metavar="DIR", help="where to; it is made where it is missing")
    bundle.add_argument("names", nargs="*", metavar="NAME", help="workflows, also as a,b; all of them by default")
    bundle.add_argument("--folder", type=Path, metavar="DIR", help="with templates/ and schemas/; else WORKFLOWS_PATH")
    snapshot = commands.add_parser("snapshot", help="Named environments: list them, make one, verify one.")
    has_snapshots(snapshot, {"list": _snapshot_list, "freeze": _snapshot_freeze, "verify": _snapshot_verify})
    nodes = commands.add_parser("nodes", help="The node catalogue that workflows are checked against.")
    refresh = nodes.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "refresh", help="Make the node catalogue anew from a running ComfyUI."
    )
    refresh.set_defaults(function=_nodes_refresh)
    refresh.add_argument("--from", dest="source", required=True, metavar="URL", help="http://127.0.0.1:8188")
    refresh.add_argument("--out", type=Path, metavar="FILE", help="the file to write; the bundled one by default")
    return parser


def main() -> None:
    """The `engine` command: exit status 0, 1 for a failure, 2 for usage."""
    parser = _parser()
    if len(sys.argv) == 1:
        parser.print_help(sys.stderr)
        sys.exit(2)
    if sys.argv[1] == "worker" and sys.argv[2:3] not in (["-h"], ["--help"]):
        worker(sys.argv[2:])  # the rest is the SDK's, or a command of its own: argparse would take options for its own
        return
    options = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no terminal is too plain for a title
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ComfyUI and our files are let go of
    try:
        options.function(options)
    except EngineError as error:
        _end_with(error, as_json=getattr(options, "json", False))
    except KeyboardInterrupt:
        from engine.commands.output import print_failure
        from engine.errors import Cancelled

        print_failure(Cancelled("stopped from the keyboard"), as_json=getattr(options, "json", False))
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output stopped: that is no failure of ours, and Python must not complain at exit.
        sys.stdout = None
    except OSError as error:
        _end_with(file_trouble(error), as_json=getattr(options, "json", False))


def _end_with(error: EngineError, *, as_json: bool) -> NoReturn:
    from engine.commands.output import print_failure

    print_failure(error, as_json=as_json)
    sys.exit(2 if isinstance(error, UsageError) else 1)


if __name__ == "__main__":
    main()
