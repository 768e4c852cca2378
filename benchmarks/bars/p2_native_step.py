"""P2: the step of P1 with compiled kernels."""

from __future__ import annotations

import torch

from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.core.metaclasses import accepted_keywords

from .. import subjects
from ..harness import interleave
from ..records import Row, instructions, pending, ratio_row, seconds_row
from ..settings import Options


def measure(options: Options) -> list[Row]:
    """Return milliseconds of the reference, of our step with native kernels, and their ratio."""
    if "native" not in accepted_keywords(DARTSOptimizer):
        return [pending("P2", "speed-up with native kernels", "DARTSOptimizer has no keyword `native` yet")]
    if torch.device(options.device).type != "cpu":
        return [pending("P2", "speed-up with native kernels", "the compiled kernels are the CPU's")]
    setting = options.setting()
    ours, reference = subjects.darts(setting, native="on"), subjects.darts_reference(setting)
    subjects.paired(ours, reference)
    timings = interleave(
        {"reference step": reference.step, "our step": ours.step},
        rounds=options.n_rounds(),
        device=options.device,
        clock=options.clock,
    )
    wanted = 5.0 if instructions() == "AVX512" else 4.0  # `instructions` also names what limits them
    return [
        seconds_row("P2", "our step", timings, f"native kernels, C={setting.channels} B={setting.batch}"),
        ratio_row("P2", "speed-up", timings, ("reference step", "our step"), limit=wanted, stretch=5.0),
    ]
