"""Networks that grow by EAS and inherit weights, against the same networks trained from scratch, on the digits.

    python -m benchmarks.growing                # appends to benchmarks/results/growing.csv; one to two minutes a seed
    python -m benchmarks.growing --show         # the table of what is there

A seed is two rounds of EAS on `eas_cnn`: the start is trained, five networks grow from it, five more from the best of
these, and each trains as many epochs as the start from what it has inherited. The best network of the second round, by
validation accuracy, is then trained from scratch for as many epochs as it had of its own, twice and four times as many,
each with a cosine. All are tested on the test part. Seeds that the file has are not measured again.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from naslib.build import build_trainer, schema_extensions
from naslib.config.loader import load_config
from naslib.defaults._trials import build_evaluator
from naslib.evaluators import RecordedTraining, TrainEvaluator
from naslib.history import Trial

from .harness import ROOT
from .row_files import append, read

RESULTS = ROOT / "benchmarks" / "results" / "growing.csv"
EPOCHS = 5
SIZES = {"blocks": 3, "widths": [16, 24, 32, 48, 64], "units": [32, 48, 64]}
ROUNDS, NETWORKS = 2, 5
# How many times as long as a child the same network is trained from scratch
TIMES = (1, 2, 4)
FIELDS = ("seed", "epochs", "network", "params", "way", "own_epochs", "valid", "test", "curve", "seconds")
SEARCH: dict[str, Any] = {
    "evaluator": "train", "batch_size": 64, "learning_rate": 0.02, "learning_rate_min": 0.0, "weight_decay": 1e-4,
    "nesterov": True, "grad_clip": None, "train_portion": 0.8, "epochs": 100,
    "networks": NETWORKS, "rounds_per_start": 1,
}  # fmt: skip


def training(seed: int, epochs: int, inherit: str | None) -> tuple[Any, RecordedTraining]:
    """Return an EAS search of the digits, and what trains and tests its networks."""
    search = {**SEARCH, "evaluator_args": {"epochs": epochs, "inherit": inherit}}
    config: Any = load_config(
        {
            "dataset": "digits", "search_space": "eas_cnn", "search_space_args": SIZES, "optimizer": "eas",
            "seed": seed, "search": search,
        },
        extensions=schema_extensions(),
    )  # fmt: skip
    trainer = build_trainer(config)
    loaders = trainer._loaders(trainer.build_search_dataloaders, None)
    layout = trainer._channels_last()
    made = build_evaluator(
        trainer.optimizer, config, lambda name: loaders, lambda: trainer.task, trainer.device, layout
    )
    if not isinstance(made, TrainEvaluator):
        raise TypeError(f"networks are trained here, not asked of {type(made).__name__}")
    return trainer.optimizer, RecordedTraining(made, loaders[2])


def measure(seed: int, epochs: int) -> list[dict[str, Any]]:
    """Return the rows of a seed."""
    optimizer, evaluator = training(seed, epochs, "morphism")
    optimizer.use_evaluator(evaluator)
    rows: list[dict[str, Any]] = []
    while optimizer.rounds.count < ROUNDS:
        (trial,) = optimizer.ask(1)
        outcome = evaluator.evaluate(trial)
        way = "start" if trial.parent is None else f"round {optimizer.rounds.count + 1}"
        rows.append(_row(seed, epochs, optimizer, evaluator, trial, outcome, way))
        optimizer.tell(trial, outcome.values, seconds=outcome.seconds)
    best = max((row for row in rows if row["way"] == f"round {ROUNDS}"), key=lambda row: float(row["valid"]))
    found = [rows[0], {**best, "way": "inherited"}]
    code = optimizer.codec.canonical(best["network"])
    for times in TIMES:
        _, scratch = training(seed, times * epochs, None)
        trial = Trial(0, code, times * epochs)
        outcome = scratch.evaluate(trial)
        found.append(_row(seed, epochs, optimizer, scratch, trial, outcome, f"scratch, {times} x"))
    return found


def _row(
    seed: int, epochs: int, optimizer: Any, evaluator: RecordedTraining, trial: Trial, outcome: Any, way: str
) -> dict[str, Any]:
    curves = outcome.user["curves"]
    return {
        "seed": seed, "epochs": epochs, "network": optimizer.codec.genotype(trial.code),
        "params": evaluator.sizes(trial.code)[0], "way": way, "own_epochs": trial.fidelity,
        "valid": round(curves["valid_score"][-1], 3), "test": round(curves["test_score"][-1], 3),
        "curve": " ".join(f"{score:.2f}" for score in curves["test_score"]),
        "seconds": round(outcome.user["train_seconds"], 2),
    }  # fmt: skip


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return a line per way: test accuracies over seeds, and how much a child is above it, with 95 % of its mean."""
    lines = ["| weights | own epochs | seeds | test accuracy, % | after one epoch, % | inherited is above by |"]
    lines.append("|---|---|---|---|---|---|")
    by_way: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        by_way.setdefault(row["way"], {})[row["seed"]] = row
    inherited = by_way.get("inherited", {})
    for way, found in by_way.items():
        tests = [float(row["test"]) for row in found.values()]
        first = statistics.mean(float(row["curve"].split()[0]) for row in found.values())
        above = [float(inherited[seed]["test"]) - float(row["test"]) for seed, row in found.items()]
        band = f"{statistics.mean(above):+.2f} ± {_half_band(above):.2f}" if way != "inherited" else ""
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        epochs = next(iter(found.values()))["own_epochs"]
        lines.append(
            f"| {way} | {epochs} | {len(tests)} | {statistics.mean(tests):.2f} ± {spread:.2f} | {first:.2f} | {band} |"
        )
    return "\n".join(lines)


def _half_band(values: Sequence[float]) -> float:
    """Return half of the 95 % band of a mean, by the normal quantile."""
    return 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the start and of each child")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file")
    parser.add_argument("--show", action="store_true", help="print the table of what is there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = {(row["seed"], row["epochs"]) for row in read(given.out)}
    for seed in range(1, given.seeds + 1) if not given.show else ():
        if (str(seed), str(given.epochs)) in done:
            continue
        rows = measure(seed, given.epochs)
        append(given.out, FIELDS, rows)
        print(f"seed {seed}: " + ", ".join(f"{row['way']} {row['test']}" for row in rows), flush=True)
    print(table([row for row in read(given.out) if row["epochs"] == str(given.epochs)]))


if __name__ == "__main__":
    main()
