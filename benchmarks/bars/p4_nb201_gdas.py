"""P4: a step of GDAS on NAS-Bench-201's space, the same operations drawn at every step on both sides."""

from __future__ import annotations

from .. import subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..settings import Options

REFERENCE, ONES, ZERO = "reference step", "our step", "our step, unselected zero"


def measure(options: Options) -> list[Row]:
    """Return milliseconds of the reference and of ours, unselected weights with the authors' gradient and without."""
    setting = options.setting()
    reference = subjects.nb201_reference(setting, "gdas")
    ones, zero = (subjects.nb201_gdas(setting, unselected=how) for how in ("ones", "zero"))
    subjects.paired(ones, reference).fix_choices(subjects.NB201_CHOICES)
    subjects.fix_choices([pair.ours for pair in subjects.pair_of(zero, reference).alphas], subjects.NB201_CHOICES)
    timings = interleave(
        {REFERENCE: reference.step, ONES: ones.step, ZERO: zero.step},
        rounds=options.n_rounds(11, 7),
        device=options.device,
        clock=options.clock,
        calls={REFERENCE: 2, ONES: 2, ZERO: 2},
    )
    note = f"NB201 GDAS, C={setting.channels} N={setting.cells_per_stage} B={setting.batch}, fixed samples"
    return [
        seconds_row("P4", REFERENCE, timings, note),
        seconds_row("P4", ONES, timings, note),
        seconds_row("P4", ZERO, timings, note),
        ratio_row("P4", "speed-up", timings, (REFERENCE, ONES), limit=2.3, stretch=3.0),
        ratio_row(
            "P4", "speed-up, unselected zero", timings, (REFERENCE, ZERO), note="other alpha gradients than theirs"
        ),
    ]
