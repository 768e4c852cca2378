"""Whether the scores of SMASH rank networks as training does: a small bank of networks of memory banks on the digits.

    python -m benchmarks.smash             # trains the hypernetwork and the bank, writes benchmarks/results/smash.csv
    python -m benchmarks.smash --show      # the table of what is there

Networks are drawn as the search draws them. Each has a score on the validation half with the weights of a trained
hypernetwork, with those of one that was never trained, and the trained one's again with the statistics of batch norm
estimated anew; and the accuracies that it has on the same images after it was trained from fresh weights on the
training half, by two seeds. Baselines are its parameters. Rank correlations come with 95 % bands of 2,000 resamplings.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.data.loaders import build_search_loaders
from naslib.data.registry import load_data
from naslib.optimizers import SMASHOptimizer
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.predictors.measures import kendall_tau_b, spearman
from naslib.search_spaces import MemoryBankSearchSpace

from .harness import ROOT
from .row_files import append, read

FILE = ROOT / "benchmarks" / "results" / "smash.csv"
SPACE: dict[str, Any] = {"n_classes": 10, "in_channels": 1, "channels": (16, 32), "ops": (1, 2, 3)}
HYPER: dict[str, Any] = {"hyper_growth": 6, "hyper_layers": (4, 5, 2)}
SCORES = ("smash", "smash_recalibrated", "random_h", "random_h_recalibrated", "params")
NAMES = {
    "smash": "SMASH score",
    "smash_recalibrated": "the same, batch norm estimated anew",
    "random_h": "H never trained",
    "random_h_recalibrated": "the same, batch norm estimated anew",
    "params": "parameters",
}
BATCH, RECALIBRATION, RESAMPLED = 64, 5, 2000
Batches = list[tuple[Tensor, Tensor]]


def optimizer_for(epochs: int, seed: int) -> SMASHOptimizer:
    """Return a search on the space of this file, ready for its first epoch."""
    torch.manual_seed(seed)
    optimizer = SMASHOptimizer(epochs=epochs, **HYPER)
    optimizer.adapt_search_space(MemoryBankSearchSpace(**SPACE))
    optimizer.before_training()
    optimizer.graph.train()
    return optimizer


def train_hypernetwork(optimizer: SMASHOptimizer, train: Any, epochs: int) -> None:
    """Train H as the search does, the learning rate falling to 0 by a cosine, epoch by epoch.

    The validation forward of a step, which trains nothing, is left out.
    """
    for epoch in range(epochs):
        optimizer.new_epoch(epoch)
        for group in optimizer.op_optimizer.param_groups:
            group["lr"] = optimizer.learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for batch in train:
            optimizer.begin_step(batch)
            optimizer.weight_step(batch)


def trained_accuracy(code: tuple[int, ...], train: Any, valid: Batches, epochs: int, seed: int) -> float:
    """Return the accuracy in percent that an architecture has after a training from fresh weights."""
    torch.manual_seed(seed)
    space = MemoryBankSearchSpace(**SPACE)
    space.set_spec(code)
    network: Any = space.evaluation_network()
    network.train()
    descent = torch.optim.SGD(network.parameters(), 0.05, 0.9, weight_decay=5e-4, nesterov=True)
    for epoch in range(epochs):
        for group in descent.param_groups:
            group["lr"] = 0.05 * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for images, labels in train:
            descent.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            descent.step()
    network.eval()
    with torch.no_grad():
        hits = [network(images).argmax(1).eq(labels) for images, labels in valid]
    return 100 * float(torch.cat(hits).double().mean())


def parameters_of(code: tuple[int, ...]) -> int:
    """Return the parameters of the network that is trained for an architecture."""
    space = MemoryBankSearchSpace(**SPACE)
    space.set_spec(code)
    return sum(parameter.numel() for parameter in space.evaluation_network().parameters())


def measure(networks: int, search_epochs: int, epochs: int, seed: int) -> list[dict[str, Any]]:
    """Return a row for every network of the bank.

    Args:
        networks: How many.
        search_epochs: Epochs of the hypernetwork.
        epochs: Epochs of each network.
        seed: Of everything.
    """
    loaders = build_search_loaders(load_data("digits"), batch_size=BATCH, train_portion=0.5, seed=seed)
    halves: Any = loaders.valid
    train, valid = loaders.train, list(halves.as_eval())
    searched, untrained = optimizer_for(search_epochs, seed), optimizer_for(search_epochs, seed + 1)
    began = time.perf_counter()
    train_hypernetwork(searched, train, search_epochs)
    print(f"hypernetwork: {time.perf_counter() - began:.0f} s", flush=True)
    untrained.growth = searched.growth = 1.0
    untrained.graph.train()
    with torch.no_grad():  # running statistics of its own, as the trained one has
        for _ in range(search_epochs):
            for batch in train:
                untrained.begin_step(batch)
                untrained.outputs(batch)
    searched.rng.seed(seed)
    codes: list[tuple[int, ...]] = []
    while len(codes) < networks:
        code = searched.drawn()
        if code not in codes:
            codes.append(code)
    rows = []
    for number, code in enumerate(codes):
        row: dict[str, Any] = {
            "network": number,
            "genotype": json.dumps(_genotype(code)),
            "params": parameters_of(code),
        }
        for name, optimizer in (("smash", searched), ("random_h", untrained)):
            row[name] = PathScorer(optimizer, train, valid).on_all(code)
            row[f"{name}_recalibrated"] = PathScorer(optimizer, train, valid, RECALIBRATION).on_all(code)
        for trial in (1, 2):
            row[f"trained_{trial}"] = trained_accuracy(code, train, valid, epochs, 100 * trial + seed)
        rows.append(row)
        print(f"{number + 1} of {networks}: {time.perf_counter() - began:.0f} s", flush=True)
    return rows


def _genotype(code: tuple[int, ...]) -> Any:
    space = MemoryBankSearchSpace(**SPACE)
    space.set_spec(code)
    return space.genotype()


def table() -> str:
    """Return the rank correlations of the file with the trained accuracy, as a table in Markdown."""
    rows = read(FILE)
    columns = {key: np.array([float(row[key]) for row in rows]) for key in (*SCORES, "trained_1", "trained_2")}
    trained = (columns["trained_1"] + columns["trained_2"]) / 2
    lines = [
        f"| {len(rows)} networks, accuracy after training {trained.min():.1f} to {trained.max():.1f} % | mean score | "
        "Spearman | Kendall |",
        "|---|---|---|---|",
    ]
    for name in SCORES:
        mean = f"{columns[name].mean():.1f} %" if name != "params" else f"{columns[name].mean():,.0f}"
        lines.append(f"| {NAMES[name]} | {mean} | {_banded(columns[name], trained)} |")
    one, other = columns["trained_1"], columns["trained_2"]
    lines.append(f"| one training against the other | {one.mean():.1f} % | {_banded(one, other)} |")
    return "\n".join(lines)


def _banded(first: np.ndarray, second: np.ndarray) -> str:
    """Return Spearman's and Kendall's correlation with bands, as two cells."""
    index = np.random.default_rng(0).integers(len(first), size=(RESAMPLED, len(first)))
    drawn = _resampled(first, second, index)
    cells = []
    for correlation, values in zip((spearman, kendall_tau_b), drawn, strict=True):
        low, high = np.quantile(values, (0.025, 0.975))
        cells.append(f"{float(correlation(first, second)):.2f} ({low:.2f} to {high:.2f})")
    return " | ".join(cells)


def _resampled(first: np.ndarray, second: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Spearman's correlations and Kendall's tau-b of resamplings, `(n_resamplings,)` each; 0 of constant ones.

    Values are `(n,)`, indices `(n_resamplings, n)`. Ranks, up to a constant, are half the sums of the signs of all
    differences.
    """
    signs = [np.sign(values[:, None] - values)[index[:, :, None], index[:, None, :]] for values in (first, second)]
    ranks = [sign.sum(2) for sign in signs]
    pairs = ((ranks[0] * ranks[1], *(rank**2 for rank in ranks)), (signs[0] * signs[1], *(sign**2 for sign in signs)))
    found = []
    for product, one, other in pairs:
        axes = tuple(range(1, product.ndim))
        scale = np.sqrt(one.sum(axes) * other.sum(axes))
        found.append(np.divide(product.sum(axes), scale, out=np.zeros(len(index)), where=scale > 0))
    return found[0], found[1]


def main(words: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=30, help="networks of the bank")
    parser.add_argument("--search-epochs", type=int, default=60, help="epochs of the hypernetwork")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the table of what is there")
    given = parser.parse_args(words)
    if not given.show:
        rows = measure(given.networks, given.search_epochs, given.epochs, given.seed)
        FILE.unlink(missing_ok=True)
        append(FILE, list(rows[0]), rows)
    print(table())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
