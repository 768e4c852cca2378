"""The progress of trainings and searches, and the memory that they took."""

from __future__ import annotations

import sys

import torch

try:
    import resource
except ModuleNotFoundError:  # Windows has none
    resource = None  # type: ignore[assignment]

from naslib.utils.bar import Progress as Progress
from naslib.utils.bar import format_clock as format_clock
from naslib.utils.bar import format_seconds as format_seconds


def describe_peak_memory(device: torch.device) -> str:
    """Return `", peak memory 123 MB"`, or nothing where it is not known."""
    peak = peak_memory_mb(device)
    return "" if peak is None else f", peak memory {peak:.0f} MB"


def peak_memory_mb(device: torch.device) -> float | None:
    """Return the peak memory in MB: of the device for CUDA, else of the process; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
