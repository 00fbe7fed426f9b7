"""Whether the operating system killed something of this container for want of memory."""

from __future__ import annotations

from pathlib import Path

from engine.machine import memory_groups

_COUNTERS = ("memory.events", "memory.oom_control")
"""Where the kernel counts, in a group's folder: by cgroup v2 and v1
(https://docs.kernel.org/admin-guide/cgroup-v2.html, `memory.events`, and cgroup-v1/memory.html)."""


def memory_kills(root: Path = Path("/")) -> int | None:
    """How many processes of this container were killed for want of memory; None where nobody counts.

    The group this process is in counts, since what it starts is in it too; where that one is not to be seen, the
    nearest above it.

    Args:
        root: where `proc` and `sys` are.
    """
    for group in memory_groups(root):
        for name in _COUNTERS:
            try:
                lines = (group / name).read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            for line in lines:
                key, _, count = line.partition(" ")
                if key == "oom_kill" and count.isdigit():
                    return int(count)
    return None
