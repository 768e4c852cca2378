"""What surrogate steps do to the ranks that shared weights give architectures, against trainings from scratch.

    python -m benchmarks.mepa                 # appends to benchmarks/results/mepa.csv what it does not have
    python -m benchmarks.mepa --show          # the table of what is there

The trainings are those of the table that comes with naslib: cells of NAS-Bench-201 on the digits, 8 channels, one cell
per stage, the mean validation accuracy of two seeds. Shared weights take `--warm-up` steps on uniform paths, with no or
one surrogate step in each (`shared`), and then score `--architectures` of the table, drawn by the seed, after 0, 1, 2
and 5 surrogate steps at each rate: by accuracy, and by the loss.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from naslib.config.loader import load_config
from naslib.defaults.trainer import Trainer
from naslib.evaluators import MepaEvaluator, TrainingOfTrials
from naslib.history import Trial
from naslib.predictors.measures import kendall_tau_b, spearman
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.tasks import Classification
from naslib.utils import get_dataset_api
from naslib.utils.seeding import set_seed

from .harness import ROOT
from .row_files import append, made_with, read, two_errors

RESULTS = ROOT / "benchmarks" / "results" / "mepa.csv"
FIELDS = ("seed", "warm_up", "shared", "steps", "rate", "tested", "spearman", "kendall", "by_loss")
# Of the scores that the docs quote
SETTINGS = {"warm_up": 400, "tested": 50}
STEPS = ((0, 0.0), (1, 0.02), (1, 0.1), (2, 0.1), (5, 0.1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--warm-up", type=int, default=SETTINGS["warm_up"], help="steps of the shared weights")
    parser.add_argument("--architectures", type=int, default=SETTINGS["tested"], help="that are scored")
    parser.add_argument("--csv", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    given = parser.parse_args(arguments)
    if not given.show:
        for seed in range(given.seeds):
            for shared in (0, 1):
                measure(given.csv, seed, shared, given.warm_up, given.architectures)
    print(table(given.csv, {"warm_up": given.warm_up, "tested": given.architectures}))


def measure(path: Path, seed: int, shared: int, warm_up: int, count: int) -> None:
    """Train shared weights, score architectures, and append one line per way to score them."""
    if made_with(read(path), {"seed": seed, "shared": shared, "warm_up": warm_up, "tested": count}):
        return
    evaluator, codes, truth = prepared(seed, shared, warm_up, count)
    evaluator.evaluate(Trial(0, codes[0]))  # the warm-up
    rows = []
    for steps, rate in STEPS:
        evaluator.surrogate_steps = steps
        evaluator.shared.rates.rate = rate or evaluator.surrogate_lr
        losses, accuracies = [], []
        for number, code in enumerate(codes):
            evaluator.shared.train.begin(1000 + number)  # the same batches however many steps
            loss, accuracy = evaluator.evaluate(Trial(number, code)).values
            losses.append(-loss)
            accuracies.append(accuracy)
        measured = (spearman(truth, accuracies), kendall_tau_b(truth, accuracies), spearman(truth, losses))
        rows.append((seed, warm_up, shared, steps, rate, len(codes), *(f"{value:.4f}" for value in measured)))
    append(path, FIELDS, rows)


def prepared(seed: int, shared: int, warm_up: int, count: int) -> tuple[MepaEvaluator, list[Any], list[float]]:
    """Return the evaluator, architectures of the table, and their trained accuracies in percent."""
    api: Any = get_dataset_api("nasbench201", "digits")
    known = sorted(api.known_codes(Metric.VAL_ACCURACY, "digits", -1))
    codes = Random(seed).sample(known, count)
    truth = [float(api.query(code, Metric.VAL_ACCURACY, "digits", -1)) for code in codes]
    config = load_config({"dataset": "digits", "seed": seed, "search": {"batch_size": 64}})
    train, valid, _ = Trainer.build_search_dataloaders(config)[:3]
    set_seed(seed)
    space = NasBench201SearchSpace(n_classes=10, in_channels=1, channels=8, cells_per_stage=1)
    how = TrainingOfTrials(learning_rate=0.05, momentum=0.9, weight_decay=3e-4)
    names = ["loss", "accuracy"]
    settings = {"shared_surrogate_steps": shared, "shared_steps": 0, "warm_up": warm_up, "surrogate_lr": 0.1}
    evaluator = MepaEvaluator(space, train, valid, how, Classification(), names, seed, **settings)
    return evaluator, codes, truth


def table(path: Path = RESULTS, settings: Mapping[str, int] = SETTINGS) -> str:
    """Return means over seeds, with two standard errors."""
    rows = made_with(read(path), settings)
    lines = [
        "| surrogate steps in training | before the score | rate | seeds | Spearman | Kendall | Spearman, by loss |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for key in sorted({(r["shared"], int(r["steps"]), float(r["rate"])) for r in rows}):
        own = [r for r in rows if (r["shared"], int(r["steps"]), float(r["rate"])) == key]
        means = [_mean([float(row[name]) for row in own]) for name in ("spearman", "kendall", "by_loss")]
        lines.append(f"| {key[0]} | {key[1]} | {key[2] or ''} | {len(own)} | {' | '.join(means)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ({two_errors(values):.3f})"


if __name__ == "__main__":
    main()
