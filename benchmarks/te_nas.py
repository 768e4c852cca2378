"""What TE-NAS finds on NAS-Bench-201, by the table: searches on images of CIFAR-10, nothing trained.

    python -m benchmarks.te_nas --data DIR            # appends searches to benchmarks/results/te_nas.csv
    python -m benchmarks.te_nas --show                # the table of what is there

The supernet has 3 channels and one cell in a stage, as the authors'; images are averaged down to a side of 16. What the
file has already is not searched again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from naslib.benchmarks import NasBench201Table
from naslib.data.loaders import build_search_loaders
from naslib.data.registry import load_data
from naslib.optimizers import TENASOptimizer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

from .harness import ROOT
from .row_files import append, made_with, read

FILE = ROOT / "benchmarks" / "results" / "te_nas.csv"
SIDE = 16
FIELDS = ("seed", "batch", "repeats", "region_images", "genotype", "test_accuracy", "rank", "seconds")
# Of the searches that the docs quote
SETTINGS = {"batch": 16, "repeats": 1, "region_images": 1000}


def search(data: str, seed: int, batch: int, repeats: int, region_images: int) -> tuple[Any, float]:
    """Return the architecture that a search finds, and its seconds."""
    images = load_data("cifar10", data_dir=data, image_size=SIDE)
    loaders = build_search_loaders(images, batch_size=batch, train_portion=0.5, seed=seed)
    torch.manual_seed(seed)
    began = time.perf_counter()
    optimizer = TENASOptimizer(repeats=repeats, region_images=region_images)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=3, cells_per_stage=1))
    optimizer.before_training()
    optimizer.graph.train()
    optimizer.select_architecture(loaders.train, ())
    return optimizer.get_final_architecture(), time.perf_counter() - began


def table(settings: Mapping[str, int] = SETTINGS) -> str:
    """Return what is in the file of searches with these settings, as a table in Markdown."""
    rows = made_with(read(FILE), settings)
    lines = ["| seed | cell | test accuracy, % | rank of 15,625 | search, s |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['seed']} | `{row['genotype'].replace('|', chr(92) + '|')}` | {float(row['test_accuracy']):.2f} | "
        f"{int(row['rank']):,} | {float(row['seconds']):.0f} |"
        for row in rows
    ]
    values = [float(row["test_accuracy"]) for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    lines.append(f"| mean | | {statistics.mean(values):.2f}{spread} | | |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.te_nas", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of CIFAR-10 and nb201.npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--batch", type=int, default=SETTINGS["batch"], help="images of a tangent kernel")
    parser.add_argument(
        "--repeats", type=int, default=SETTINGS["repeats"], help="draws of weights for each measurement"
    )
    parser.add_argument("--region-images", type=int, default=SETTINGS["region_images"])
    parser.add_argument("--show", action="store_true", help="print the table of what is there")
    given = parser.parse_args(words)
    settings = {name: getattr(given, name) for name in SETTINGS}
    if not given.show:
        if given.data is None:
            parser.error("--data names the folder of CIFAR-10 and nb201.npz")
        known = NasBench201Table(Path(given.data) / "nb201.npz")
        codec = NasBench201SearchSpace.codec
        everything = [float(known.query(code, Metric.TEST_ACCURACY, "cifar10")) for code in codec.iterate()]
        done = {int(row["seed"]) for row in made_with(read(FILE), settings)}
        for seed in given.seeds:
            if seed in done:
                continue
            found, seconds = search(given.data, seed, **settings)
            accuracy = float(known.query(found.get_code(), Metric.TEST_ACCURACY, "cifar10"))
            values = (seed, *settings.values(), str(found.genotype()), accuracy)
            rank = 1 + sum(other > accuracy for other in everything)
            append(FILE, FIELDS, [(*values, rank, round(seconds, 1))])
    print(table(settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
