"""Targets of the part `cost` on cells of the DARTS space: is what was found what was asked for?

    python -m benchmarks.cost_target --write

The supernet has `--cells` cells of `--channels` channels for images of 3x32x32 (the digits of scikit-learn, enlarged),
and is searched by first-order DARTS for `--epochs` epochs of `--steps` steps of 4 images each. For every metric there
are three targets, at a quarter, a half and three quarters between the cheapest and the dearest architecture that random
scores make. A latency table of the candidates is measured here, on one thread, and its entries are corrected by
`--calibrate` random networks as a whole (`naslib.hardware.calibrate.corrected_table`). At the end the whole networks
that were found are measured, in rounds that go over all of them and over the random networks that stood beside them
when the searches measured their last choices (`verify`): what these take now and what they took then tells how much the
machine itself has changed. Of the rounds the median counts; with `--clock cpu`, which is the time of the one thread,
for a machine that others use as well, the lower quartile.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from naslib.hardware import measure_table, operation_key, trace_candidates
from naslib.hardware.calibrate import corrected_table, measure_networks
from naslib.hardware.metrics import METRICS
from naslib.hardware.projection import as_scores
from naslib.hardware.table import LatencyTable
from naslib.hardware.trace import decision_edges
from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.oneshot.parts import Cost
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph

from .records import RESULTS
from .row_files import append, read

FILE = RESULTS / "cost-target.csv"
FIELDS = (
    "metric", "unit", "target", "before", "strongest", "found", "measured", "drift", "clock", "cells", "channels",
    "multiplier", "seed", "how",
)  # fmt: skip
SHAPE = (3, 32, 32)
SHARES = (0.25, 0.5, 0.75)
BATCH = 4


def images(steps: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return batches of enlarged digits, `(4, 3, 32, 32)` each, with their classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))[: steps * BATCH]
    x = torch.tensor(digits.images, dtype=torch.float32)[order].unsqueeze(1) / 8 - 1
    x = interpolate(x, SHAPE[1:], mode="bilinear").expand(-1, 3, -1, -1).contiguous()
    y = torch.tensor(digits.target)[order]
    return list(zip(x.split(BATCH), y.split(BATCH), strict=True))


def adapted(given: argparse.Namespace, cost: dict[str, Any]) -> DARTSOptimizer:
    """Return an optimizer on the space, ready to step."""
    torch.manual_seed(given.seed)
    keywords: dict[str, Any] = {
        "epochs": given.epochs,
        "arch_learning_rate": 0.01,
        "parts": {"cost": {"input_shape": SHAPE, **cost}},
    }
    optimizer = DARTSOptimizer(**keywords)
    optimizer.adapt_search_space(
        NasBench301SearchSpace(channels=given.channels, cells=given.cells, auxiliary=False)
    )  # fmt: skip
    optimizer.before_training()
    return optimizer


def part_of(optimizer: DARTSOptimizer) -> Cost:
    """Return the part."""
    part = optimizer.parts["cost"]
    if not isinstance(part, Cost):
        raise TypeError(f"the part 'cost' is a {type(part).__name__}")
    return part


def search(optimizer: DARTSOptimizer, given: argparse.Namespace) -> Graph:
    """Return what a search finds."""
    batches = images(2 * given.steps, given.seed)
    optimizer.graph.train()
    for epoch in range(given.epochs):
        optimizer.new_epoch(epoch)
        for step in range(given.steps):
            optimizer.step(batches[2 * step], batches[2 * step + 1])
    optimizer.select_architecture([], [])
    return optimizer.get_final_architecture()


def random_networks(optimizer: DARTSOptimizer, n: int, seed: int) -> list[Graph]:
    """Return architectures of random scores, of the supernet's size."""
    model = part_of(optimizer).model
    generator, found = torch.Generator().manual_seed(seed), []
    for _ in range(n):
        scores = [torch.rand(width, generator=generator) for width in model.widths]
        optimizer.outcome = as_scores(model, model.choose(scores), scores)
        found.append(optimizer.get_final_architecture())
    optimizer.outcome = None
    return found


def corrected(table: LatencyTable, given: argparse.Namespace) -> LatencyTable:
    """Return the table whose sums are those of whole networks."""
    optimizer = adapted(given, {"metric": "latency", "table": table, "weight": 0.0})
    part = part_of(optimizer)
    networks = random_networks(optimizer, given.calibrate, 20)
    taken = measure_networks(networks, SHAPE, repeats=given.rounds, clock=given.clock)
    edges = {edge.place: edge for edge in trace_candidates(optimizer.graph, SHAPE, optimizer.scope)}
    uses: list[dict[str, float]] = []
    for network in networks:
        uses.append({})
        for place, data in decision_edges(network, optimizer.scope):
            edge, index = edges[place], int(data.op_index)
            key = operation_key(edge.ops[index], edge.input_shape, edge.output_shapes[index])
            uses[-1][key] = uses[-1].get(key, 0.0) + table.entries[key]
    found, error = corrected_table(table, uses, taken)
    raw = statistics.mean(part.of(network) / ms - 1 for network, ms in zip(networks, taken, strict=True))
    print(
        f"sums of the table as it was measured are {100 * raw:+.1f} % off; corrected by {len(networks)} networks, each "
        f"by all others: {100 * error:.1f} %"
    )
    return found


