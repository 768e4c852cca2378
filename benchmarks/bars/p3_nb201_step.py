"""P3: a bilevel step of DARTS on NAS-Bench-201's space (C=16, N=5) beside the plain reference."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..settings import Options


def measure(options: Options) -> list[Row]:
    """Return milliseconds of both and their ratio."""
    setting = options.setting()
    ours, reference = subjects.nb201(setting), subjects.nb201_reference(setting)
    subjects.paired(ours, reference)
    timings = interleave(
        {"reference step": reference.step, "our step": ours.step},
        rounds=options.n_rounds(7, 5),
        device=options.device,
        clock=options.clock,
    )
    note = f"NB201 DARTS, C={setting.channels} N={setting.cells_per_stage} B={setting.batch}"
    return [
        seconds_row("P3", "reference step", timings, note),
        seconds_row("P3", "our step", timings, note),
        ratio_row("P3", "speed-up", timings, ("reference step", "our step"), limit=2.5, stretch=3.0),
    ]
