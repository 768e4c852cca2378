"""Zero-cost proxies of real architectures of NAS-Bench-201, beside their accuracies and published tables of proxies.

    python -m benchmarks.proxies score --data DIR --csv benchmarks/results/proxies-nasbench201.csv
    python -m benchmarks.proxies score --data DIR --csv FILE --proxies swap,zico,az_nas --architectures 60
    python -m benchmarks.proxies report --data DIR --csv benchmarks/results/proxies-nasbench201.csv

`score` builds architectures at the size of the benchmark (16 channels, five cells per stage), drawn by a seed from
those that `nb201_proxies_full.npz` has, and scores each on one batch of CIFAR-10; it goes on where a CSV ends. DIR
holds `nb201.npz`, `nb201_proxies_full.npz` and CIFAR-10.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from naslib.benchmarks.nasbench201 import NasBench201Table
from naslib.data.image_data import ImageSet
from naslib.data.sets.cifar import load_cifar10
from naslib.errors import PredictorError
from naslib.predictors.proxies import compute_parts, compute_proxy
from naslib.registry.catalogue import PROXIES
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.tasks import Classification

from .row_files import append, read

FIELDS = ("index", "proxy", "value", "seconds", "batch", "seed")
CHEAP = (
    "params", "flops", "synflow", "logsynflow", "nwot", "jacov", "snip", "grad_norm", "fisher", "plain", "l2_norm",
    "epe_nas", "zen",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("score", "report"))
    parser.add_argument("--data", type=Path, required=True, help="the folder of the tables and of CIFAR-10")
    parser.add_argument("--csv", type=Path, required=True, help="one line per architecture and proxy")
    parser.add_argument("--proxies", default=",".join(CHEAP), help="names, separated by commas")
    parser.add_argument("--architectures", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32, help="images of a batch")
    parser.add_argument("--seed", type=int, default=0, help="of architectures, images and weights")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
    given = parser.parse_args(arguments)
    if given.what == "score":
        score(given)
    else:
        print(report(given.data, given.csv))


def score(given: argparse.Namespace) -> None:
    """Write one line per architecture and proxy to the CSV; what it has already is not computed again."""
    names = given.proxies.split(",")
    for name in names:
        PROXIES.get(name)
    done = {(int(row["index"]), row["proxy"]) for row in read(given.csv)}
    indices, codes, _ = _architectures(given.data)
    rng = np.random.default_rng(given.seed)
    chosen = rng.permutation(len(indices))[: given.architectures]
    images = load_cifar10(given.data, 0)
    assert isinstance(images.train, ImageSet)
    picked = torch.from_numpy(rng.permutation(len(images.train))[: given.batch])
    inputs = images.train.images[picked].float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (images.info.mean, images.info.std))
    batch = ((inputs - mean) / std, images.train.labels[picked])
    space, task, begun = NasBench201SearchSpace(n_classes=10), Classification(), time.monotonic()
    for row in chosen:
        index, missing = int(indices[row]), [name for name in names if (int(indices[row]), name) not in done]
        if time.monotonic() - begun > given.minutes * 60:
            break
        if not missing:
            continue
        torch.manual_seed(given.seed + index)
        network = fresh_network(space, codes[row])
        rows: list[tuple[Any, ...]] = []
        for name in missing:
            start = time.process_time()
            if name == "az_nas":
                found = compute_parts(name, network, task, batch, given.seed)
            else:
                try:
                    found = {name: compute_proxy(name, network, task, batch, given.seed)}
                except PredictorError:
                    found = {name: float("nan")}
            seconds = f"{time.process_time() - start:.3f}"
            rows += [(index, part, repr(value), seconds, given.batch, given.seed) for part, value in found.items()]
            if name not in found:
                rows.append((index, name, "nan", seconds, given.batch, given.seed))
        append(given.csv, FIELDS, rows)


def report(data: Path, path: Path) -> str:
    """Return a Markdown table of rank correlations with the accuracy, and with the published values."""
    from scipy.stats import kendalltau, spearmanr

    indices, _, published = _architectures(data)
    place = {int(index): row for row, index in enumerate(indices)}
    accuracy = np.load(data / "nb201.npz", allow_pickle=False)["c10_test_200"]
    by_proxy: dict[str, dict[int, tuple[float, float]]] = {}
    for line in read(path):
        pair = float(line["value"]), float(line["seconds"])
        by_proxy.setdefault(line["proxy"], {})[int(line["index"])] = pair
    lines = [
        "| proxy | architectures | Spearman with the test accuracy | Kendall | Spearman of the published values | with "
        "the published values | CPU seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in sorted(by_proxy.items()):
        kept = {index: pair for index, pair in found.items() if math.isfinite(pair[0])}
        if len(kept) < 3:
            continue
        values = np.asarray([value for value, _ in kept.values()])
        truth = accuracy[list(kept)]
        rows = [place[index] for index in kept]
        theirs = published[name][rows] if name in published else None
        other = "" if theirs is None else f"{spearmanr(theirs, truth).statistic:.3f}"
        both = "" if theirs is None else f"{spearmanr(values, theirs).statistic:.3f}"
        seconds = float(np.median([taken for _, taken in kept.values()]))
        lines.append(
            f"| {name} | {len(kept)} of {len(found)} | {spearmanr(values, truth).statistic:.3f} "
            f"| {kendalltau(values, truth).statistic:.3f} | {other} | {both} | {seconds:.2f} |"
        )
    return "\n".join(lines)


def _architectures(data: Path) -> tuple[np.ndarray, list[tuple[int, ...]], dict[str, np.ndarray]]:
    """Return official indices `(n,)`, codes, and the published proxies of all architectures of the table."""
    table = np.load(data / "nb201_proxies_full.npz", allow_pickle=False)
    indices = table["cifar10_index"]
    names = [str(name) for name in table["cifar10_proxies"]]
    published = {name: table["cifar10"][:, column].astype(np.float64) for column, name in enumerate(names)}
    bench = NasBench201Table(data / "nb201.npz")
    return indices, [bench.code_of(int(index)) for index in indices], published


if __name__ == "__main__":
    main()
