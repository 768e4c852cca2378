"""Searches on the two complete tables of weight entanglement, and the cost of an entangled step.

    python -m benchmarks.entanglement searches --data DIR     # both spaces, four methods, three seeds
    python -m benchmarks.entanglement step                    # a step on an elastic MobileNetV3, in a minute

`DIR` has `tanglenas_toy.npz`, CIFAR-10 for the macro space (`cifar10_jpeg_full.npz` or the data set itself), and
Fashion-MNIST for the cells. A search sees `--train` images, half for weights and half for the architecture, for
`--epochs` epochs, at `--cell-channels` and `--macro-channels`. Then the supernet ranks `--ranked` architectures drawn
at random on held-out images, each by its own slices; batch norm, of which the cell space has some, normalises by the
batch throughout. The table says what the architecture found has. Seconds are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import csv
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from naslib.benchmarks import get_dataset_api
from naslib.data.registry import load_data
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer
from naslib.search_spaces import OFAMobileNetV3SearchSpace, TangleNASCellSearchSpace, TangleNASMacroSearchSpace
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric

from .harness import ROOT, interleave

METHODS = ("darts", "drnas", "gdas", "spos")
DATASETS = {"tanglenas_cell": "fashion_mnist", "tanglenas_macro": "cifar10"}
# What a path search measures at its end
_SELECTION = {
    "spos": {"population": 20, "generations": 4, "mutations": 10, "crossovers": 10, "recalibration_batches": 0}
}
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Found:
    """What one search gave.

    Attributes:
        space: Name of the space.
        method: Name of the method.
        seed: Of everything random.
        accuracy: Test accuracy in the table of the architecture found, in percent.
        percentile: Share of the table's architectures that are no better, in percent.
        spearman: Rank correlation of supernet and table on random architectures.
        kendall: Kendall's tau of the same.
        seconds: CPU time of the search, the selection included.
        ranking_seconds: Of the ranking.
        architecture: As its space writes it.
    """

    space: str
    method: str
    seed: int
    accuracy: float
    percentile: float
    spearman: float
    kendall: float
    seconds: float
    ranking_seconds: float
    architecture: str


def images_of(dataset: str, folder: str | None, n_train: int, n_held_out: int, seed: int) -> tuple[Batch, Batch, Batch]:
    """Return images for weights, for the architecture, and held out: normalised, with labels.

    Args:
        dataset: Name of a data set.
        folder: Where it is.
        n_train: Training images, half of them for the architecture.
        n_held_out: Test images.
        seed: Of the choice among training images.
    """
    data = load_data(dataset, data_dir=folder)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (data.info.mean, data.info.std))

    def taken(part: Any, index: Tensor) -> Batch:
        return (part.images[index].float() / data.info.scale - mean) / std, part.labels[index]

    order = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(seed))
    half = n_train // 2
    held_out = torch.arange(n_held_out)
    return taken(data.train, order[:half]), taken(data.train, order[half:n_train]), taken(data.test, held_out)


def make_space(name: str, cell_channels: int, macro_channels: int) -> Graph:
    """Return a space of the width that is searched."""
    if name == "tanglenas_cell":
        return TangleNASCellSearchSpace(channels=cell_channels)
    return TangleNASMacroSearchSpace(channels=macro_channels)


def search(
    space: Graph, method: str, weights: Batch, architecture: Batch, *, epochs: int, batch: int, seed: int
) -> tuple[Any, Graph]:
    """Search, and return the optimizer with its supernet, and the architecture found."""
    torch.manual_seed(seed)
    is_macro = isinstance(space, TangleNASMacroSearchSpace)
    optimizer: Any = OPTIMIZERS.get(method)(
        epochs=epochs,
        batch_norm="batch",
        op_optimizer="Adam" if is_macro else "SGD",  # without norms, plain gradients hardly move it
        learning_rate=2e-3 if is_macro else 0.025,
        arch_learning_rate=1e-2,  # of a short search
        **_SELECTION.get(method, {}),
    )
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer.op_optimizer, epochs)
    for epoch in range(epochs):
        optimizer.graph.train()
        optimizer.new_epoch(epoch)
        for of_weights, of_architecture in zip(_batches(weights, batch), _batches(architecture, batch), strict=False):
            optimizer.step(of_weights, of_architecture)
        schedule.step()
    optimizer.select_architecture(list(_batches(weights, 250)), list(_batches(architecture, 250)))
    return optimizer, optimizer.get_final_architecture()


def _batches(data: Batch, size: int) -> list[Batch]:
    order = torch.randperm(len(data[1]))
    return [(data[0][index], data[1][index]) for index in order.split(size) if len(index) == size]


@torch.no_grad()
def accuracies(optimizer: Any, codes: Sequence[Sequence[int]], data: Batch) -> list[float]:
    """Return the accuracy in percent of architectures in the supernet, each run by its own slices."""
    names = optimizer.search_space.decision_space.names
    found = []
    with evaluation_mode(optimizer.graph):
        for code in codes:
            assignment = Assignment(dict(zip(names, map(int, code), strict=True)))
            with optimizer.assigned(assignment):
                hits = [optimizer.graph(x).argmax(1).eq(y) for x, y in zip(*(d.split(250) for d in data), strict=True)]
            found.append(100.0 * float(torch.cat(hits).float().mean()))
    return found


def run_searches(options: argparse.Namespace) -> list[Found]:
    """Search both spaces by all methods and seeds."""
    results = []
    for name in options.spaces:
        table: Any = get_dataset_api(name, DATASETS[name], options.data)
        codes = table.codes[np.random.default_rng(0).permutation(len(table.codes))[: options.ranked]].tolist()
        truth = table.query_batch(np.array(codes), Metric.TEST_ACCURACY, DATASETS[name])
        everything = table.query_batch(table.codes, Metric.TEST_ACCURACY, DATASETS[name])
        for seed in options.seeds:
            parts = images_of(DATASETS[name], options.data, options.train, options.held_out, seed)
            for method in options.methods:
                results.append(_run(name, method, seed, table, codes, truth, everything, parts, options))
                print(results[-1], flush=True)
    return results


def _run(
    name: str,
    method: str,
    seed: int,
    table: Any,
    codes: list[list[int]],
    truth: np.ndarray,
    everything: np.ndarray,
    parts: tuple[Batch, Batch, Batch],
    options: argparse.Namespace,
) -> Found:
    space = make_space(name, options.cell_channels, options.macro_channels)
    begin = time.process_time()
    optimizer, network = search(
        space, method, parts[0], parts[1], epochs=options.epochs, batch=options.batch, seed=seed
    )
    searched = time.process_time()
    scores = accuracies(optimizer, codes, parts[2])
    ranked = time.process_time()
    accuracy = float(table.query(network.get_code(), Metric.TEST_ACCURACY, DATASETS[name]))
    return Found(
        name,
        method,
        seed,
        round(accuracy, 2),
        round(100.0 * float((everything <= accuracy).mean()), 1),
        round(float(stats.spearmanr(scores, truth).statistic), 3),
        round(float(stats.kendalltau(scores, truth).statistic), 3),
        round(searched - begin, 1),
        round(ranked - searched, 1),
        str(network.genotype()),
    )


def table_of(results: Sequence[Found]) -> str:
    """Return the results as a table, mean and standard deviation over seeds."""
    lines = [
        "| space | method | accuracy found | better than | Spearman | Kendall | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for key in dict.fromkeys((result.space, result.method) for result in results):
        rows = [result for result in results if (result.space, result.method) == key]

        def mean(name: str, digits: int, rows: list[Found] = rows) -> str:
            values = [getattr(row, name) for row in rows]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.fmean(values):.{digits}f}{spread}"

        cells = [mean("accuracy", 2), mean("percentile", 1) + " %", mean("spearman", 2), mean("kendall", 2)]
        lines.append(f"| `{key[0]}` | `{key[1]}` | {' | '.join(cells)} | {mean('seconds', 0)} |")
    return "\n".join(lines)


# the cost of a step


def run_step(options: argparse.Namespace) -> str:
    """Time a mixture of an elastic MobileNetV3 beside its largest path, interleaved; return what was found."""
    mixture, path = _chain(options), _chain(options)
    labels = {decision.name: max(decision.candidates) for decision in path.search_space.decision_space.decisions}
    space = path.search_space.decision_space
    largest = Assignment({name: space.decision(name).candidates.index(value) for name, value in labels.items()})
    batch = _random_batch(options)

    def one_pass(optimizer: Any, assignment: Assignment | None) -> None:
        optimizer.op_optimizer.zero_grad(set_to_none=True)
        if assignment is None:
            optimizer.forward_loss(batch)[1].backward()
            return
        with optimizer.assigned(assignment):
            optimizer.forward_loss(batch)[1].backward()

    calls: dict[str, Callable[[], object]] = {
        "mixture": functools.partial(one_pass, mixture, None),
        "path": functools.partial(one_pass, path, largest),
        "step": functools.partial(mixture.step, batch, batch),
    }
    timings = interleave(calls, rounds=options.rounds, clock="cpu")
    ratio, step = timings.ratio("mixture", "path"), timings.ratio("step", "path")
    seconds = {name: f"{1000 * timings.median(name):.0f} ms" for name in calls}
    return (
        f"a pass (forward and backward) of the mixture {seconds['mixture']}, of the largest path {seconds['path']}: "
        f"{ratio:.2f}; "
        f"a DARTS step (two passes) {seconds['step']}: {step:.2f} passes of the path, {step / 2:.2f} of two"
    )


def _chain(options: argparse.Namespace) -> Any:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=10)
    strides = (1, 2, 2, 2, 1, 2)
    optimizer.adapt_search_space(
        OFAMobileNetV3SearchSpace(10, width_mult=options.width, strides=strides, image_size=options.side)
    )
    optimizer.before_training()
    optimizer.graph.to(memory_format=torch.channels_last)
    optimizer.graph.train()
    optimizer.new_epoch(0)
    return optimizer


def _random_batch(options: argparse.Namespace) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, 3, options.side, options.side, generator=generator)
    return x.contiguous(memory_format=torch.channels_last), torch.randint(10, (options.batch,), generator=generator)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.entanglement",
        description=(__doc__ or "").split("\n")[0],
        epilog="each has its own --help: searches (--data, --spaces, --methods, --seeds, --epochs, --held-out, "
        "--csv ...), step (--rounds, --side, --width ...)",
    )
    kinds = parser.add_subparsers(dest="what", required=True)
    searches = kinds.add_parser("searches", help="search the spaces of the tables")
    searches.add_argument("--data", help="folder of the tables and the data sets")
    searches.add_argument("--spaces", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    searches.add_argument("--methods", nargs="+", default=list(METHODS))
    searches.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    searches.add_argument("--epochs", type=int, default=5)
    searches.add_argument("--batch", type=int, default=32)
    searches.add_argument("--train", type=int, default=2000)
    searches.add_argument("--held-out", type=int, default=500)
    searches.add_argument("--ranked", type=int, default=100)
    searches.add_argument("--cell-channels", type=int, default=4)
    searches.add_argument("--macro-channels", type=int, default=2)
    searches.add_argument("--csv", type=Path, default=ROOT / "benchmarks" / "results" / "entanglement.csv")
    step = kinds.add_parser("step", help="time a step")
    step.add_argument("--rounds", type=int, default=9)
    step.add_argument("--side", type=int, default=64)
    step.add_argument("--batch", type=int, default=32)
    step.add_argument("--width", type=float, default=0.5)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    options = build_parser().parse_args(argv)
    torch.set_num_threads(1)
    if options.what == "step":
        print(run_step(options))
        return 0
    results = run_searches(options)
    with options.csv.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Found)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(result) for result in results)
    print(table_of(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
