"""Memory hint: what the images and a step of the search will take, said before the first step."""

from __future__ import annotations

import math
from typing import Any

import torch

from naslib.utils.log import get_logger
from naslib.utils.memory import free_memory
from naslib.utils.text import shorten

from .describe import estimate_memory_mb

logger = get_logger(__name__)
# A batch of fewer numbers (64 images of 3x13x13) is small, whatever the network: nothing is estimated for it.
_SMALL = 2**15
_MB = 2**20
# What networks raise that cannot be asked like this.
_WRONG = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


def say_memory(optimizer: Any, loaders: tuple[Any, Any, Any], device: torch.device) -> None:
    """Log about how much memory the images and a step take and how much is free; warn where that is too little.

    A step is estimated as in `--dry-run`, by a forward of two items; for small inputs it is left out. Loaders that say
    nothing of their data set, or of their batches, are not spoken of.

    Args:
        optimizer: The method, with its search network.
        loaders: Those of the search.
        device: Where it runs.
    """
    train, _, tests = loaders
    info, batch_size = getattr(train, "info", None), getattr(train, "batch_size", None)
    if info is None or not batch_size or info.kind != "image" or not optimizer.is_adapted:
        return
    if batch_size * math.prod(info.input_shape) < _SMALL:
        return
    try:
        step = estimate_memory_mb(optimizer.graph, info.input_shape, batch_size)
    except _WRONG as error:  # a hint never ends a run; what is wrong is said by the step itself
        logger.info("memory: what a step takes is not known (%s)", shorten(str(error) or type(error).__name__))
        return
    images = sum(_megabytes(loader) for loader in (train, tests, *getattr(tests, "test_sets", {}).values()))
    free = _free(device)
    logger.info(
        "memory: about %.0f MB for a step on %d images of %s%s; %s",
        step, batch_size, "x".join(map(str, info.input_shape)),
        f", {images:.0f} MB for all images" if images else ", images are read from files",
        "what is free is not known" if free is None else f"{free:.0f} MB are free",
    )  # fmt: skip
    if free is not None and step > free:
        logger.warning(
            "memory: a step will probably not fit (about %.0f MB, %.0f MB are free): set search.batch_size=%d, or a "
            "smaller image (dataset_args.image_size)", step, free, max(1, int(batch_size * free / step * 0.8)),
        )  # fmt: skip


def _megabytes(loader: Any) -> float:
    """Return what the images of a loader take in memory; 0 where they stay in files."""
    raw = getattr(getattr(loader, "bank", None), "raw", None)
    return raw.numel() * raw.element_size() / _MB if isinstance(raw, torch.Tensor) else 0.0


def _free(device: torch.device) -> float | None:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / _MB
    free = free_memory() if device.type == "cpu" else None
    return None if free is None else free / _MB
