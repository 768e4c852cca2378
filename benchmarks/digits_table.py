"""The table of digits that comes with naslib: make it of a build, and say how good it is as a benchmark.

naslib bench build digits_table.yaml --seeds 1,2 --workers 2 --out digits.npz    # goes on where it was stopped
python -m benchmarks.digits_table --build digits.build                           # writes the shipped file
python -m benchmarks.digits_table                                                # what it is worth
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from naslib.benchmarks.own import SHIPPED
from naslib.benchmarks.results import Results, load_results
from naslib.benchmarks.results_info import describe_results
from naslib.cli.command import main as naslib

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


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.digits_table", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--build", metavar="FOLDER", help="the folder of the build, digits.build")
    parser.add_argument("--latency", action="store_true", help="measure latencies that are not there, on this machine")
    given = parser.parse_args(words)
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
