"""`engine describe`, as people read it: at a terminal, through a pipe, one call alone."""

import json
import os
import pty
import re
import subprocess

import pytest
from support.command import ENGINE, run_engine
from support.operator_workflows import everything_graph, everything_map
from support.workflows import ROOT, make_workflow, sampler_graph, write_workflow

from engine.authoring.describing import example_payload


@pytest.fixture
def describe(tmp_path):
    """Run `engine describe …` on a folder."""

    def run(*arguments, folder=ROOT, **more):
        return run_engine(tmp_path, "describe", *arguments, **{"WORKFLOWS_PATH": str(folder), **more})

    return run


def row(printed, name):
    """The cells of a parameter's row, its wrapped lines put together."""
    lines = iter(printed.splitlines())
    titles = next(line for line in lines if re.match(r" *name +", line))
    starts = [match.start() for match in re.finditer(r"\S+", titles)]
    cells = None
    for line in lines:
        parts = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        if cells and not parts[0]:
            cells = [f"{cell} {part}".strip() for cell, part in zip(cells, parts, strict=True)]
        elif cells:
            break
        elif parts[0] == name:
            cells = parts
    return dict(zip(titles.split(), cells or [], strict=True))


def everything(folder):
    graph, document = everything_graph(), everything_map()
    document["parameters"]["loras"]["group"] = "Style"
    document["parameters"]["loras"]["description"] = "Applied in order."
    document["parameters"]["image"] |= {
        "maxBytes": 5_000_000,
        "minSide": 32,
        "aspectRatio": ["1:2", "2:1"],
        "resizeTo": 1024,
    }
    document["parameters"]["prompt"] |= {"title": "Prompt", "description": "What to [bold]draw[/bold] :smile:."}
    document["rules"] = [{"that": "steps < 100 or width < 2048", "message": "fewer steps for large ones"}]
    document["requires"] = {
        "models": [
            {"path": "loras/a.safetensors", "url": "https://example.com/a.safetensors"},
            {"path": "loras/b.safetensors", "source": "by hand"},
            {"path": "loras/c.safetensors"},
        ],
        "node_packs": ["comfyui-controlnet-aux"],
    }
    document["timeout_seconds"] = 90
    document["outputs"]["image"]["title"] = "The picture"
    return write_workflow(folder, "everything", graph, document)


def test_parameters_with_type_bounds_default_and_description(describe):
    printed = describe("txt2img").stdout
    assert row(printed, "prompt") == {
        "name": "prompt",
        "type": "string",
        "default": "required",
        "allowed": "not empty",
        "about": "What to draw.",
    }
    assert row(printed, "width")["allowed"] == "64 to 2048; a multiple of 8"
    assert row(printed, "width")["default"] == "512"
    assert row(printed, "seed")["default"] == "drawn"
    sampling = printed[printed.index("Parameters: Sampling") :]
    assert row(sampling, "steps")["allowed"] == "1 to 150"
    assert re.fullmatch(r"one of euler, .* and \d+ more", row(sampling, "sampler_name")["allowed"])


def test_parts_of_lists_files_rules_outputs_and_what_is_required(describe, tmp_path):
    printed = describe("everything", folder=everything(tmp_path), COLUMNS="200").stdout
    style = printed[printed.index("Parameters: Style") :]
    assert row(style, "loras")["type"] == "array of object"
    assert row(style, "loras")["allowed"] == "at most 5 items"
    assert row(style, "loras")["about"] == "Applied in order."
    assert row(style, "loras[].name")["default"] == "required"
    assert row(style, "loras[].strength")["allowed"] == "-2 to 2"
    assert row(printed, "image")["allowed"] == (
        "at most 5000000 bytes; width to height 1:2 to 2:1; at least 32 pixels on each side; scaled down to 1024 pixels"
    )
    assert row(printed, "prompt")["about"] == "Prompt. What to [bold]draw[/bold] :smile:."
    for line in (
        "fewer steps for large ones",
        "models/loras/a.safetensors  from https://example.com/a.safetensors",
        "models/loras/b.safetensors  from by hand",
        "models/loras/c.safetensors  (the map does not say from where)",
        "node pack comfyui-controlnet-aux",
        "at most 90 seconds",
    ):
        assert line in printed.splitlines()
    outputs = printed[printed.index("\nOutputs") :]
    assert row(outputs, "image") == {"name": "image", "kind": "image", "about": "The picture"}


