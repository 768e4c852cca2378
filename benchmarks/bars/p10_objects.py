"""P10: what it costs to copy an architecture, and to build and adapt the DARTS supernet."""

from __future__ import annotations

import random

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace

from .. import subjects
from ..harness import interleave
from ..records import Row, seconds_row
from ..settings import Options

SPACES = {"NB201": NasBench201SearchSpace, "DARTS": NasBench301SearchSpace}
N_CLONES = 200
BUILD, ADAPT, FINAL = "build DARTS space", "adapt it", "final architecture"
TOTAL = "build + adapt DARTS supernet"


def measure(options: Options) -> list[Row]:
    """Return the times of clones by space, and of building, adapting and discretizing."""
    return [*_clones(options), *_supernet(options)]


def _clones(options: Options) -> list[Row]:
    rows = []
    for name, space_class in SPACES.items():
        space = space_class()
        space.instantiate_model = False
        space.set_spec(space.codec.random(random.Random(0)))
        architecture = space.get_nbhd()[0].arch
        label = f"clone of an architecture, {name}"
        timings = interleave(
            {label: architecture.clone}, rounds=options.n_rounds(9, 5), warmup=2, calls={label: N_CLONES}
        )
        low, high = timings.span(label)
        values = (1e6 * timings.median(label), "us", 1e6 * low, 1e6 * high, len(timings.seconds[label]))
        rows.append(
            Row("P10", label, *values, limit=20.0, sense="<=", note="a neighbour's `arch`: a graph with a code only")
        )
        whole = f"clone of a space with a code, {name}"
        timings = interleave({whole: space.clone}, rounds=options.n_rounds(5, 3))
        rows.append(seconds_row("P10", whole, timings, "its candidates come along"))
    return rows


def _supernet(options: Options) -> list[Row]:
    setting = options.setting()
    space = subjects.darts_space(setting)
    adapted = DARTSOptimizer()
    adapted.adapt_search_space(space)

    def build_and_adapt() -> None:
        DARTSOptimizer().adapt_search_space(subjects.darts_space(setting))

    timings = interleave(
        {
            TOTAL: build_and_adapt,
            BUILD: lambda: subjects.darts_space(setting),
            ADAPT: lambda: DARTSOptimizer().adapt_search_space(space),
            FINAL: adapted.get_final_architecture,
        },
        rounds=options.n_rounds(7, 5),
    )
    note = f"{setting.cells} cells, C={setting.channels}; the limit is for 2 cores of a 2023 server"
    first = seconds_row("P10", TOTAL, timings, note, limit=850.0, sense="<=")
    return [first, *(seconds_row("P10", name, timings) for name in (BUILD, ADAPT, FINAL))]
