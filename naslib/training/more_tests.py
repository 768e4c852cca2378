"""More tests: the scores of a network on every other test set of its data set."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from naslib.tasks import Task
from naslib.utils.log import get_logger

from .evaluate import test

logger = get_logger(__name__)


def test_others(
    network: nn.Module, loader: Any, task: Task, device: torch.device, channels_last: bool = False, amp: bool = False
) -> dict[str, dict[str, float | None]]:
    """Return what was measured on each of the test sets besides the main one, by the names of sets and scores.

    Args:
        network: The network, on the device.
        loader: The main test loader; its attribute `test_sets` has the loaders of the others by name.
        task: What is measured.
        device: Where batches go.
        channels_last: Memory format of images.
        amp: Whether forwards run under bfloat16 autocast.
    """
    found: dict[str, dict[str, float | None]] = {}
    for name, other in getattr(loader, "test_sets", {}).items():
        measured = test(network, other, task, device, channels_last, amp, f"test set {name}")
        found[name] = dict(measured.by_name())
        shown = [f"{score.name.replace('_', ' ')} {score.show(found[name][score.name])}" for score in task.scores]
        logger.info("test set %s: %s", name, ", ".join(shown))
    return found