def test_bounds_of_what_is_in_a_list_have_a_row(describe, tmp_path):
    words = {"type": "array", "default": ["one"], "items": {"type": "string", "minLength": 1}}
    made = {"parameters": {"words": words}, "computed": {"$['6'].inputs.text": "{{ words | join }}"}}
    printed = describe("w", folder=write_workflow(tmp_path / "own", "w", sampler_graph(), made)).stdout
    assert row(printed, "words[]")["allowed"] == "not empty"


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_nothing_is_cut_off_and_a_pipe_gets_no_escape_codes(describe, tmp_path, columns):
    long = "a_very_long_name_of_a_parameter_that_has_more_letters_than_its_column"
    description = " ".join(f"word{index}" for index in range(80))
    parameters = {long: {"type": "string", "bind": "$['6'].inputs.text", "default": "d" * 150}}
    parameters["seed"] = {"type": "seed", "bind": "$['3'].inputs.seed", "description": description}
    write_workflow(tmp_path, "w", sampler_graph(), {"parameters": parameters})
    printed = describe("w", folder=tmp_path, COLUMNS=columns).stdout
    assert "\x1b" not in printed
    table = printed[: printed.index("Outputs")]
    assert not [word for word in description.split() if word not in table.replace(".", " ").split()]
    assert table.count("d") >= 150
    assert long in "".join(re.findall(r"^ ([a-z_]+)", table, re.MULTILINE))
    assert max(map(len, table.splitlines())) <= max(60, int(columns))


def test_a_title_is_as_wide_as_it_needs(describe, tmp_path):
    write_workflow(tmp_path, "made", sampler_graph(), {"parameters": {}})
    lines = describe("made", folder=tmp_path).stdout.splitlines()
    assert lines[lines.index("Outputs") + 1].split() == ["name", "kind"]


def test_a_terminal_gets_bold_headings():
    output = at_terminal(ENGINE, "describe", "resize")
    assert "\x1b[1mParameters\x1b[0m" in output
    assert "\x1b" not in at_terminal(ENGINE, "describe", "resize", NO_COLOR="1", TERM="dumb")


def at_terminal(*command, **environment):
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "WORKFLOWS_PATH": str(ROOT), "TERM": "xterm-256color"} | environment
    process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:  # the other end was closed
        pass
    finally:
        os.close(ours)
        process.wait(30)
    return b"".join(chunks).decode()


def test_a_plain_terminal_gets_its_tables_in_ascii(describe):
    printed = describe("resize", PYTHONIOENCODING="ascii").stdout
    assert printed.isascii()
    assert row(printed, "width")["allowed"] == "0 to 4096"


def test_one_call_alone_is_what_runs(describe):
    call = describe("resize", "--call", "curl", "--url", "http://127.0.0.1:8000").stdout
    assert call.startswith("curl ")
    assert "'http://127.0.0.1:8000/runsync'" in call
    assert call in describe("resize", "--url", "http://127.0.0.1:8000").stdout
    compile(describe("resize", "--call", "python").stdout, "call", "exec")
    assert json.loads(describe("resize", "--call", "javascript", "--json").stdout)["call"].startswith("const reply")
    assert "invalid choice" in describe("resize", "--call", "cobol", status=2).stderr


def test_files_are_shown_as_urls_and_sent_as_they_are(describe):
    page, call = describe("img2img").stdout, describe("img2img", "--call", "curl").stdout
    assert "data:image" not in page
    assert '"image": "https://example.com/image.png"' in page
    assert '"image": "data:image/png;base64,' in call


