"""What weights are worth that a network inherits from a smaller one, on scikit-learn's digits.

    python -m benchmarks.inheritance epochs --write       # epochs to an accuracy, twenty seeds; three minutes
    python -m benchmarks.inheritance evolution --write    # evolution whose children inherit; four minutes

`epochs`: a network of 8 channels and one layer is trained for ten epochs; one of 16 channels and three layers then
begins with its weights, by morphism, by the names and shapes of tensors, or with fresh ones, and is trained for 1, 2, 5
and 10 epochs, each time with a whole schedule from a rate of 0.05, or of 0.02. `evolution`: 24 trials of regularized
evolution, each of one epoch of training, over widths and depths of the same network, with and without inheritance.

With `--write` every training or search is a row of a file in `benchmarks/results`, and those that are there are not
repeated. The table of all that is there is printed at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from naslib.choices import RepeatChoice, ValueChoice
from naslib.data.registry import DATASETS
from naslib.evaluators import SerialExecutor, TrainEvaluator, TrainingOfTrials, TrialSearch
from naslib.evaluators.inheritance import Kept
from naslib.history import MemoryHistory, Trial
from naslib.optimizers import RegularizedEvolution
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear
from naslib.utils.seeding import derive_seed

from .records import RESULTS
from .row_files import append, read

PARENT, LENGTHS, TRIALS = 10, (1, 2, 5, 10), 24
# How a network begins, and its first learning rate
ARMS: dict[str, tuple[str | None, float]] = {
    "scratch": (None, 0.05),
    "names": ("names", 0.05),
    "morphism": ("morphism", 0.05),
    "morphism, rate 0.02": ("morphism", 0.02),
}
FILES = {"epochs": RESULTS / "inheritance-epochs.csv", "evolution": RESULTS / "inheritance-evolution.csv"}
FIELDS = {
    "epochs": ("arm", "seed", "before", *(f"epochs_{epochs}" for epochs in LENGTHS)),
    "evolution": ("arm", "seed", "best_accuracy", "inherited"),
}
SMALL, LARGE = (0, 0), (1, 2)  # width and depth


class Net(nn.Module):
    """A chain of convolutions of one width."""

    def __init__(self) -> None:
        super().__init__()
        width = ValueChoice([8, 16, 24], label="width")

        def block(index: int) -> nn.Module:
            return nn.Sequential(ElasticConv2d(width, width, 3), ElasticBatchNorm2d(width), nn.ReLU())

        self.stem = nn.Sequential(ElasticConv2d(1, width, 3), ElasticBatchNorm2d(width), nn.ReLU())
        self.body = RepeatChoice(block, [1, 2, 3], label="depth")
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), ElasticLinear(width * 4, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits `(n, 10)` of images `(n, 1, 8, 8)`."""
        return self.head(self.body(self.stem(x)))


