"""The table of digits that comes with naslib: make it of a build, and say how good it is as a benchmark.

naslib bench build digits_table.yaml --seeds 1,2 --workers 2 --out digits.npz    # goes on where it was stopped
python -m benchmarks.digits_table --build digits.build                           # writes the shipped file
python -m benchmarks.digits_table                                                # what it is worth
python -m benchmarks.digits_table --functions DIR/nb201.npz    # whether one function is one training
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from naslib.benchmarks import NasBench201Table
from naslib.benchmarks.own import SHIPPED
from naslib.benchmarks.results import Results, load_results
from naslib.benchmarks.results_info import describe_results
from naslib.cli.command import main as naslib
from naslib.search_spaces import NasBench201SearchSpace

FILE = SHIPPED / "nasbench201_digits.npz"
# A file that travels with the package
LARGEST = 1_500_000


def rank_correlations(results: Results) -> dict[str, float]:
    """Return Spearman's correlations that say what a search on the table can be expected to find."""
    valid, test = results.curves["valid_score"], results.curves["test_score"]
    both = np.isfinite(results.seconds).all(axis=1)
    last, means = valid[both][:, :, -1], valid[both].mean(axis=1)
    found = {"validation, one seed against the other": float(spearmanr(last[:, 0], last[:, 1])[0])}
    found["validation against test, means"] = float(spearmanr(means[:, -1], test[both].mean(axis=1)[:, -1])[0])
    params = results.params[results.trained][both]
    found["parameters against validation"] = float(spearmanr(params, means[:, -1])[0])
    for epoch in range(results.epochs - 1):
        found[f"validation after {epoch + 1} epochs against the last"] = float(
            spearmanr(means[:, epoch], means[:, -1])[0]
        )
    return found


def spread(path: str | Path) -> dict[str, float]:
    """Return how trainings of one function differ in the published table of NAS-Bench-201, where each cell was trained.

    Standard deviations of CIFAR-10's validation accuracy after 200 epochs, in points, pooled over groups: cells of one
    function with one seed, and seeds of one cell.

    Args:
        path: `nb201.npz`.
    """
    table, codec = NasBench201Table(path), NasBench201SearchSpace.codec
    with np.load(path, allow_pickle=False) as file:
        accuracies = file["c10_valid_200_seeds"].astype(np.float64)
    groups = defaultdict(list)
    for code in codec.iterate():
        groups[codec.function_of(code)].append(table.index_of(code))
    columns = [accuracies[rows, seed] for rows in groups.values() for seed in (0, 1)]
    return {
        "cells of one function, one seed": _pooled(columns),
        "seeds of one cell": _pooled(list(accuracies)),
        "all cells, one seed": float(np.nanstd(accuracies[:, 0])),
    }


def _pooled(groups: Sequence[np.ndarray]) -> float:
    """Return the standard deviation within groups, of what is known in each."""
    known = [group[np.isfinite(group)] for group in groups]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in known if len(group) > 1)
    return float(np.sqrt(squares / sum(len(group) - 1 for group in known if len(group) > 1)))


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.digits_table", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--build", metavar="FOLDER", help="the folder of the build, digits.build")
    parser.add_argument("--latency", action="store_true", help="measure latencies that are not there, on this machine")
    parser.add_argument("--functions", metavar="FILE", help="compare cells of one function in this nb201.npz")
    given = parser.parse_args(words)
    if given.functions:
        for name, value in spread(given.functions).items():
            print(f"{name:44} {value:.3f}")
        return 0
    if given.build:
        parts = [given.build, *([str(FILE)] if FILE.is_file() else [])]  # what was measured before is kept
        if naslib(["bench", "merge", str(FILE), *parts]):
            return 2
    if given.latency and naslib(["bench", "latency", str(FILE)]):
        return 2
    results = load_results(FILE)
    print(describe_results(results))
    print(f"{'size of the file':44} {Path(FILE).stat().st_size:,} bytes (at most {LARGEST:,})")
    for name, value in rank_correlations(results).items():
        print(f"{name:44} {value:.3f}")
    return 0 if FILE.stat().st_size <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
