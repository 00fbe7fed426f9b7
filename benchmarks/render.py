"""Validate and render, stage by stage, against copying the graph and against parsing JSONPath for each request."""

import argparse
import copy
import json
import statistics
import time
import timeit
from pathlib import Path

from jsonpath_ng.ext import parse
from reporting import Report, bounded, exit_with, options_of

from engine import Catalog
from engine.compilation import compile_workflow
from engine.graph import needed_by
from engine.graph_copies import NodeCopies
from engine.map_file import parse_map
from engine.nodes import load_catalogue
from engine.payload import PayloadValidator
from engine.workflow import Workflow

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "prompt": "a lighthouse at dusk",
    "negative_prompt": "text",
    "seed": 7,
    "width": 768,
    "height": 512,
    "steps": 12,
    "cfg_scale": 6.5,
    "sampler_name": "dpmpp_2m",
    "scheduler": "karras",
    "batch_size": 1,
    "ckpt_name": "sd15.safetensors",
}
LORAS = [{"name": f"lora_{number}.safetensors", "strength": 0.5 + number / 10} for number in range(5)]
EACH = 200

# In parts of one deepcopy of the graph.
BUDGETS = {
    "types, ranges, defaults, seeds": 0.15,
    "choices": 0.05,
    "rules": 0.09,
    "copy": 0.10,
    "bind": 0.07,
    "computed": 0.10,
    "repeat": 0.60,
    "switches": 0.40,
}


def read(folder, name):
    return json.loads((ROOT / folder / f"{name}.json").read_text())