def targets(optimizer: DARTSOptimizer) -> list[float]:
    """Return a quarter, a half and three quarters of what random architectures span."""
    part = part_of(optimizer)
    model, generator = part.model, torch.Generator().manual_seed(7)
    costs = [
        model.of_choices(model.choose([torch.rand(width, generator=generator) for width in model.widths]))
        for _ in range(300)
    ]
    low, high = min(costs), max(costs)
    return [round(low + share * (high - low), 3) for share in SHARES]


def run(given: argparse.Namespace) -> list[tuple[Any, ...]]:
    """Search for all targets, and measure what was found."""
    torch.set_num_threads(1)
    costs: dict[str, dict[str, Any]] = {metric: {"metric": metric} for metric in given.metrics}
    if "latency" in costs:
        space = NasBench301SearchSpace(channels=given.channels, cells=given.cells, auxiliary=False)
        table = measure_table(space, SHAPE, repeats=given.rounds, threads=1, progress=False, clock=given.clock)
        costs["latency"]["table"] = corrected(table, given)
    rows, networks, beside_of = [], [], []
    for metric, cost in costs.items():
        for target in targets(adapted(given, {**cost, "weight": 0.0})):
            more = {"verify": given.rounds} if metric == "latency" else {}
            optimizer = adapted(given, {**cost, **more, "target": target, "tolerance": given.tolerance})
            network = search(optimizer, given)
            part = part_of(optimizer)
            outcome, optimizer.outcome = optimizer.outcome, None
            strongest = part.of(optimizer.get_final_architecture())
            optimizer.outcome = outcome
            told = part.report()["found"]["architecture"]
            rows.append((metric, target, part.history[0]["architecture"], strongest, told,
                         part.lagrangian.multiplier))  # fmt: skip
            networks.append(network if metric == "latency" else None)
            beside_of.append(part.source.beside)
            print(metric, target, "found", told, "strongest", strongest)
    measured: dict[int, float] = {}
    drift: dict[int, float] = {}
    timed = {index: network for index, network in enumerate(networks) if network is not None}
    if timed:
        beside = [network for network, _ in beside_of[next(iter(timed))]]
        taken = measure_networks([*timed.values(), *beside], SHAPE, repeats=2 * given.rounds, clock=given.clock)
        measured = dict(zip(timed, taken, strict=False))
        for index in timed:
            then = [ms for _, ms in beside_of[index]]
            drift[index] = statistics.median(now / first for now, first in zip(taken[len(timed) :], then, strict=True))
    return [
        (metric, METRICS[metric].unit, target, round(began, 5), round(strongest, 5), round(found, 5),
         round(measured.get(index, found), 5), round(drift[index], 4) if index in measured else "", given.clock,
         given.cells, given.channels, round(multiplier, 4), given.seed,
         given.how if metric == "latency" else "counted")
        for index, (metric, target, began, strongest, found, multiplier) in enumerate(rows)
    ]  # fmt: skip


def table() -> str:
    """Return all rows as a table for a page."""
    lines = [
        "| metric | run | target | before | strongest operations | found | off | the network itself | off "
        "| off, less the machine's change |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in read(FILE):
        target, found, measured = (float(row[name]) for name in ("target", "found", "measured"))
        own = (f"{measured:.2f} | {100 * (measured / target - 1):+.1f} %" if row["drift"] else "counted | ") + " | "
        own += f"{100 * (measured / float(row['drift']) / target - 1):+.1f} %" if row["drift"] else ""
        lines.append(
            f"| {row['metric']}, {row['unit']} | {row['how']} | {target:.4g} | {float(row['before']):.4g} "
            f"| {float(row['strongest']):.4g} | {found:.4g} | {100 * (found / target - 1):+.1f} % | {own} |"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cost_target",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--metrics", nargs="+", default=["latency", "macs", "params"], choices=["latency", "macs", "params"])
    add("--cells", type=int, default=4)
    add("--channels", type=int, default=8)
    add("--epochs", type=int, default=2)
    add("--steps", type=int, default=4, help="of an epoch")
    add("--rounds", type=int, default=100, help="of a measurement; the last has twice as many")
    add("--calibrate", type=int, default=32, help="networks that correct the table")
    add("--tolerance", type=float, default=0.01, help="of a search, within the 2 percent that are asked")
    add("--clock", default="wall", choices=["wall", "cpu"])
    add("--seed", type=int, default=1)
    add("--how", default="", help="what to note of the run: how the machine was used")
    add("--write", action="store_true", help="add the rows to benchmarks/results/cost-target.csv")
    add("--show", action="store_true", help="print the table of what is there")
    given = parser.parse_args(words)
    if not given.show:
        rows = run(given)
        for row in rows:
            print(dict(zip(FIELDS, row, strict=True)))
        if given.write:
            append(FILE, FIELDS, rows)
    if given.show or given.write:
        print(table())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
