"""A block that adapts to its task, against the same block without controllers, and against a plain residual block.

    python -m benchmarks.few_shot --write

Episodes of three digits with `--shots` examples each; the weights see half of the images of the digits 0 to 4, and the
test is of 5 to 9. All three have the same fixed blocks, epochs and test episodes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from naslib.build import schema_extensions
from naslib.cli.builders import build_trainer
from naslib.config.loader import load_config
from naslib.utils.seeding import derive_seed, set_seed

from . import row_files
from .records import RESULTS
from .row_files import made_with, read_as, two_errors

FILE = RESULTS / "few_shot.csv"
EPOCHS = 6  # of the trainings that the docs quote
METHODS = ("metadapt", "without controllers", "plain block")
# The plain block as a code: the last node reads nodes 2 and 3; convolutions 1-2, 2-3 and 3-4, identities 1-3 and 2-4
PLAIN = (1, 2, 3, 0, -1, 3, 0, 3)


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        method: One of `METHODS`.
        seed: Of the run.
        shots: Examples of each class.
        epochs: Of 20 episodes.
        accuracy: Mean over the test episodes, in percent.
        interval: Half of its 95 % interval.
    """

    method: str
    seed: int
    shots: int
    epochs: int
    accuracy: float
    interval: float


def config_for(method: str, seed: int, shots: int, epochs: int, folder: str) -> Any:
    """Return the config of a run."""
    raw = {
        "dataset": "few_shot", "task_args": {"output_size": 32}, "seed": seed, "out_dir": folder, "device": "cpu",
        "dataset_args": {"of": "digits", "ways": 3, "shots": shots, "queries": 10, "episodes": 20,
                         "test_episodes": 150},
        "search_space": "resnet_dag", "search_space_args": {"channels": 8, "blocks": 2}, "optimizer": "metadapt",
        "search": {"epochs": epochs, "learning_rate": 0.05, "arch_learning_rate": 0.003,
                   "adapt_from": 0.5 if method == METHODS[0] else 1.0},
        "evaluation": {"epochs": epochs, "learning_rate": 0.05, "learning_rate_min": 0.001, "cutout": False,
                       "train_portion": 0.5, "drop_path_prob": 0.0},
    }  # fmt: skip
    return load_config(raw, extensions=schema_extensions())


def plain_block(space: Any) -> Any:
    """Return the discrete network with `PLAIN` as its block."""
    network = space.clone()
    network.set_spec(PLAIN)
    return network


def trained(method: str, seed: int, shots: int, epochs: int) -> Row:
    """Return what a network does on the test episodes."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_for(method, seed, shots, epochs, folder)
        set_seed(seed)
        trainer = build_trainer(config)
        if method == METHODS[2]:
            set_seed(derive_seed(seed, "evaluation"))
            trainer.evaluate(best_arch=plain_block(trainer.optimizer.space))
        else:
            trainer.search()
            trainer.evaluate()
        found = trainer.summary["test_scores"]
    return Row(method, seed, shots, epochs, found["accuracy"], found["interval"])


def read(path: Path = FILE) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def append(row: Row, path: Path = FILE) -> None:
    """Write a row behind those that are there."""
    rounded = {"accuracy": f"{row.accuracy:.3f}", "interval": f"{row.interval:.3f}"}
    row_files.append(path, [field.name for field in fields(Row)], [{**asdict(row), **rounded}])


def table(rows: Sequence[Row] | None = None) -> str:
    """Return a line per number of shots and method."""
    rows = made_with(read(), {"epochs": EPOCHS}) if rows is None else rows
    lines = [
        "| shots | network | seeds | accuracy on new digits | metadapt less this one |",
        "|---|---|---|---|---|",
    ]
    for shots in sorted({row.shots for row in rows}):
        by_seed = {(row.method, row.seed): row.accuracy for row in rows if row.shots == shots}
        for method in METHODS:
            seeds = [seed for name, seed in by_seed if name == method]
            own = np.array([by_seed[method, seed] for seed in seeds])
            pairs = [(by_seed[METHODS[0], s], by_seed[method, s]) for s in seeds if (METHODS[0], s) in by_seed]
            gaps = np.array([first - second for first, second in pairs])
            said = "" if method == METHODS[0] else f"{gaps.mean():+.2f} ± {two_errors(gaps):.2f}"
            lines.append(f"| {shots} | {method} | {len(own)} | {own.mean():.2f} ± {two_errors(own):.2f} | {said} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.few_shot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--shots", type=int, nargs="+", default=[5])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--write", action="store_true", help="keep the trainings in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = made_with(read(), {"epochs": options.epochs}) if options.write else []
    done = {(row.method, row.seed, row.shots) for row in rows}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for shots in options.shots:
            for method in METHODS:
                if (method, seed, shots) not in done:
                    rows.append(trained(method, seed, shots, options.epochs))
                    if options.write:
                        append(rows[-1])
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
