"""How many cores this process may use: by its affinity, and by the quota of its cgroup (containers, batch systems)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")


def allowed_cores(root: Path = _ROOT) -> int:
    """Return how many cores this process may keep busy by affinity and quota, at least 1; of 1.5 cores that is 1.

    Args:
        root: Where `proc` and `sys` are.
    """
    cores, quota = affinity_cores(root), cgroup_quota(root)
    return max(1, cores if quota is None else min(cores, int(quota)))


def affinity_cores(root: Path = _ROOT) -> int:
    """Return how many cores the affinity allows; the threads of one core, which share its arithmetic units, count once.

    Args:
        root: Where `sys` is.
    """
    return len({_siblings(root, cpu) for cpu in allowed_cpus()})


def allowed_cpus() -> list[int]:
    """Return the numbers of the processors that the affinity of this process allows; all where there is no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _siblings(root: Path, cpu: int) -> str:
    """Return a name of the core that a processor belongs to; its own where that is not known."""
    path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    return _read(path) or str(cpu)


def cgroup_quota(root: Path = _ROOT) -> float | None:
    """Return the number of cores that the quotas of this process's cgroups amount to, None where there are none.

    Both versions of cgroups are read, and of nested groups the smallest quota counts. In a container whose own path is
    not visible the quota is at the top.

    Args:
        root: Where `proc` and `sys` are.
    """
    found = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            folders = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
            found += [_quota_v2(folder) for folder in _upwards(folders, path)]
        elif "cpu" in controllers.split(","):
            folders = [root / "sys/fs/cgroup" / name for name in dict.fromkeys((controllers, "cpu", "cpu,cpuacct"))]
            found += [_quota_v1(folder) for folder in _upwards(folders, path)]
    quotas = [quota for quota in found if quota is not None]
    return min(quotas) if quotas else None


def _upwards(mounts: list[Path], path: str) -> Iterator[Path]:
    """Yield the folder of a cgroup and all above it, in every place where the hierarchy may be mounted."""
    inside = PurePosixPath(path.strip().lstrip("/"))
    for mount in mounts:
        for place in (inside, *inside.parents):
            yield mount / place


def _quota_v2(folder: Path) -> float | None:
    words = (_read(folder / "cpu.max") or "").split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us") or "", _read(folder / "cpu.cfs_period_us") or "")


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period; None for no limit ("max", -1, or no number)."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # no such file on this system, or not for us to read
        return None
