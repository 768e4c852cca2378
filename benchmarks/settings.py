"""What a measurement is told: sizes, device, precision, effort."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

# Batch sizes of the bars: the CPU's as in the published table, the GPU's that of the methods
BATCH_SIZES = {"cpu": 16, "cuda": 64}


@dataclass(frozen=True)
class Setting:
    """Sizes of one subject, and where and how it runs.

    Attributes:
        device: `"cpu"` or `"cuda"`.
        amp: Whether forwards run under bfloat16 autocast.
        channels_last: Memory format of our network and its images; the reference is NCHW always.
        batch: Images in a batch.
        image: Side of the images.
        channels: Channels of the first stage.
        cells: Cells of the DARTS space.
        nodes: Intermediate nodes of its cells.
        cells_per_stage: Cells per stage of NAS-Bench-201.
        seed: Of weights and images.
    """

    device: str = "cpu"
    amp: bool = False
    channels_last: bool = True
    batch: int = 16
    image: int = 32
    channels: int = 16
    cells: int = 8
    nodes: int = 4
    cells_per_stage: int = 5
    seed: int = 0

    def but(self, **changes: Any) -> Setting:
        """Return the same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        quick: Fewer rounds and points.
        smoke: Tiny sizes: shows that everything runs, measures nothing.
        device: `"cpu"` or `"cuda"`.
        dtype: `"float32"` or `"bf16"` (autocast).
        channels_last: `"auto"` (on the CPU), `"on"` or `"off"`.
        rounds: Rounds of every comparison; None for the default.
        batch: Images in a batch; None for the device's default.
        clock: `"wall"`, or `"cpu"` for CPU time (P1 to P4).
    """

    quick: bool = False
    smoke: bool = False
    device: str = "cpu"
    dtype: str = "float32"
    channels_last: str = "auto"
    rounds: int | None = None
    batch: int | None = None
    clock: str = "wall"

    @property
    def effort(self) -> str:
        """Name of the effort."""
        return "smoke" if self.smoke else "quick" if self.quick else "full"

    def n_rounds(self, full: int = 5, quick: int = 3) -> int:
        """Return how many rounds a comparison takes."""
        if self.rounds is not None:
            return self.rounds
        return 1 if self.smoke else quick if self.quick else full

    def setting(self, **sizes: Any) -> Setting:
        """Return a setting of these options with given sizes; tiny ones in a smoke run."""
        kind = torch.device(self.device).type
        last = kind == "cpu" if self.channels_last == "auto" else self.channels_last == "on"
        default = {"batch": self.batch or BATCH_SIZES.get(kind, 64)}
        tiny = {"batch": 2, "image": 8, "channels": 4, "cells": 3, "nodes": 2, "cells_per_stage": 1}
        chosen = {**default, **sizes, **(tiny if self.smoke else {})}
        return Setting(device=self.device, amp=self.dtype == "bf16", channels_last=last, **chosen)
