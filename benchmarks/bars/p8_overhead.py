"""P8: overhead of a forward: tiny images, no gradient, beside the plain modules of the reference."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..settings import Options


def measure(options: Options) -> list[Row]:
    """Return milliseconds and ratio for both spaces."""
    setting = options.setting(batch=2, image=8)
    pairs = {
        "DARTS": (subjects.darts(setting), subjects.darts_reference(setting)),
        "NB201": (subjects.nb201(setting), subjects.nb201_reference(setting)),
    }
    rows = []
    for space, (ours, reference) in pairs.items():
        subjects.paired(ours, reference)
        names = (f"our forward, {space}", f"reference forward, {space}")
        timings = interleave(
            dict(zip(names, (ours.forward, reference.forward), strict=True)),
            rounds=options.n_rounds(21, 11),
            device=options.device,
            warmup=2,
        )
        rows += [seconds_row("P8", name, timings, "batch 2 of 8x8, no grad") for name in names]
        rows.append(ratio_row("P8", f"time, ours / plain, {space}", timings, names, limit=1.0, stretch=0.7, sense="<="))
    return rows
