"""Whether the operating system killed something of this container for want of memory."""

from __future__ import annotations

from pathlib import Path

_COUNTERS = ("memory.events", "memory/memory.oom_control")
"""Where the kernel counts, below `/sys/fs/cgroup`: by cgroup v2 and v1
(https://docs.kernel.org/admin-guide/cgroup-v2.html, `memory.events`, and cgroup-v1/memory.html)."""


def memory_kills(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """How many processes of this container were killed for want of memory; None where nobody counts.

    Args:
        root: where the control groups are mounted.
    """
    for name in _COUNTERS:
        try:
            lines = (root / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, count = line.partition(" ")
            if key == "oom_kill" and count.isdigit():
                return int(count)
    return None
