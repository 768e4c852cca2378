"""P1: a first-order bilevel step of DARTS (C=16) beside the plain reference."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..settings import Options


def measure(options: Options) -> list[Row]:
    """Return milliseconds of both and their ratio."""
    setting = options.setting()
    ours, reference = subjects.darts(setting), subjects.darts_reference(setting)
    subjects.paired(ours, reference)
    timings = interleave(
        {"reference step": reference.step, "our step": ours.step},
        rounds=options.n_rounds(),
        device=options.device,
        clock=options.clock,
    )
    note = f"DARTS first order, C={setting.channels} B={setting.batch}"
    return [
        seconds_row("P1", "reference step", timings, note),
        seconds_row("P1", "our step", timings, note),
        ratio_row(
            "P1",
            "speed-up",
            timings,
            ("reference step", "our step"),
            limit=2.5,
            stretch=3.0,
            note="without kernels of our own",
        ),
    ]