def loaders(seed: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return half of the training digits to train on, and the other half, by a seed."""
    images, labels = _digits()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    half = len(order) // 2
    train, valid = (TensorDataset(images[part], labels[part]) for part in (order[:half], order[half:]))
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(train, 64, shuffle=True, generator=generator), DataLoader(valid, 1024)


def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    train: Any = DATASETS.get("digits")(None, 0).train
    images = torch.from_numpy(np.asarray(train.images, np.float32)) / 255
    return images.reshape(-1, 1, 8, 8), torch.from_numpy(np.asarray(train.label_array, np.int64))


def evaluator(arm: str, seed: int, epochs: int) -> TrainEvaluator:
    """Return what trains the trials of an arm."""
    inherit, rate = ARMS[arm]
    how = TrainingOfTrials(learning_rate=rate, learning_rate_min=0.0)
    space = ModuleSearchSpace(Net)
    return TrainEvaluator(space, *loaders(seed), how, seed=seed, epochs=epochs, inherit=inherit)


def train_arm(arm: str, seed: int) -> list[float]:
    """Return the validation accuracy of the large network in percent, before training and after each length of it."""
    before: list[float] = []
    after: list[float] = []
    parent: Kept | None = None
    for epochs in LENGTHS:
        found = evaluator(arm, seed, epochs)
        if found.inheritance is not None and parent is None:
            teacher = evaluator("morphism", seed, PARENT)
            teacher.evaluate(Trial(0, SMALL, PARENT))
            parent = teacher.inheritance.networks.load(0) if teacher.inheritance is not None else None
        if found.inheritance is not None and parent is not None:
            found.inheritance.networks.save(0, parent)

        def watch(network: nn.Module, epoch: int, measured: Any, valid: Any = found.valid) -> None:
            if epoch == 0 and not before:
                images, labels = next(iter(valid))
                with torch.no_grad():
                    before.append(100 * float((network.eval()(images).argmax(1) == labels).double().mean()))

        after.append(found.evaluate(Trial(1, LARGE, epochs, parent=0), watch=watch).values[0])
    return [*before, *after]


def search_arm(arm: str, seed: int) -> tuple[float, int]:
    """Return the best validation accuracy of a search, and how many trials have inherited."""
    found = evaluator(arm, seed, 1)
    np.random.seed(seed)
    optimizer = RegularizedEvolution(population_size=6, sample_size=3)
    optimizer.adapt_search_space(found.space, "digits", evaluator=found)
    history = MemoryHistory()
    with SerialExecutor(found) as running:
        search = TrialSearch(optimizer, running, history, seed=derive_seed(seed, "search"), epochs=TRIALS)
        for done in range(TRIALS):
            search.advance(done, lambda: False)
    trials = history.trials()
    return max(t.values[0] for t in trials if t.values), sum(t.user.get("inherited") is not None for t in trials)


def table(kind: str, rows: Sequence[dict[str, str]] | None = None) -> str:
    """Return what was found, one line per arm."""
    rows = read(FILES[kind]) if rows is None else rows
    by_arm = {arm: [row for row in rows if row["arm"] == arm] for arm in ARMS}
    if kind == "evolution":
        lines = ["| children begin with | seeds | best accuracy (%) | of 24 trials inherit |", "|---|---|---|---|"]
        for arm, found in by_arm.items():
            if found:
                best, inherited = ([float(row[key]) for row in found] for key in ("best_accuracy", "inherited"))
                lines.append(f"| {arm} | {len(found)} | {_spread(best)} | {np.mean(inherited):.1f} |")
        return "\n".join(lines)
    shown = [f"{epochs} epochs" if epochs > 1 else "1 epoch" for epochs in LENGTHS]
    lines = [
        f"| weights | seeds | before | {' | '.join(shown)} | 5 epochs, less scratch's 10 |",
        f"|{'---|' * (len(LENGTHS) + 4)}",
    ]
    wanted = {row["seed"]: float(row["epochs_10"]) for row in by_arm["scratch"]}
    for arm, found in by_arm.items():
        if found:
            values = [_spread([float(row[field]) for row in found]) for field in FIELDS["epochs"][2:]]
            less = [float(row["epochs_5"]) - wanted[row["seed"]] for row in found if row["seed"] in wanted]
            lines.append(f"| {arm} | {len(found)} | {' | '.join(values)} | {_spread(less)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    """Return the mean and half the width of its 95 % confidence interval."""
    half = 1.96 * np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{np.mean(values):.2f} ± {half:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inheritance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=list(FILES))
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--write", action="store_true", help="keep what is found in benchmarks/results")
    options = parser.parse_args(arguments)
    path, fields = FILES[options.kind], FIELDS[options.kind]
    rows = read(path) if options.write else []
    done = {(row["arm"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for arm in list(ARMS)[: 4 if options.kind == "epochs" else 3]:
            if (arm, str(seed)) in done:
                continue
            numbers = train_arm(arm, seed) if options.kind == "epochs" else search_arm(arm, seed)
            row = dict(zip(fields, (arm, str(seed), *(f"{number:.4f}" for number in numbers)), strict=True))
            rows.append(row)
            if options.write:
                append(path, fields, [row])
    print(table(options.kind, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
