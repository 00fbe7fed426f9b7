"""RunPod's SDK, imported without the second that it spends on the name of the processor."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType

_ASKED = "cpuinfo"
_lock = threading.Lock()


def load_runpod() -> ModuleType:
    """RunPod's SDK.

    For its `--rp_debugger` it asks py-cpuinfo for the processor's name as soon as it is imported (runpod 1.12,
    rp_debugger.py), which starts a Python of its own and takes longer than all the rest. Here Linux is asked.
    `benchmarks/startup.py` prints what both take.
    """
    with _lock:
        if "runpod" in sys.modules or _ASKED in sys.modules:
            return importlib.import_module("runpod")
        quick = ModuleType(_ASKED)
        quick.get_cpu_info = _cpu_info  # type: ignore[attr-defined]
        sys.modules[_ASKED] = quick
        try:
            return importlib.import_module("runpod")
        finally:
            del sys.modules[_ASKED]  # whoever else asks gets the library's own answer


def _cpu_info() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return {"brand_raw": value.strip()}
    return {}
