"""RunPod's SDK, imported without what a worker does not use of it."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

_ASKED = "cpuinfo"
_OF_ITS_COMMANDS = ("paramiko", "tomlkit")
_lock = threading.Lock()


def load_runpod() -> ModuleType:
    """RunPod's SDK.

    For its `--rp_debugger` it asks py-cpuinfo for the processor's name as soon as it is imported (runpod 1.12,
    rp_debugger.py), which starts a Python of its own and takes longer than all the rest. Here Linux is asked.

    For its command line it imports an SSH client and a writer of TOML (cli/groups/ssh/functions.py,
    cli/groups/config/functions.py). Here they are imported when something of them is first used.

    `benchmarks/startup.py` prints what the import takes so, and as it is.
    """
    with _lock:
        if "runpod" in sys.modules:
            return importlib.import_module("runpod")
        quick = ModuleType(_ASKED)
        quick.get_cpu_info = _cpu_info  # type: ignore[attr-defined]
        with _instead(quick, *map(_Later, _OF_ITS_COMMANDS)):
            return importlib.import_module("runpod")


class _Later(ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        # The import system itself asks for such names, and none of them means that the module is used.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _instead(*modules: ModuleType) -> Iterator[None]:
    """Within the block, have these imported in place of the libraries of their names that were not imported yet."""
    names = [each.__name__ for each in modules if sys.modules.setdefault(each.__name__, each) is each]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]  # whoever else imports it gets the library itself


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
