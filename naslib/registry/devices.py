"""Devices whose latencies or energies somebody has published, by the search space that was measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GPUS = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp")
_OTHERS = (
    *("essential_ph_1", "eyeriss", "fpga", "gold_6226", "gold_6240", "pixel2", "pixel3", "raspi4"),
    *("samsung_a50", "samsung_s7", "silver_4114", "silver_4210r"),
)


def _batches(names: tuple[str, ...], sizes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{name}_{size}" for name in names for size in sizes)


@dataclass(frozen=True)
class DeviceSet:
    """What one table has measured of one space.

    Attributes:
        space: Name of the search space, as its benchmark has it.
        metric: `"latency"` (ms) or `"energy"` (mJ).
        kind: Of the benchmark that has it, as `get_dataset_api` takes it.
        devices: Their names; behind a GPU's stands the batch size.
        datasets: For whose images the networks were made.
        is_complete: Whether all architectures of the space were measured, save those that a device cannot run.
        source: Who measured, and the key of the paper.
    """

    space: str
    metric: str
    kind: str
    devices: tuple[str, ...]
    datasets: tuple[str, ...]
    is_complete: bool
    source: str

    def figure(self, device: str) -> str:
        """Return what the benchmark calls the figure of a device."""
        return device if "HELP" in self.source else f"{device}_{self.metric}"


_CELLS = ("cifar10", "cifar100", "ImageNet16-120")
_HW = "HW-NAS-Bench [Li2021hwnas]"
# The first set that has a device and a data set answers
DEVICE_SETS: tuple[DeviceSet, ...] = (
    DeviceSet(
        "nasbench201",
        "latency",
        "latency",
        (*_batches(_GPUS, (1, 32, 256)), *_OTHERS),
        ("cifar10",),
        True,
        "HELP [Lee2021help]",
    ),
    DeviceSet(
        "nasbench201",
        "latency",
        "energy",
        ("edgegpu", "edgetpu", "eyeriss", "fpga", "pixel3", "raspi4"),
        _CELLS,
        True,
        _HW,
    ),
    DeviceSet("nasbench201", "energy", "energy", ("edgegpu", "eyeriss", "fpga"), _CELLS, True, _HW),
    DeviceSet(
        "fbnet",
        "latency",
        "latency",
        (*_batches(_GPUS, (1, 32, 64)), *_OTHERS),
        ("cifar100",),
        False,
        "HELP [Lee2021help]",
    ),
    DeviceSet(
        "ofa_mobilenetv3",
        "latency",
        "latency",
        _batches(("2080ti", "titan_rtx", "titan_xp", "v100"), (1, 32, 64)),
        ("imagenet",),
        False,
        "HELP [Lee2021help]",
    ),
    DeviceSet(
        "accel_nasbench",
        "latency",
        "latency",
        ("vck190", "zcu102"),
        ("imagenet",),
        False,
        "Accel-NASBench [Ahmad2024accelnasbench]",
    ),
    DeviceSet(
        "nasbench301",
        "latency",
        "latency",
        ("fpga", "gpu", "mcu", "rasp"),
        ("cifar10",),
        False,
        "OnceNAS-Bench",
    ),
)


def device_sets(space: str | None = None, metric: str | None = None) -> Iterator[DeviceSet]:
    """Yield the sets of a space and a metric; of all where None."""
    for found in DEVICE_SETS:
        if space in (None, found.space) and metric in (None, found.metric):
            yield found


def devices_of(space: str, metric: str) -> list[str]:
    """Return the names of the devices of a space for a metric, sorted."""
    return sorted({device for found in device_sets(space, metric) for device in found.devices})
