"""Measure the bars: `python -m benchmarks.run --quick`, `--only P1,P3`, `--device cuda` (see README.md)."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from .harness import synchronize
from .records import RESULTS, Row, environment, table, write_csv
from .settings import Options

BARS = {
    "P1": "bars.p1_darts_step",
    "P2": "bars.p2_native_step",
    "P3": "bars.p3_nb201_step",
    "P4": "bars.p4_nb201_gdas",
    "P5": "bars.p5_sampled_path",
    "P6": "bars.p6_memory",
    "P7": "bars.p7_second_order",
    "P8": "bars.p8_overhead",
    "P9": "bars.p9_discrete",
    "P10": "bars.p10_objects",
    "P11": "bars.p11_exactness",
    "P15": "bars.p15_history",
    "paths": "paths",
    "loader": "loader",
    "scaling": "scaling",
    "methods": "methods",
    "cuda": "cuda_profile",
}
# Measured only where it is named: a comparison of methods, not a bar, and as long as all bars together
BY_NAME_ONLY = ("methods",)
# Those that also draw or write something into the folder of the results
WRITING = ("scaling", "methods")
FAILED = 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="fewer rounds: a few minutes")
    effort.add_argument("--smoke", action="store_true", help="tiny sizes: shows that everything runs, measures nothing")
    parser.add_argument("--only", default="", help=f"comma-separated, of {', '.join(BARS)}")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bf16"), help="bf16 is autocast")
    parser.add_argument("--channels-last", default="auto", choices=("auto", "on", "off"), help="auto: on the CPU")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice by default")
    parser.add_argument(
        "--clock", default="wall", choices=("wall", "cpu"), help="cpu: CPU time, with --threads 1 (P1-P4)"
    )
    parser.add_argument("--rounds", type=int, help="rounds of every comparison")
    parser.add_argument("--batch", type=int, help="images in a batch: 16 on the CPU and 64 on a GPU by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSV")
    parser.add_argument("--no-csv", action="store_true", help="print only")
    return parser.parse_args(arguments)


def chosen(only: str, device: str) -> list[str]:
    """Return the bars to measure, in their order.

    Raises:
        SystemExit: If a name is unknown.
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    by_lower = {name.lower(): name for name in BARS}
    unknown = [name for name in names if name.lower() not in by_lower]
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BARS)}")
    wanted = {by_lower[name.lower()] for name in names}
    left_out = BY_NAME_ONLY if torch.device(device).type == "cuda" else (*BY_NAME_ONLY, "cuda")
    everything = [name for name in BARS if name not in left_out]
    return [name for name in BARS if name in wanted] if wanted else everything


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, keep the CSV; return 1 if a bar was missed (never for smoke runs)."""
    given = parse(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    options = Options(
        given.quick,
        given.smoke,
        given.device,
        given.dtype,
        given.channels_last,
        given.rounds,
        given.batch,
        given.clock,
    )
    # torch's first forward-mode derivative compiles its decompositions with torch.jit, which torch deprecates
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*deprecated.*")
    print(", ".join(f"{key} {value}" for key, value in environment(options).items() if value != ""))
    rows: list[Row] = []
    for name in chosen(given.only, given.device):
        begin = time.perf_counter()
        module = importlib.import_module(f"benchmarks.{BARS[name]}")
        found = module.measure(options, given.results) if name in WRITING else module.measure(options)
        synchronize(given.device)
        title = (module.__doc__ or "").splitlines()[0].removeprefix(f"{name}: ")
        print(f"\n{name}: {title} ({time.perf_counter() - begin:.0f} s)")
        print(table(found), flush=True)
        rows += found
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    judged = [row for row in rows if row.limit is not None or row.verdict == "pending"]
    print(f"\nBars{' (tiny sizes: the verdicts mean nothing)' if options.smoke else ''}")
    print(table(judged))
    if not given.no_csv:
        print(f"\nkept in {write_csv(rows, options, given.results)}")
    missed = any(row.verdict == "FAIL" for row in judged)
    return FAILED if missed and not options.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