def with_loras_and_switches():
    """txt2img_lora with a prompt that is computed, and three nodes that may be switched off: its graph and its map."""
    graph, document = read("templates", "txt2img_lora"), read("schemas", "txt2img_lora")
    graph["20"] = {"inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}, "class_type": "CLIPSetLastLayer"}
    graph["30"] = {
        "inputs": {"upscale_method": "bilinear", "scale_by": 2.0, "image": ["8", 0]},
        "class_type": "ImageScaleBy",
    }
    graph["31"] = {
        "inputs": {"sharpen_radius": 1, "sigma": 1.0, "alpha": 1.0, "image": ["30", 0]},
        "class_type": "ImageSharpen",
    }
    for node_id in ("20", "30", "31"):
        graph[node_id]["_meta"] = {"title": graph[node_id]["class_type"]}  # as every export has it
    graph["9"]["inputs"]["images"] = ["31", 0]
    for node_id in ("6", "7"):
        graph[node_id]["inputs"]["clip"] = ["20", 0]
    parameters = document["parameters"]
    del parameters["prompt"]["bind"]
    parameters["style"] = {"type": "string", "default": "oil painting"}
    parameters |= {
        "clip_skip": {"type": "boolean", "default": False},
        "scale": {"type": "number", "minimum": 1, "maximum": 4, "default": 1, "bind": "$['30'].inputs.scale_by"},
        "sharpen": {"type": "boolean", "default": True},
    }
    document["computed"] = {"$['6'].inputs.text": "{{ prompt }}, {{ style }}"}
    document["switches"] = {
        "clip_skip": {"when": "clip_skip", "bypass": ["20"]},
        "scale": {"when": "scale != 1", "bypass": ["30"]},
        "sharpen": {"when": "sharpen", "bypass": ["31"]},
    }
    document["examples"] = []
    return graph, document


def without(document, *parts):
    """A map without some of its parts, and without the parameters that are used nowhere then."""
    plain = {key: value for key, value in document.items() if key not in parts}
    used = json.dumps([plain.get(part, {}) for part in ("rules", "computed", "repeat", "switches")])
    plain["parameters"] = {
        name: each for name, each in document["parameters"].items() if "bind" in each or name in used
    }
    return plain


def load(graph, document):
    return Workflow("measured", graph, parse_map(document, label="map"), load_catalogue())


def medians(functions, rounds):
    """The processor's microseconds for each, interleaved, so that a slow moment of the machine meets them all."""
    taken = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            taken[name].append(timeit.timeit(function, number=EACH, timer=time.process_time) / EACH * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}


def measured(graph, document, payload, rounds):
    """Each stage, by what is taken without it; and the whole of it beside deep copies, all in microseconds."""
    compiled = compile_workflow(parse_map(document, label="map"), graph, load_catalogue(), label="map")
    bare = PayloadValidator(compiled.parameters, compiled.defaults)
    with_choices = PayloadValidator(compiled.parameters, compiled.defaults, compiled.choice_lists)
    whole = load(graph, document)
    values = whole.validate(payload)
    rendered = whole.render(values)
    copies = NodeCopies(graph, needed_by(graph, ["9"]))
    # Each of these does what the one before it does, and one thing more.
    steps = {
        "types, ranges, defaults, seeds": lambda: bare.validate(payload, compiled.choices),
        "choices": lambda: with_choices.validate(payload, compiled.choices),
        "rules": lambda: whole.validate(payload),
        "copy": copies.made,
    }
    parts = [part for part in ("computed", "repeat", "switches") if part in document]
    for number, stage in enumerate(["bind", *parts]):
        part_of_it = load(graph, without(document, *parts[number:]))
        steps[stage] = lambda workflow=part_of_it: workflow.render(values)
    taken = medians(
        steps
        | {
            "all": lambda: whole.render(whole.validate(payload)),
            "deepcopy": lambda: copy.deepcopy(graph),
            "deepcopy of what is rendered": lambda: copy.deepcopy(rendered),
        },
        rounds,
    )
    found, before = {}, 0.0
    for stage in steps:
        before = 0.0 if stage == "copy" else before
        found[stage], before = taken[stage] - before, taken[stage]
    return found, taken


def parsed_each_time(graph, document, payload):
    """What a worker does that keeps JSONPaths and follows them in a deep copy, for each request."""
    changed = copy.deepcopy(graph)
    for name, each in document["parameters"].items():
        parse(each["bind"]).update(changed, payload[name])
    return changed


def told(report, title, found, taken):
    deep = taken["deepcopy"]
    report.table(
        [title, "µs", "of one deepcopy", "budget"],
        [[stage, f"{each:.1f}", f"{each / deep:.3f}", f"{BUDGETS[stage]:g}"] for stage, each in found.items()],
    )
    over = [stage for stage, each in found.items() if each / deep > BUDGETS[stage]]
    report.say(f"Over its budget: {', '.join(over)}." if over else "Every stage is within its budget.")


def drawn(axes, found):
    """One bar for each workflow, its stages one after the other."""
    stages = list(dict.fromkeys(stage for shares in found.values() for stage in shares))
    below = dict.fromkeys(found, 0.0)
    for stage in stages:
        shares = [max(found[name].get(stage, 0.0), 0.0) for name in found]
        axes.barh(list(found), shares, left=[below[name] for name in found], label=stage)
        below = {name: below[name] + share for name, share in zip(found, shares, strict=True)}
    axes.axvline(1.0, color="black", linestyle=":", label="one deepcopy of its graph")
    axes.set_xlabel("time, in deepcopies of the graph")
    axes.legend(fontsize=7, loc="upper right", bbox_to_anchor=(1.0, 1.0))
    axes.set_xlim(0, 1.9)


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__))
    parser.add_argument(
        "--rounds", type=bounded(int, 1), default=25, help="of which the medians are (default: %(default)s)"
    )
    options = parser.parse_args()
    report = Report(
        "render",
        "From a payload to the graph",
        "The processor's time to validate a payload and to render its graph, against one copy.deepcopy of the "
        "workflow's graph, in interleaved rounds. A stage is what one more step, or one more part of the map, adds.",
        options.report,
    )
    graph, document = read("templates", "txt2img"), read("schemas", "txt2img")
    assert Catalog([ROOT])["txt2img"].render(dict(SETTINGS)) == parsed_each_time(graph, document, SETTINGS)
    plain, taken = measured(graph, document, SETTINGS, options.rounds)
    told(report, f"txt2img, {len(document['parameters'])} parameters", plain, taken)
    number = 5
    parsed = (
        timeit.timeit(lambda: parsed_each_time(graph, document, SETTINGS), number=number, timer=time.process_time)
        / number
        * 1e6
    )
    report.say(f"One deepcopy: {taken['deepcopy']:.0f} µs; with JSONPaths parsed for each request: {parsed:.0f} µs.")
    share = taken["all"] / taken["deepcopy"]
    report.figure("txt2img, validated and rendered, of one deepcopy of its graph", share, at_most=0.3)

    graph, document = with_loras_and_switches()
    payload = {**SETTINGS, "loras": LORAS, "style": "ink", "clip_skip": False, "scale": 1, "sharpen": True}
    operators, of_operators = measured(graph, document, payload, options.rounds)
    told(report, "with 5 LoRAs (repeat) and three switches, two of them off", operators, of_operators)
    # What it renders to is the graph that holds the five; the template's holds one of them, and is told for comparison.
    share = of_operators["all"] / of_operators["deepcopy of what is rendered"]
    report.figure("with 5 LoRAs and three switches, of one deepcopy of the graph it renders to", share, at_most=1.0)
    share = of_operators["all"] / of_operators["deepcopy"]
    report.figure("the same, of one deepcopy of the template's graph, which holds one LoRA", share)
    shares = {
        "txt2img": {stage: each / taken["deepcopy"] for stage, each in plain.items()},
        "5 LoRAs,\n3 switches": {stage: each / of_operators["deepcopy"] for stage, each in operators.items()},
    }
    report.plot("render", "Where the time of a render goes, by stage.", lambda axes: drawn(axes, shares))
    return report.end()


if __name__ == "__main__":
    exit_with(main)
