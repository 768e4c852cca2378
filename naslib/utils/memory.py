"""How much memory is free: of the machine within the limits of its container, or of an accelerator."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_MEMINFO = "/proc/meminfo"


def free_memory() -> int | None:
    """Return how many bytes of memory a process may still take, None where the platform does not say.

    On Linux what the kernel calls available, and no more than the control group of the process leaves.
    """
    found = [bytes_ for bytes_ in (_available(), _left_in_group()) if bytes_ is not None]
    return min(found) if found else None


def _available() -> int | None:
    try:
        for line in Path(_MEMINFO).read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, macOS not this name
        return None


def _left_in_group() -> int | None:
    for limit, used in _CGROUPS:
        try:
            left = int(Path(limit).read_text(encoding="ascii")) - int(Path(used).read_text(encoding="ascii"))
        except (OSError, ValueError):  # "max": no limit
            continue
        return max(left + _files_in_group(Path(limit).with_name("memory.stat")), 0)
    return None


def _files_in_group(statistics: Path) -> int:
    """Return how many bytes that a group uses are copies of files, which the kernel takes back when it needs them."""
    try:
        rows = dict(line.split() for line in statistics.read_text(encoding="ascii").splitlines())
        return int(rows.get("inactive_file", 0)) + int(rows.get("active_file", 0))
    except (OSError, ValueError):
        return 0
