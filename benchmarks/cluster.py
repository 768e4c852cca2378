"""A simulated cluster of up to 1,000 workers: throughput, idle time and time to a target of black-box searches.

    python -m benchmarks.cluster --data DIR --write
    python -m benchmarks.cluster --data DIR --write --cluster rough --workers 1000
    python -m benchmarks.cluster --draw

The optimizers are the real ones, asked and told as a search does; workers and clock are simulated. A trial takes as
long as NAS-Bench-201 says of its training on CIFAR-10 (`nb201.npz` in DIR), 12 or 200 epochs; on average 200 take half
an hour. On the cluster `measured` 5 % of the trainings are stragglers: slower by a factor with a Pareto tail, at least
1.5 and 8 on average, the mean of two production clusters ([Ananthanarayanan2013clones]); cut at 100. That share is an
assumption. A worker dies 2.2e-5 times an hour: 466 interruptions of 16,384 GPUs in 54 days ([Dubey2024llama3]). On the
cluster `rough` it is .1 times an hour, an assumption for machines that may be taken away, and 15 % are stragglers; on
the cluster `ideal` nothing goes wrong. A worker that died is back after five minutes and trains its trial anew.

A search ends when its budget of worker-hours is spent: 1,000 of 1 and of 10 workers, 2,000 of 100, 4,000 of 1,000. The
target is 91.5 % on the validation part after 200 epochs: five of the 15,625 architectures reach it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.evaluators import TableEvaluator
from naslib.history import Trial
from naslib.optimizers import ASHA, BOHB, NSGA2, Hyperband, RandomSearch, RegularizedEvolution, SuccessiveHalving
from naslib.optimizers.discrete.base import Proposal
from naslib.optimizers.discrete.fidelities.bracket_search import BracketSearch
from naslib.search_spaces import NasBench201SearchSpace
from naslib.training.pictures import COLOURS, figure_bytes

from .cluster_simulation import Troubles, simulate
from .harness import ROOT
from .records import RESULTS
from .row_files import completed, read_as

FILE = RESULTS / "cluster.csv"
PICTURE = ROOT / "docs" / "assets" / "cluster.svg"
TARGET = 91.5  # percent
LONGEST, LEVELS, ETA = 200, [12, 200], 16
WORKERS = (1, 10, 100, 1000)
BUDGET = {1: 1000.0, 10: 1000.0, 100: 2000.0, 1000: 4000.0}  # worker-hours
# What the methods are called whose results are told in the order of their numbers
IN_ORDER = "told by number"
# Methods whose own time is that of the simulation
COSTLY = ("BOHB",)
CLUSTERS = {
    "ideal": Troubles(),
    "measured": Troubles(stragglers=0.05, deaths=466 / (54 * 24 * 16384)),
    "rough": Troubles(stragglers=0.15, deaths=0.1),
}


class _OneAtATime(BracketSearch):
    """A bracket begins when the one before is over: the synchronous form."""

    def propose(self) -> Proposal:
        if self.brackets.open and not any(bracket.has_next for bracket in self.brackets.open):
            return None  # type: ignore[return-value]
        return super().propose()


class SynchronousHyperband(_OneAtATime, Hyperband):
    """Hyperband, a bracket at a time."""


class SynchronousHalving(_OneAtATime, SuccessiveHalving):
    """Successive halving, a bracket at a time."""


def _overlapping(**keywords: Any) -> NSGA2:
    """Return an NSGA-II that knows that results are told as they come, as a search tells it."""
    optimizer = NSGA2(**keywords)
    optimizer.is_told_by_arrival = True
    return optimizer


def methods(workers: int) -> dict[str, Callable[[], Any]]:
    """Return what makes the optimizers by name; some have a size that follows the number of workers."""
    levels: dict[str, Any] = {"fidelities": LEVELS, "eta": ETA}
    two = ["VAL_ACCURACY", "PARAMETERS"]
    return {
        "random search": RandomSearch,
        "regularized evolution": RegularizedEvolution,
        "ASHA": partial(ASHA, **levels),
        "Hyperband": partial(Hyperband, **levels),
        "Hyperband, one bracket at a time": partial(SynchronousHyperband, **levels),
        "successive halving, one bracket of the workers' number": partial(
            SynchronousHalving, num_configs=max(ETA, workers), **levels
        ),
        "NSGA-II, 30 members": partial(NSGA2, objectives=two),
        "NSGA-II, as many members as workers": partial(NSGA2, population_size=max(30, workers), objectives=two),
        "NSGA-II, 30 members, generations overlap": partial(_overlapping, objectives=two),
        f"random search, {IN_ORDER}": RandomSearch,
        f"regularized evolution, {IN_ORDER}": RegularizedEvolution,
        f"ASHA, {IN_ORDER}": partial(ASHA, **levels),
        "BOHB": partial(BOHB, **levels),
    }


@dataclass(frozen=True)
class Row:
    """One simulated search; see `Outcome`. Times of the optimizer are CPU microseconds per trial, -1 is unknown."""

    cluster: str
    method: str
    workers: int
    seed: int
    hours: float
    trials: int
    full: int
    trials_per_hour: float
    idle: float
    lost: float
    deaths: int
    best: float
    hours_to_target: float
    trials_to_target: int
    unlearned: int
    ask_us: float
    tell_us: float
    longest_ask_ms: float


class Table:
    """Values and seconds of all trials, of the benchmark."""

    def __init__(self, data: str | None) -> None:
        self.api = get_dataset_api("nasbench201", "cifar10", data)
        self.space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
        self._told: dict[tuple[Any, ...], tuple[tuple[float, ...], float]] = {}

    def adapt(self, optimizer: Any, seed: int) -> Callable[[Trial], tuple[tuple[float, ...], float]]:
        """Begin a search, and return what tells values and seconds of its trials."""
        np.random.seed(seed)
        optimizer.adapt_search_space(self.space, "cifar10", dataset_api=self.api)
        evaluator = TableEvaluator(self.api, "cifar10", optimizer.metrics, optimizer.fidelity)

        def told(trial: Trial) -> tuple[tuple[float, ...], float]:
            key = (trial.code, trial.fidelity, len(evaluator.metrics))
            if key not in self._told:
                outcome = evaluator.evaluate(trial)
                self._told[key] = outcome.values, outcome.seconds
            return self._told[key]

        return told


def search(table: Table, cluster: str, method: str, workers: int, seed: int) -> Row:
    """Return what one simulated search comes to."""
    optimizer = methods(workers)[method]()
    train = table.adapt(optimizer, seed)
    budget = BUDGET.get(workers, 4.0 * workers)
    in_order = method.endswith(IN_ORDER)
    found = simulate(optimizer, train, workers, budget, CLUSTERS[cluster], seed, LONGEST, TARGET, in_order)
    each = 1e6 / max(1, found.trials)
    return Row(
        cluster=cluster,
        method=method,
        workers=workers,
        seed=seed,
        hours=found.hours,
        trials=found.trials,
        full=found.full,
        trials_per_hour=round(found.trials / found.hours, 2),
        idle=round(found.idle, 6),
        lost=round((found.lost + found.down) / budget, 6),
        deaths=found.deaths,
        best=-1.0 if found.best is None else round(found.best, 4),
        hours_to_target=-1.0 if found.hours_to_target is None else round(found.hours_to_target, 4),
        trials_to_target=-1 if found.trials_to_target is None else found.trials_to_target,
        unlearned=found.unlearned,
        ask_us=round(found.ask_seconds * each, 1),
        tell_us=round(found.tell_seconds * each, 1),
        longest_ask_ms=round(1e3 * found.longest, 2),
    )


def _spread(values: Sequence[float], form: str) -> str:
    std = f" ± {format(float(np.std(values, ddof=1)), form)}" if len(values) > 1 else ""
    return f"{format(float(np.mean(values)), form)}{std}"


def table_of(rows: Sequence[Row] | None = None) -> str:
    """Return the means over the seeds, one line per cluster, number of workers and method.

    Args:
        rows: What is told; None: all that was kept, but of 10 workers, which the picture has.
    """
    rows = [row for row in read_as(Row, FILE) if row.workers != 10] if rows is None else rows
    lines = [
        "| cluster | workers | method | seeds | trials/h | idle, % | lost, % | hours to 91.5 % (seeds that reach it) "
        "| CPU µs to ask and tell a trial | driver's share, % | longest `ask`, ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cluster, workers in dict.fromkeys((row.cluster, row.workers) for row in rows):
        for method in methods(workers):
            found = [r for r in rows if (r.cluster, r.workers, r.method) == (cluster, workers, method)]
            if not found:
                continue
            reached = [row.hours_to_target for row in found if row.hours_to_target >= 0]
            hours = f"{_spread(reached, '.2f' if workers > 10 else '.0f')} ({len(reached)})" if reached else "none"
            cpu = [row.ask_us + row.tell_us for row in found]
            share = [100 * 1e-6 * us * row.trials_per_hour / 3600 for us, row in zip(cpu, found, strict=True)]
            lines.append(
                f"| {cluster} | {workers:,} | {method} | {len(found)} "
                f"| {_spread([row.trials_per_hour for row in found], ',.0f' if workers > 10 else ',.1f')} "
                f"| {_spread([100 * row.idle for row in found], '.1f')} "
                f"| {np.mean([100 * row.lost for row in found]):.1f} | {hours} | {np.mean(cpu):,.0f} "
                f"| {np.mean(share):.2g} | {max(row.longest_ask_ms for row in found):,.0f} |"
            )
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path = PICTURE, cluster: str = "measured") -> Path:
    """Draw idle time, hours to the target and the driver's share over the number of workers as SVG; return the file."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.cluster == cluster]
    names = [name for name in methods(1) if any(row.method == name for row in rows)]
    figure = Figure(figsize=(15.0, 5.2), layout="constrained")
    axes = figure.subplots(1, 3)
    for number, method in enumerate(names):
        dash = "--" if method.endswith(IN_ORDER) else "-"
        base = method.removesuffix(f", {IN_ORDER}")
        number = names.index(base) if base in names else number
        look = {"color": COLOURS[number % len(COLOURS)], "linestyle": dash}
        style: dict[str, Any] = {**look, "marker": "o", "markersize": 4}
        at: list[int] = []
        series: list[list[float]] = [[], [], []]
        for workers in sorted({row.workers for row in rows}):
            found = [row for row in rows if (row.method, row.workers) == (method, workers)]
            if found:
                at.append(workers)
                reached = [row.hours_to_target for row in found if row.hours_to_target >= 0]
                series[0].append(100 * float(np.mean([row.idle for row in found])))
                # a mean of those that came through would flatter: half of the seeds must reach it
                series[1].append(float(np.mean(reached)) if 2 * len(reached) > len(found) else np.nan)
                shares = [(row.ask_us + row.tell_us) * row.trials_per_hour / 3600 * 1e-4 for row in found]
                series[2].append(float(np.mean(shares)))
        for place, values in enumerate(series):
            axes[place].plot(at, values, label=method if place == 0 else None, **style)
    titles = ("idle, % of the workers' time", "hours to 91.5 %", "ask and tell, % of one core's time")
    for place, title in enumerate(titles):
        axes[place].set_xscale("log")
        axes[place].set_xlabel("workers")
        axes[place].set_title(title, fontsize=10)
        axes[place].grid(alpha=0.3)
        if place:
            axes[place].set_yscale("log")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    path.write_bytes(figure_bytes(figure, "svg"))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(methods(1))
    parser.add_argument("--data", help="folder of the table")
    parser.add_argument("--cluster", choices=list(CLUSTERS), default="measured", help="what goes wrong")
    parser.add_argument("--workers", type=int, nargs="+", default=list(WORKERS), help="how many")
    cheap = [name for name in names if name not in COSTLY]
    parser.add_argument(
        "--methods", nargs="+", choices=names, default=cheap, help=f"default: all but {', '.join(COSTLY)}"
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    parser.add_argument("--draw", action="store_true", help="draw what is there to docs/assets, search nothing")
    options = parser.parse_args(arguments)
    if options.draw:
        print(draw([row for row in read_as(Row, FILE) if row.method not in COSTLY]))
        return 0
    if any(workers < 1 for workers in options.workers) or options.seeds < 1:
        parser.error("--workers and --seeds are 1 or more")
    table = Table(options.data)
    wanted = [
        (options.cluster, method, workers, seed)
        for workers in options.workers
        for seed in range(options.seeds)
        for method in options.methods
    ]
    searches = {key: partial(search, table, *key) for key in wanted}
    rows = completed(Row, ("cluster", "method", "workers", "seed"), searches, FILE if options.write else None)
    print(table_of(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
