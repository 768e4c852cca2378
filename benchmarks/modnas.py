"""One search for many devices: how much of each device's best front one hypernetwork run of 300 evaluations reaches.

    python -m benchmarks.modnas --data DIR --write
    python -m benchmarks.modnas --data DIR --write --space ofa

DIR has `nb201.npz` and `nb201_latency.npz`, or `ofa_mbv3_top1.npz` and `ofa_latency.npz` (see
`benchmarks/many_devices.py`). An evaluation is one look-up of an accuracy, with the latencies of the architecture on
the devices that are learned. *found* is the hypervolume of all that a search has looked up over that of the best front,
on each device alone; *proposed* that of what the trained hypernetwork takes for 24 preferences, without a look-up. Both
are above the worst of the best front, with 5 % of its range as slack. `random` looks up as many random architectures.

With `--write` each search is some rows of `benchmarks/results/modnas.csv`, and those that are there are not repeated.
`--picture FILE` draws the fronts of seed 0.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from naslib.optimizers import MODNAS, RandomSearch
from naslib.search_spaces.core.decisions import Code

from .many_devices import SIGNALS, Cells, Problem, Subnets
from .records import RESULTS
from .row_files import append_records, read_as

FILE = RESULTS / "modnas.csv"
METHODS = ("random", "modnas")
EVALUATIONS = 300
_PREFERENCES = 24


@dataclass(frozen=True)
class Row:
    """What one search reached on one device.

    Attributes:
        space: `nasbench201` or `ofa`.
        signal: The accuracy.
        method: `random` or `modnas`.
        evaluations: Look-ups of an accuracy.
        seed: Of the search.
        device: The device.
        learned: 1 if the search was told its latencies, 0 for a device that was held out.
        found: Share of the hypervolume by all that was looked up.
        proposed: By what the hypernetwork takes for 24 preferences; 0 for random search.
        cpu_seconds: Of the search.
    """

    space: str
    signal: str
    method: str
    evaluations: int
    seed: int
    device: str
    learned: int
    found: float
    proposed: float
    cpu_seconds: float


@dataclass(frozen=True)
class Searched:
    """What a search has looked up, and what it proposes.

    Attributes:
        codes: All that was looked up.
        proposed: By device, what the hypernetwork takes; nothing for random search.
        cpu_seconds: Of the search.
    """

    codes: list[Code]
    proposed: dict[str, list[Code]]
    cpu_seconds: float


def searched(problem: Problem, method: str, seed: int, evaluations: int) -> Searched:
    """Search, and ask the hypernetwork for each device; of held-out ones it is told the references' latencies alone."""
    began = time.process_time()
    np.random.seed(seed)
    optimizer = MODNAS() if method == "modnas" else RandomSearch()
    optimizer.adapt_search_space(problem.space, evaluator=problem)
    codes = []
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
        assert optimizer.record.latest is not None
        codes.append(optimizer.record.latest)
    seconds = time.process_time() - began
    proposed: dict[str, list[Code]] = {}
    if isinstance(optimizer, MODNAS):
        for device in (*problem.devices, *problem.held_out):
            latencies = (-problem.merits(optimizer.references, device)[:, 1]).tolist()
            told: str | list[float] = device if device in problem.devices else latencies
            taken = [optimizer.architecture(float(r), told) for r in np.linspace(0.0, 1.0, _PREFERENCES)]
            proposed[device] = list(dict.fromkeys(taken))
    return Searched(codes, proposed, seconds)


def rows_of(problem: Problem, space: str, signal: str, method: str, evaluations: int, seed: int) -> list[Row]:
    """Search once, and return what it reached on every device."""
    found = searched(problem, method, seed, evaluations)
    rows = []
    for device in (*problem.devices, *problem.held_out):
        truth = problem.truth(device)
        share = truth.share(problem.merits(found.codes, device))
        taken = found.proposed.get(device)
        proposed = truth.share(problem.merits(taken, device)) if taken else 0.0
        learned, seconds = int(device in problem.devices), round(found.cpu_seconds, 1)
        shares = round(share, 6), round(proposed, 6)
        rows.append(Row(space, signal, method, evaluations, seed, device, learned, *shares, seconds))
    return rows


