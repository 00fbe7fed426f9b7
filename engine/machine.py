"""How much memory and disk this machine, or this container's share of it, has left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_NO_LIMIT = 1 << 60
"""cgroup v1 says "no bound" by a number just below 2^63."""


class Space(NamedTuple):
    """Some memory or disk, in bytes."""

    total_bytes: int
    free_bytes: int


def memory(root: Path = Path("/")) -> Space | None:
    """The memory that processes here may use, and what is left of it.

    The container's bound counts where there is one (cgroup v2, then v1: `Documentation/admin-guide/cgroup-v2.rst`
    and `cgroup-v1/memory.rst` of Linux), else the machine's. Files that the kernel keeps in memory and can drop
    (`inactive_file`) count as free.

    Args:
        root: where `proc` and `sys` are.

    Returns:
        None where the machine does not say, as outside Linux.
    """
    spaces = [space for space in (*_bounds(root), _machine(root)) if space is not None]
    return min(spaces, key=lambda space: space.free_bytes) if spaces else None


def disk(folder: Path) -> Space | None:
    """The disk that a folder is on, or is going to be on; None where it can't be asked."""
    for there in (folder.absolute(), *folder.absolute().parents):
        try:
            usage = shutil.disk_usage(there)
        except OSError:
            continue
        return Space(usage.total, usage.free)
    return None


def _machine(root: Path) -> Space | None:
    found: dict[str, int] = {}
    for line in _text(root / "proc" / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdigit():
            found[name] = int(number[0]) * 1024
    total, free = found.get("MemTotal"), found.get("MemAvailable")
    return None if total is None or free is None else Space(total, free)


def _bounds(root: Path) -> Iterator[Space | None]:
    for group in memory_groups(root):
        # The one of them that is not of the group's version has no files there.
        yield _bound(group, limit="memory.max", used="memory.current", cache="inactive_file")
        yield _bound(group, limit="memory.limit_in_bytes", used="memory.usage_in_bytes", cache="total_inactive_file")


def memory_groups(root: Path = Path("/")) -> Iterator[Path]:
    """The folders of the control groups that this process is in, as to memory: each group's parents after it.

    Args:
        root: where `proc` and `sys` are.
    """
    base = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines() or ["0::/", "1:memory:/"]:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _groups(base, path)
        elif "memory" in controllers.split(","):
            yield from _groups(base / "memory", path)


def _groups(base: Path, path: str) -> Iterator[Path]:
    # In a container the path may be that of the host, which is not to be seen there: then the base is the group.
    group = base / path.strip("/")
    while group != base:
        yield group
        group = group.parent
    yield base


def _bound(group: Path, *, limit: str, used: str, cache: str) -> Space | None:
    most, now = _text(group / limit).strip(), _text(group / used).strip()
    if not (most.isdigit() and now.isdigit()) or int(most) >= _NO_LIMIT:
        return None
    lines = (line.split() for line in _text(group / "memory.stat").splitlines())
    kept = sum(int(line[1]) for line in lines if line[:1] == [cache])
    return Space(int(most), max(0, min(int(most), int(most) - int(now) + kept)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
