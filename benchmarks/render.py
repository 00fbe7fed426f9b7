"""Validate and render txt2img, against copying its graph and against parsing JSONPath per request, in one run."""

import copy
import json
import statistics
import timeit
from pathlib import Path

from jsonpath_ng.ext import parse

from engine import Catalog

ROOT = Path(__file__).resolve().parent.parent
PAYLOAD = {
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
ROUNDS, EACH = 15, 300


def main():
    workflow = Catalog([ROOT])["txt2img"]
    graph = dict(workflow.template)
    document = json.loads((ROOT / "schemas" / "txt2img.json").read_text())
    paths = {name: each["bind"] for name, each in document["parameters"].items()}

    def ours():
        return workflow.render(workflow.validate(PAYLOAD))

    def deep_copy():
        return copy.deepcopy(graph)

    def parse_each_time():
        changed = copy.deepcopy(graph)
        for name, path in paths.items():
            parse(path).update(changed, PAYLOAD[name])
        return changed

    assert {key: node["inputs"] for key, node in ours().items()} == {
        key: node["inputs"] for key, node in parse_each_time().items()
    }
    # Interleaved, so that a slow moment of the machine meets them all.
    seconds = {ours: [], deep_copy: [], parse_each_time: []}
    for _ in range(ROUNDS):
        for function, taken in seconds.items():
            number = EACH if function is not parse_each_time else max(1, EACH // 50)
            taken.append(timeit.timeit(function, number=number) / number)
    mine, copied, parsed = (statistics.median(taken) for taken in seconds.values())
    print(f"validate + render of txt2img, {len(PAYLOAD)} parameters: {mine * 1e6:.0f} µs")
    print(f"one deepcopy of its graph: {copied * 1e6:.0f} µs, {copied / mine:.1f} times as long")
    print(f"deepcopy and JSONPath parsed per request: {parsed * 1e6:.0f} µs, {parsed / mine:.0f} times as long")
    assert mine < copied, "validate + render should cost less than one deepcopy"


if __name__ == "__main__":
    main()
