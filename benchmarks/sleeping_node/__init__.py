"""A node that takes its time and leaves the processor alone, as a sampler on a GPU does, to measure what is beside it.

`benchmarks/under_test.py` puts it into the ComfyUI that it starts. To measure one that runs already, copy this folder
into its `custom_nodes` and start it again. It needs nothing. Where a file `spans.txt` lies beside it, it writes down
there when each job began to sleep and when it ended, in seconds since the epoch.

ComfyUI collects garbage ten seconds after it did last (main.py, `gc_collect_interval`), and looks at every object that
PyTorch and its nodes made, for most of a second on a slow machine. By chance that falls into this block of jobs or into
that one; so the first job takes those objects out of what is looked at.
"""

from __future__ import annotations

import functools
import gc
import time
from pathlib import Path
from typing import Any

_SPANS = Path(__file__).with_name("spans.txt")


@functools.cache
def _freeze_once() -> None:
    gc.freeze()


class BenchmarkSleep:
    """Hands a picture on after so many seconds."""

    CATEGORY = "benchmarks"
    FUNCTION = "sleep"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What it takes; another seed is another job, so that nothing comes from ComfyUI's cache."""
        return {
            "required": {
                "image": ("IMAGE",),
                "seconds": ("FLOAT", {"default": 0.4, "min": 0.0, "max": 3600.0, "step": 0.001}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**53 - 1}),
            }
        }

    def sleep(self, image: Any, seconds: float, seed: int) -> tuple[Any]:  # noqa: ARG002 - the seed tells jobs apart
        """Wait; gives the picture as it is."""
        _freeze_once()
        began = time.time()
        time.sleep(seconds)
        if _SPANS.exists():
            with _SPANS.open("a") as spans:
                spans.write(f"{began} {time.time()}\n")
        return (image,)


NODE_CLASS_MAPPINGS = {"BenchmarkSleep": BenchmarkSleep}
NODE_DISPLAY_NAME_MAPPINGS = {"BenchmarkSleep": "Sleep (benchmark)"}