def test_only_files_are_shortened(describe, tmp_path):
    graph = sampler_graph() | {"10": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    parameters = {
        "images": {"type": "array", "items": {"type": "image"}, "default": []},
        "prompt": {"type": "string", "bind": "$['6'].inputs.text"},
    }
    link = "https://example.org/" + "long" * 60
    payload = {"images": ["QUJD" * 60, link, {"url": link}], "prompt": "data:image/png;base64," + "x" * 200}
    document = {
        "parameters": parameters,
        "computed": {"$['10'].inputs.image": "images[0]"},
        "examples": [{"title": "One", "payload": payload}],
    }
    write_workflow(tmp_path, "w", graph, document)
    printed = describe("w", folder=tmp_path).stdout
    shown = json.loads(next(line for line in printed.splitlines() if line.startswith('{"images"')))
    assert shown == {**payload, "images": ["https://example.com/image", link, {"url": link}]}


def test_without_an_example_a_call_holds_what_is_required(describe, tmp_path):
    parameters = {
        "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
        "steps": {"type": "integer", "required": True, "minimum": 4, "bind": "$['3'].inputs.steps"},
        "sampler": {"type": "string", "required": True, "enum": ["heun"], "bind": "$['3'].inputs.sampler_name"},
        "cfg": {"type": "number", "bind": "$['3'].inputs.cfg"},
        "denoise": {
            "type": "number",
            "required": True,
            "exclusiveMinimum": 0,
            "maximum": 1,
            "multipleOf": 0.1,
            "bind": "$['3'].inputs.denoise",
        },
        "scheduler": {"type": "string", "required": True, "bind": "$['3'].inputs.scheduler"},
        "width": {"type": "integer", "required": True, "minimum": 60, "multipleOf": 8, "bind": "$['5'].inputs.width"},
        "negative": {"type": "string", "required": True, "minLength": 6, "bind": "$['7'].inputs.text"},
    }
    workflow = make_workflow(tmp_path, {"parameters": parameters}, name="w")
    done = describe("w", "--call", "curl", folder=tmp_path)
    body = json.loads(re.search(r"<<'JSON'\n(.*)\nJSON\n", done.stdout, re.DOTALL)[1])
    payload = body["input"]["payload"]
    assert workflow.validate(payload)
    assert {name: payload[name] for name in ("prompt", "steps", "sampler", "denoise", "width")} == {
        "prompt": "text",
        "steps": 4,
        "sampler": "heun",
        "denoise": 0.1,
        "width": 64,
    }
    assert "no example" in done.stderr
    assert "The map has no example: the values that are required are made up." in describe("w", folder=tmp_path).stdout


def test_json_has_the_rules_and_titles_too(describe, tmp_path):
    document = json.loads(describe("everything", "--json", folder=everything(tmp_path)).stdout)
    assert document["rules"] == ["fewer steps for large ones"]
    assert document["outputs"] == [{"name": "image", "kind": "image", "title": "The picture"}]


@pytest.mark.parametrize(
    ("bounds", "value"),
    [
        ({}, 1),
        ({"minimum": -5}, -5),
        ({"minimum": 0.5}, 0.5),
        ({"maximum": 0.25}, 0.25),
        ({"minimum": 60, "multipleOf": 8}, 64),
        ({"minimum": 0, "exclusiveMinimum": 0}, 1),
        ({"exclusiveMinimum": 0.5, "maximum": 1}, 1),
        ({"exclusiveMinimum": 0, "maximum": 0.5}, 0.25),
        ({"exclusiveMinimum": 16, "multipleOf": 8}, 24),
        ({"multipleOf": 0.1, "exclusiveMinimum": 0, "maximum": 1}, 0.1),
    ],
)
def test_a_number_that_is_made_up_is_allowed(tmp_path, bounds, value):
    parameter = {"type": "number", "required": True, **bounds}
    workflow = make_workflow(tmp_path, {"parameters": {"n": parameter}, "computed": {"$['7'].inputs.text": "{{ n }}"}})
    payload, _ = example_payload(workflow)
    assert payload == {"n": value}
    assert workflow.validate(payload)
