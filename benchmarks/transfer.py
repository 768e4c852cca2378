"""A controller that is taken along to a new task, against one that begins anew, on the table of NAS-Bench-201.

    python -m benchmarks.transfer --data DIR --write

For each of the three data sets a controller is trained on the other two (`--before` trials of both together), and then
taken along; the other search begins anew with the same seed. Counted are the trials on the new data set until an
architecture is found whose validation accuracy is at most `--gap` points below the best of the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from naslib.optimizers import TransferController
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils import get_dataset_api

from .records import RESULTS
from .row_files import append_records, made_with, read_as

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
METHODS = ("from scratch", "transfer", "transfer, vector alone")
FILE = RESULTS / "transfer.csv"
# Of the searches that the docs quote
SETTINGS = {"before": 800, "trials": 300, "gap": 0.5}


@dataclass(frozen=True)
class Row:
    """One search on a new data set.

    Attributes:
        dataset: The new one.
        method: One of `METHODS`.
        seed: Of the search.
        before: Trials of the controller that was taken along.
        trials: How many trials the search may have; it ends at the target.
        gap: Points below the best of the table that are reached.
        needed: Trials until then; `trials` where it was not.
        reached: Whether it was.
    """

    dataset: str
    method: str
    seed: int
    before: int
    trials: int
    gap: float
    needed: int
    reached: int


def adapted(api: Any, dataset: str, seed: int, **keywords: Any) -> TransferController:
    """Return a search that may begin."""
    np.random.seed(seed)
    optimizer = TransferController(**keywords)
    optimizer.adapt_search_space(NasBench201SearchSpace(), dataset, dataset_api=api)
    return optimizer


def needed(optimizer: TransferController, trials: int, target: float) -> tuple[int, bool]:
    """Return after how many trials the target is reached, and whether it is; as many as there may be if it is not."""
    for trial in range(trials):
        optimizer.new_epoch(trial)
        if optimizer.record.incumbent_value >= target:
            return trial + 1, True
    return trials, False


def searched(api: Any, dataset: str, seed: int, options: argparse.Namespace) -> list[Row]:
    """Return the searches of one seed on one data set."""
    others = [name for name in DATASETS if name != dataset]
    before = adapted(api, others[0], seed, tasks=others)
    needed(before, options.before, float("inf"))
    controller = {name: part.state_dict() for name, part in before.get_checkpointables().items()}
    codes = np.array(list(before.codec.iterate()))
    target = float(api.query_batch(codes, Metric.VAL_ACCURACY, dataset, 200).max()) - options.gap
    rows = []
    for method in METHODS:
        keywords: dict[str, Any] = {} if method == METHODS[0] else {"transfer_from": "the run before"}
        if method == METHODS[2]:
            keywords["transfer_train"] = "embedding"
        optimizer = adapted(api, dataset, 1000 + seed, **keywords)
        if keywords:
            optimizer.take_controller(controller)
        count, reached = needed(optimizer, options.trials, target)
        rows.append(Row(dataset, method, seed, options.before, options.trials, options.gap, count, int(reached)))
    return rows


def read(path: Path = FILE) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def interval(ratio_of: Sequence[int], to: Sequence[int], draws: int = 2000) -> tuple[float, float, float]:
    """Return the quotient of two means over the same seeds, and its 95 % interval by drawing seeds with replacement."""
    first, second = np.array(ratio_of, float), np.array(to, float)
    chosen = np.random.default_rng(0).integers(0, len(first), (draws, len(first)))
    found = first[chosen].mean(axis=1) / second[chosen].mean(axis=1)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(first.mean() / second.mean()), float(low), float(high)


def table(rows: Sequence[Row] | None = None) -> str:
    """Return a line per data set and method."""
    rows = made_with(read(), SETTINGS) if rows is None else rows
    lines = [
        "| new data set | controller | seeds | trials to the target: mean (median) | reached "
        "| share of from scratch (95 %) |",
        "|---|---|---|---|---|---|",
    ]
    for dataset in DATASETS:
        of_seed = {(row.method, row.seed): row for row in rows if row.dataset == dataset}
        for method in METHODS:
            part = [row for (name, _), row in of_seed.items() if name == method]
            if not part:
                continue
            scratch = [of_seed[METHODS[0], row.seed].needed for row in part]
            counts = [row.needed for row in part]
            share, low, high = interval(counts, scratch)
            told = "1" if method == METHODS[0] else f"{share:.2f} ({low:.2f} to {high:.2f})"
            lines.append(
                f"| {dataset} | {method} | {len(part)} | {np.mean(counts):.0f} ({np.median(counts):.0f}) "
                f"| {np.mean([row.reached for row in part]):.0%} | {told} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transfer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of nb201.npz")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--before", type=int, default=SETTINGS["before"], help="trials of the controller that is taken along"
    )
    parser.add_argument("--trials", type=int, default=SETTINGS["trials"], help="trials on the new data set")
    parser.add_argument("--gap", type=float, default=SETTINGS["gap"], help="points below the best validation accuracy")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    api = get_dataset_api("nasbench201", None, options.data)
    settings = {name: getattr(options, name) for name in SETTINGS}
    rows = made_with(read(), settings) if options.write else []
    done = {(row.dataset, row.seed) for row in rows}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for dataset in options.datasets:
            if (dataset, seed) in done:
                continue
            found = searched(api, dataset, seed, options)
            rows += found
            if options.write:
                append_records(Row, found, FILE)
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
