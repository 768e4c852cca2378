"""P6: peak memory of a first-order step of DARTS above the model, beside the plain reference's."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave, peak_memory
from ..records import Row, pending, ratio_row
from ..settings import Options


def measure(options: Options) -> list[Row]:
    """Return the peaks (each in a process of its own) and their ratios; with checkpointing also the time."""
    setting = options.setting()
    reference, ours = peak_memory("darts reference", setting), peak_memory("darts", setting)
    note = f"first step, C={setting.channels} B={setting.batch}, by {ours.method}"
    rows = [
        Row("P6", "reference peak above the model", reference.extra, "MB", note=note),
        Row("P6", "our peak above the model", ours.extra, "MB", note=note),
        Row("P6", "memory, ours / reference", ours.extra / reference.extra, "x", limit=0.6, stretch=0.5, sense="<="),
    ]
    if subjects.checkpoint_keyword() is None:
        return [
            *rows,
            pending("P6", "memory, checkpointed / reference", "DARTSOptimizer cannot checkpoint activations yet"),
        ]
    checkpointed = peak_memory("darts checkpointed", setting)
    plain, saving = subjects.darts(setting), subjects.darts_checkpointed(setting)
    timings = interleave(
        {"plain": plain.step, "checkpointed": saving.step}, rounds=options.n_rounds(5, 2), device=options.device
    )
    share = checkpointed.extra / reference.extra
    return [
        *rows,
        Row("P6", "our peak, checkpointed", checkpointed.extra, "MB", note=note),
        Row("P6", "memory, checkpointed / reference", share, "x", limit=0.3, sense="<="),
        ratio_row("P6", "time, checkpointed / plain", timings, ("checkpointed", "plain"), limit=1.6, sense="<="),
    ]
