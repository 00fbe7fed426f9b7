"""What grows with a workflow, with their number, with a payload or with a result, and that it grows linearly."""

import argparse
import copy
import gc
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from made_workflows import loaded, long_graph, long_map, node
from reporting import Report, bounded, exit_with, options_of
from support.runners import asked, runner_on
from support.s3 import serve_s3
from support.workflows import sampler_graph, write_workflow

from engine import Catalog
from engine.comfyui import ComfyUI, SharedFolders
from engine.errors import InvalidPayload
from engine.graph import parse_graph
from engine.nodes import load_catalogue
from engine.simulator import Simulator

MOST = 1.2
"""The exponent that counts as linear."""

MOST_OUT_OF_CACHE = 1.45
"""The same for what does so little to each node that its time is the memory's, which is slower than the caches."""

LAST = 3
"""How many of the sizes, from the largest, the exponent is fitted to: with all, fixed costs would hide what grows."""


def fitted(sizes, seconds):
    """The exponent of a power law through the measurements, by least squares of their logarithms."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(each) for each in seconds]).slope


def least(function, rounds=3):
    """The processor's seconds for a call, the least of some rounds: what else the machine does only adds to it.

    Python's collector of garbage, whose turns come when they come, is off meanwhile.
    """
    found = []
    gc.disable()
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        times = 0
        while times == 0 or time.process_time() - begun < 0.01:
            function()
            times += 1
        found.append((time.process_time() - begun) / times)
    gc.enable()
    return min(found)


class Series:
    """Measurements of one thing over a range of sizes."""

    def __init__(self, unit):
        self.unit = unit
        self.sizes = []
        self.seconds = {}

    def add(self, size, **seconds):
        """What each thing took at a size."""
        self.sizes.append(size)
        for what, each in seconds.items():
            self.seconds.setdefault(what.replace("_", " "), []).append(each)

    def tell(self, report, title, name, **bounds):
        """A table, the exponents, and a plot."""
        rows = [
            [f"{size:,}", *(f"{each[index] * 1e3:.2f}" for each in self.seconds.values())]
            for index, size in enumerate(self.sizes)
        ]
        report.table([f"{title}: {self.unit}", *(f"{what}, ms" for what in self.seconds)], rows)
        for what, each in self.seconds.items():
            exponent = fitted(self.sizes[-LAST:], each[-LAST:])
            report.figure(f"{title}, exponent of {what}", exponent, at_most=bounds.get(what, MOST))
        report.plot(f"scale-{name}", f"{title}: {', '.join(self.seconds)}, by {self.unit}.", self._draw)

    def _draw(self, axes):
        for what, each in self.seconds.items():
            axes.loglog(self.sizes, [seconds * 1e3 for seconds in each], marker="o", label=what)
        axes.set_xlabel(self.unit)
        axes.set_ylabel("ms")
        axes.legend()
        axes.grid(visible=True, which="both", alpha=0.3)


def graphs(report, most):
    """Graphs of 100 kB to 5 MB, plain and with the ids that subgraphs have."""
    for title, name, subgraphs in (("size of a graph", "graph", False), ("with ids of subgraphs", "subgraphs", True)):
        series = Series("kB of the graph")
        for nodes in (360, 1_200, 4_000, most):
            graph = long_graph(nodes, subgraphs=subgraphs)
            document = long_map(graph, 100)
            text = json.dumps(graph)
            workflow = loaded(graph, document)
            values = workflow.validate({})
            series.add(
                len(text) // 1000,
                load=least(lambda text=text, document=document: load_from(text, document), 2),
                render=least(lambda workflow=workflow, values=values: workflow.render(values)),
                deepcopy=least(lambda graph=graph: copy.deepcopy(graph), 1),
            )
        series.tell(report, title, name, render=MOST_OUT_OF_CACHE, deepcopy=None)
    workflow = loaded(graph, long_map(graph, 500))
    values = workflow.validate({})
    begun = time.process_time()
    load_from(text, long_map(graph, 500))
    what = f"of a graph of {len(text) / 1e6:.1f} MB with 500 parameters"
    report.figure(f"load {what}", time.process_time() - begun, "s", at_most=3)
    report.figure(f"render {what}", least(lambda: workflow.render(values)) * 1e3, "ms", at_most=100, digits=0)
    begun = time.process_time()
    workflow.render(values)
    taken = (time.process_time() - begun) * 1e3
    report.figure("the same, with what Python's collector adds", taken, "ms", digits=0)


def load_from(text, document):
    return loaded(parse_graph(json.loads(text), label="graph"), document)


def repeats(report):
    """A node for each of many items, in a large graph; a switch for each of many nodes."""
    series = Series("items")
    for count in (5, 10, 25, 50, 100):
        graph = long_graph(20)
        items = {"type": "number", "minimum": 0.01, "maximum": 8}
        document = long_map(graph, 1)
        document["parameters"]["steps"] = {"type": "array", "maxItems": count, "default": [], "items": items}
        document["repeat"] = {"10": {"over": "steps", "through": {"image": 0}, "set": {"scale_by": "item"}}}
        workflow = loaded(graph, document)
        payload = {"steps": [1 + number / 100 for number in range(count)]}
        values = workflow.validate(payload)
        series.add(
            count,
            validate=least(lambda workflow=workflow, payload=payload: workflow.validate(payload)),
            render=least(lambda workflow=workflow, values=values: workflow.render(values)),
        )
    series.tell(report, "items of a repeat", "repeat")
    series = Series("switches")
    for count in (10, 50, 100, 500):
        graph = long_graph(8 * count)
        document = long_map(graph, 1)
        names = [f"on_{number}" for number in range(count)]
        document["parameters"] |= {name: {"type": "boolean", "default": True} for name in names}
        document["switches"] = {
            name: {"when": name, "bypass": [str(8 * number + 1)]} for number, name in enumerate(names)
        }
        workflow = loaded(graph, document)
        values = workflow.validate(dict.fromkeys(names, False))
        series.add(
            count,
            load=least(lambda graph=graph, document=document: loaded(graph, document), 1),
            render=least(lambda workflow=workflow, values=values: workflow.render(values)),
        )
    series.tell(report, "switches, all off, in a graph that grows as they do", "switches", render=MOST_OUT_OF_CACHE)


def parameters(report):
    """Maps of 10 to 500 parameters over one graph."""
    series = Series("parameters")
    graph = long_graph(1_000)
    for count in (10, 50, 100, 250, 500):
        document = long_map(graph, count)
        payload = dict.fromkeys(document["parameters"], 1.5)
        workflow = loaded(graph, document)
        values = workflow.validate(payload)
        series.add(
            count,
            load=least(lambda document=document: loaded(graph, document), 2),
            validate=least(lambda workflow=workflow, payload=payload: workflow.validate(payload)),
            render=least(lambda workflow=workflow, values=values: workflow.render(values)),
            describe=least(workflow.describe),
        )
    series.tell(report, "parameters, in one graph of 1,000 nodes", "parameters")


def arrays(report):
    """Payloads with a long list of objects."""
    series = Series("items of the payload")
    graph = sampler_graph() | {"20": node("OfSomePack", points=[])}
    point = {name: {"type": "number", "required": True} for name in ("x", "y")}
    kind = {"type": "string", "enum": ["on", "off"], "default": "on"}
    items = {"type": "object", "properties": {**point, "kind": kind}}
    listed = {"type": "array", "maxItems": 100_000, "default": [], "items": items, "bind": "$['20'].inputs.points"}
    workflow = loaded(graph, {"parameters": {"points": listed}, "outputs": {"all": {"node": "20"}}})
    for count in (10, 100, 1_000, 10_000):
        good = {"points": [{"x": number, "y": number / 2} for number in range(count)]}
        wrong = {"points": [{"x": "1", "y": number / 2} for number in range(count)]}
        values = workflow.validate(good)
        series.add(
            count,
            validate=least(lambda good=good: workflow.validate(good)),
            refuse=least(lambda wrong=wrong: refused(workflow, wrong)),
            render=least(lambda values=values: workflow.render(values)),
        )
    series.tell(report, "items of a payload's list", "arrays")


def refused(workflow, payload):
    try:
        workflow.validate(payload)
    except InvalidPayload:
        return
    raise AssertionError("the payload was taken")


def workflows(report, folder):
    """Folders of many workflows: the listing, and the first render of one."""
    series = Series("workflows")
    graph = json.dumps(sampler_graph())
    prompt = {"type": "string", "required": True, "bind": "$['6'].inputs.text"}
    document = json.dumps({"parameters": {"prompt": prompt}, "outputs": {"image": {"node": "9"}}})
    made = 0
    for count in (10, 100, 1_000, 10_000):
        for number in range(made, count):
            write_workflow(folder, f"made_{number:05}", graph, document)
        made = count

        def first(count=count):
            workflow = Catalog([folder])[f"made_{count // 2:05}"]
            workflow.render(workflow.validate({"prompt": "a lighthouse"}))

        listed = least(lambda: list(Catalog([folder])), 2)
        series.add(count, names=listed, first_render=least(first, 2))
    series.tell(report, "number of workflows", "workflows")


def batches(report, folder):
    """Jobs that make 1 to 64 pictures: what comes after ComfyUI's own time, by where the pictures go."""
    graph = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node("SaveImage", filename_prefix="batch", images=["1", 0]),
    }
    parameter = {"type": "integer", "default": 1, "bind": "$['1'].inputs.batch_size"}
    color = {"type": "integer", "default": 0, "bind": "$['1'].inputs.color"}
    document = {"parameters": {"pictures": parameter, "color": color}, "outputs": {"image": {"node": "2"}}}
    catalog = Catalog([write_workflow(folder, "batch", graph, document)])
    series = Series("pictures of one job")
    with serve_s3(folder / "s3") as server, Simulator() as simulator:
        bucket = {f"s3_{key}": value for key, value in server.options().items()}
        shared = SharedFolders.below(simulator.folders.base)
        with ComfyUI(simulator.url, folders=shared) as comfy:
            ways = {
                "inline": runner_on(comfy, folder, catalog, default="inline"),
                "directory": runner_on(comfy, folder, catalog),
                "bucket": runner_on(comfy, folder, catalog, **bucket),
            }
            color = 0
            for count in (1, 4, 16, 64):
                taken = {way: [] for way in ways}
                for _ in range(4):
                    for way, runner in ways.items():
                        color += 1
                        payload = {"pictures": count, "color": color}
                        reply = asked(runner, {"workflow": "batch", "payload": payload}, job_id=f"batch-{color}")
                        assert len(reply["outputs"]) == count, reply
                        timings = reply["timings"]
                        taken[way].append(timings["total"] - timings["execute"] - timings["queue"])
                series.add(count, **{way: max(min(each), 1e-4) for way, each in taken.items()})
            for runner in ways.values():
                runner.close()
    series.tell(report, "pictures of one job, beside ComfyUI's time", "batches")


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__))
    parser.add_argument(
        "--most-nodes", type=bounded(int, 100), default=18_000, help="of a graph (default: %(default)s)"
    )
    options = parser.parse_args()
    report = Report(
        "scale",
        "How it grows",
        "Time of the processor over a range of sizes, with the exponent of the power law that fits the largest three "
        "best: 1 is linear, 2 quadratic; fixed costs make it less. Of results, the time beside ComfyUI's own.",
        options.report,
    )
    load_catalogue()
    graphs(report, options.most_nodes)
    repeats(report)
    parameters(report)
    arrays(report)
    with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
        workflows(report, Path(temporary) / "workflows")
        batches(report, Path(temporary))
    return report.end()


if __name__ == "__main__":
    exit_with(main)