def table(space: str, rows: Sequence[Row] | None = None, evaluations: int = EVALUATIONS) -> str:
    """Return what searches of so many evaluations reached on each learned device, and on those held out together."""
    every = read_as(Row, FILE) if rows is None else rows
    rows = [row for row in every if (row.space, row.evaluations) == (space, evaluations)]
    lines = ["| accuracy | device | seeds | random | modnas | worst seed | proposed |", "|---|---|---|---|---|---|---|"]
    for signal in SIGNALS:
        of_signal = [row for row in rows if row.signal == signal]
        names = list(dict.fromkeys(row.device for row in of_signal if row.learned))
        groups = [(name, [row for row in of_signal if row.device == name]) for name in names]
        held_out = [row for row in of_signal if not row.learned]
        if names:
            groups.append((f"mean of the {len(names)}", [row for row in of_signal if row.learned]))
        if held_out:
            count = len({row.device for row in held_out})
            groups.append((f"mean of {count} held out", held_out))
        for name, group in groups:
            by = {method: [row for row in group if row.method == method] for method in METHODS}
            if not all(by.values()):
                continue
            seeds = {row.seed for row in by["modnas"]}
            means = {seed: np.mean([row.found for row in by["modnas"] if row.seed == seed]) for seed in seeds}
            random, ours = (np.mean([row.found for row in by[method]]) for method in METHODS)
            proposed = np.mean([row.proposed for row in by["modnas"]])
            worst = min(means.values())
            lines.append(
                f"| {signal} | {name} | {len(seeds)} | {random:.3f} | {ours:.3f} | {worst:.3f} | {proposed:.3f} |"
            )
    return "\n".join(lines)


def draw(problem: Problem, path: Path, evaluations: int, seed: int = 0) -> None:
    """Draw the best front of each learned device, what both methods have found, and what the hypernetwork takes."""
    from matplotlib.figure import Figure

    found = {method: searched(problem, method, seed, evaluations) for method in METHODS}
    columns = 3
    figure = Figure(figsize=(4.0 * columns, 3.2 * -(-len(problem.devices) // columns)), layout="constrained")
    for place, device in enumerate(problem.devices):
        axes = figure.add_subplot(-(-len(problem.devices) // columns), columns, place + 1)
        truth = problem.truth(device)
        axes.step(
            -truth.front[:, 1], truth.front[:, 0], where="pre", color="#999999", linewidth=1.2, label="best front"
        )
        told = []
        for method, colour, mark in (("random", "#c05020", "x"), ("modnas", "#1f5fa8", ".")):
            merits = problem.merits(found[method].codes, device)
            axes.plot(-merits[:, 1], merits[:, 0], mark, color=colour, markersize=4, alpha=0.7, label=method)
            told.append(f"{method} {truth.share(merits):.3f}")
        taken = problem.merits(found["modnas"].proposed[device], device)
        (rings,) = axes.plot(-taken[:, 1], taken[:, 0], "o", color="#202020", markersize=8, label="proposed")
        rings.set_markerfacecolor("none")
        low, high = truth.reference[0], float(truth.front[:, 0].max())
        low = max(low, float(np.quantile(truth.front[:, 0], 0.1)) - 2.0)  # else all that matters is in the last tenth
        axes.set_ylim(low, high + 0.05 * (high - low))
        axes.set_xlim(0, -truth.reference[1] * 1.05)
        axes.set_title(f"{device}: {', '.join(told)}", fontsize=9)
        axes.set_xlabel("latency [ms]", fontsize=8)
        axes.grid(alpha=0.3)
        if place % columns == 0:
            axes.set_ylabel("accuracy [%]", fontsize=8)
        if not place:
            axes.legend(fontsize=7, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.modnas",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--space", choices=("nasbench201", "ofa"), default="nasbench201")
    parser.add_argument("--signal", choices=list(SIGNALS), default="validation", help="of NAS-Bench-201")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    parser.add_argument("--picture", type=Path, help="draw the fronts of seed 0 to this file, and search nothing else")
    options = parser.parse_args(arguments)
    problem: Problem
    if options.space == "ofa":
        problem, signal = Subnets(options.data), "validation"
        print("explained:", ", ".join(f"{name} {share:.2f}" for name, share in problem.shares_explained.items()))
    else:
        problem, signal = Cells(options.data, options.signal), options.signal
    if options.picture:
        draw(problem, options.picture, options.evaluations)
        return 0
    rows = read_as(Row, FILE) if options.write else []
    done = {(row.space, row.signal, row.method, row.evaluations, row.seed) for row in rows}
    for seed in range(options.seeds):
        for method in METHODS:
            if (options.space, signal, method, options.evaluations, seed) in done:
                continue
            made = rows_of(problem, options.space, signal, method, options.evaluations, seed)
            rows += made
            if options.write:
                append_records(Row, made, FILE)
            shares = [row.found for row in made if row.learned]
            print(f"{method}, seed {seed}: {np.mean(shares):.4f}, least {min(shares):.4f}", flush=True)
    print(table(options.space, rows, options.evaluations))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
