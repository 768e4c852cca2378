"""P5: a sampled step on the DARTS space beside our own full mixture, in time and memory."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave, peak_memory
from ..records import Row, ratio_row, seconds_row
from ..settings import Options

FULL, SAMPLED = "full mixture step", "sampled step"
FULL_GRADIENTS, SAMPLED_GRADIENTS = "full mixture gradients", "sampled gradients"


def measure(options: Options) -> list[Row]:
    """Return both times with and without the optimizers' own work, and both peaks."""
    setting = options.setting()
    full, sampled = subjects.darts(setting), subjects.darts_gdas(setting)
    timings = interleave(
        {FULL: full.step, SAMPLED: sampled.step, FULL_GRADIENTS: full.gradients, SAMPLED_GRADIENTS: sampled.gradients},
        rounds=options.n_rounds(5, 2),
        device=options.device,
        calls={SAMPLED: 3, SAMPLED_GRADIENTS: 3},
    )
    note = f"DARTS space, C={setting.channels} B={setting.batch}, every op drawn equally often"
    rows = [
        seconds_row("P5", FULL, timings, note),
        seconds_row("P5", SAMPLED, timings, note),
        ratio_row("P5", "sampled speed-up", timings, (FULL, SAMPLED), limit=5.5, stretch=7.0),
        ratio_row("P5", "without optimizer steps", timings, (FULL_GRADIENTS, SAMPLED_GRADIENTS)),
    ]
    peaks = [peak_memory(name, setting) for name in ("darts", "darts sampled")]
    rows += [
        Row("P5", f"peak above the model, {name}", peak.extra, "MB", note=peak.method)
        for name, peak in zip(("full", "sampled"), peaks, strict=True)
    ]
    share = peaks[1].extra / peaks[0].extra
    return [*rows, Row("P5", "memory, sampled / full", share, "x", limit=0.25, sense="<=")]
