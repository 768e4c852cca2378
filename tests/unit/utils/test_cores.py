"""Allowed cores: affinity and quotas, from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from naslib.utils import cores
from naslib.utils.cores import affinity_cores, allowed_cores, cgroup_quota


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = "0::/jobs/mine\n"
V1 = "9:name=systemd:/\n4:memory:/a\n3:cpu,cpuacct:/docker/abc\n0::/\n"
QUOTAS = {
    "no cgroups": ({}, None),
    "v2 without limit": ({"proc/self/cgroup": V2, "sys/fs/cgroup/jobs/mine/cpu.max": "max 100000\n"}, None),
    "v2": ({"proc/self/cgroup": V2, "sys/fs/cgroup/jobs/mine/cpu.max": "250000 100000\n"}, 2.5),
    "v2, the outer group is tighter": (
        {
            "proc/self/cgroup": V2,
            "sys/fs/cgroup/jobs/mine/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/jobs/cpu.max": "150000 100000\n",
        },
        1.5,
    ),
    "v2 in a container": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    "v2, the path of the host": ({"proc/self/cgroup": V2, "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),
    "v1": (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
        },
        2.0,
    ),
    "v1 in a container": (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "75000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n",
        },
        1.5,
    ),
    "v1 without limit": (
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "nonsense": ({"proc/self/cgroup": "x\n0::/\n", "sys/fs/cgroup/cpu.max": "lots of it\n"}, None),
    "a period of nothing": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}, None),
}


@pytest.mark.parametrize(("files", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_quota(tmp_path, files, expected):
    assert cgroup_quota(_write(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("quota", "cpus", "expected"),
    [("max", 8, 8), ("250000", 8, 2), ("50000", 8, 1), ("1600000", 4, 4), ("max", 1, 1)],
)
def test_the_tighter_of_the_two_limits_counts(tmp_path, monkeypatch, quota, cpus, expected):
    monkeypatch.setattr(cores, "allowed_cpus", lambda: list(range(cpus)))
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000\n"}
    assert allowed_cores(_write(tmp_path, files)) == expected


def test_threads_of_one_core_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "allowed_cpus", lambda: [0, 1, 2, 3, 4])
    pairs = {0: "0,4", 4: "0,4", 1: "1,5", 2: "2-3", 3: "2-3"}
    folder = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = _write(tmp_path, {folder.format(cpu): f"{text}\n" for cpu, text in pairs.items()})
    assert affinity_cores(root) == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_of_this_process():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert allowed_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= allowed_cores() <= len(before)
