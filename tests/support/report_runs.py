"""Run folders made of files, for tests of reports: nothing is searched or trained."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import yaml

from naslib.config.loader import load_config
from naslib.history import Objective, SqliteHistory, Trial

OPS = ["skip_connect", "nor_conv_1x1", "none"]
CLASSES = ["cat", "dog", "eel"]
CONFUSION = [[8, 1, 1], [0, 9, 1], [2, 0, 8]]
# A cell of NAS-Bench-201 in a network of few channels
CODE = (0, 3, 1, 3, 3, 0)
GENOTYPE = "|skip_connect~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|none~0|nor_conv_1x1~1|skip_connect~2|"
SPACE = {"n_classes": 3, "in_channels": 1, "channels": 4, "cells_per_stage": 1}


def summary(**changes: Any) -> dict[str, Any]:
    """Return a summary as runs of classification leave it."""
    return {
        "genotype": GENOTYPE, "architecture": "found", "given_genotype": None, "params_millions": 0.0482,
        "flops_millions": 1.6676, "score": 83.25, "score_name": "accuracy", "score_unit": "%", "maximize": True,
        "test_scores": {"accuracy": 83.25, "top5": 100.0}, "test_accuracy": 83.25, "evaluation_mode": "retrain",
        "degenerate": [], "search_seconds": 90.0, "search_evaluations": None, "trials": None,
        "evaluation_seconds": 30.0, "total_seconds": 150.0, "search_params_millions": 0.25, "device": "cpu", "seed": 1,
        "optimizer": "darts", "search_space": "nasbench201", "dataset": "digits", "own_loaders": False,
        "search_epochs": 4, "evaluation_epochs": 3, "confusion_matrix": CONFUSION, "class_names": CLASSES,
        "per_class": [
            {"name": "cat", "n": 10, "accuracy": 80.0, "precision": 0.8, "recall": 0.8, "f1": 0.8},
            {"name": "dog", "n": 10, "accuracy": 90.0, "precision": 0.9, "recall": 0.9, "f1": 0.9},
            {"name": "eel", "n": 10, "accuracy": 80.0, "precision": 0.8, "recall": 0.8, "f1": 0.8},
        ],
        **changes,
    }  # fmt: skip


def alphas(epochs: int = 4, decisions: int = 2, ops: list[str] | None = None) -> list[dict[str, Any]]:
    """Return architecture parameters: of each decision the first candidate gains ln 2 per epoch on all others."""
    ops = OPS if ops is None else ops
    rows = [[epoch * math.log(2)] + [0.0] * (len(ops) - 1) for epoch in range(epochs + 1)]
    return [
        {"name": f"cell/{i}-{i + 1}", "graph": "cell", "edge": [i, i + 1], "ops": ops, "weights": rows}
        for i in range(decisions)
    ]


def errors(epochs: int = 4, **changes: Any) -> dict[str, Any]:
    """Return the trajectory of a search."""
    losses = [2.0 / (epoch + 1) for epoch in range(epochs)]
    return {
        "train_acc": [50.0 + 5 * e for e in range(epochs)], "train_loss": losses,
        "valid_acc": [45.0 + 5 * e for e in range(epochs)], "valid_loss": [loss + 0.5 for loss in losses],
        "test_acc": [None] * epochs, "test_loss": [None] * epochs, "runtime": [20.0] * epochs,
        "train_time": [20.0] * epochs, "arch_eval": [None] * epochs, "params": 0.25, **changes,
    }  # fmt: skip


def retraining(epochs: int = 3) -> list[dict[str, Any]]:
    """Return the rows of a retraining."""
    return [
        {"epoch": e, "train_loss": 1.0 / (e + 1), "train_acc": 60.0 + e, "valid_loss": None, "valid_acc": None,
         "learning_rate": 0.025 / (e + 1), "seconds": 10.0}
        for e in range(epochs)
    ]  # fmt: skip


def environment(**changes: Any) -> dict[str, Any]:
    """Return an environment record."""
    return {
        "naslib": "0.1.0", "python": "3.11.7", "torch": "2.11.0", "device": "cpu", "cpu": "A CPU", "threads": 1,
        "deterministic": False, "git_commit": "0123456789abcdef", "command": "runner.py --config darts.yaml", **changes,
    }  # fmt: skip


def network_record() -> dict[str, Any]:
    """Return the record of a small network of NAS-Bench-201 for images of 8 x 8."""
    return {
        "format": 1,
        "architecture": {
            "class": "naslib.search_spaces.nasbench201.graph:NasBench201SearchSpace", "arguments": dict(SPACE),
            "code": list(CODE),
        },
        "sizes": None, "class_names": CLASSES, "batch_norm": "running",
        "preprocess": {"mean": [0.5], "std": [0.5], "in_channels": 1, "image_size": 8, "resize": 8, "scale": 255.0},
        "task": {"class": "naslib.tasks.classification:Classification", "arguments": {"loss": "CrossEntropyLoss"},
                 "output_size": 3, "loss": "CrossEntropyLoss",
                 "scores": [{"name": "accuracy", "maximize": True, "unit": "%"}]},
    }  # fmt: skip


def config_of(root: Path, seed: int = 1, optimizer: str = "darts", **changes: Any) -> Any:
    """Return the resolved config of a run below `root`."""
    sections = {"search": {"epochs": 4}, "evaluation": {"epochs": 3}}
    for name in sections:
        sections[name] |= changes.pop(name, {})
    given = {"dataset": "digits", "search_space": "nasbench201", "out_dir": str(root), "seed": seed, **sections}
    return load_config({**given, "optimizer": optimizer, "search_space_args": {"channels": 4}, **changes})


def write_run(root: Path, seed: int = 1, optimizer: str = "darts", *, score: float = 83.25, **files: Any) -> Path:
    """Write a run folder of a one-shot search below `root`, and return it.

    Args:
        root: The folder of all runs.
        seed: Its seed.
        optimizer: Its method.
        score: Its test accuracy.
        **files: `config`: changes of the config; else the content of a file (`summary`, `errors`, `arch_weights`,
            `environment`, `genotype`, `history` of the retraining, `network`), None to leave it out.
    """
    config = config_of(root, seed, optimizer, **files.pop("config", {}))
    folder = Path(config.save)
    (folder / "search").mkdir(parents=True)
    (folder / "eval").mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
    told = summary(seed=seed, optimizer=optimizer, score=score, test_accuracy=score, run_folder=str(folder))
    contents = {
        "summary": told, "errors": errors(), "arch_weights": alphas(), "environment": environment(),
        "genotype": {"search_space": "nasbench201", "genotype": GENOTYPE, "code": list(CODE)},
        "history": retraining(), "network": network_record(), **files,
    }  # fmt: skip
    for name, content in contents.items():
        if content is not None:
            path = folder / ("eval" if name in ("history", "network") else "") / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_black_box(root: Path, seed: int = 1, trials: int = 12, n_objectives: int = 2, **changes: Any) -> Path:
    """Write a run folder of a search that trained its trials, and return it.

    Trial i has the accuracy 50 + (7 i mod 12) and 1 + (5 i mod 12) parameters; the third one failed.
    """
    folder = write_run(root, seed, "random_search", errors=None, arch_weights=None, **changes)
    objectives = (Objective("accuracy", True, "%"), Objective("params", False, "M"))[:n_objectives]
    with SqliteHistory(folder / "history.sqlite") as history:
        history.describe(objectives, {"evaluator": "TrainEvaluator", "epochs": 2})
        for number in range(trials):
            trial = Trial(number, (0, number % 5, 1, 1, 1, 1), fidelity=2).started()
            if number == 2:
                history.add(trial.failed("it diverged", 1.0))
                continue
            values = (50.0 + 7 * number % 12, 1.0 + 5 * number % 12)[:n_objectives]
            history.add(trial.completed(values, 2.0, {"curve": [40.0, values[0]]}))
    return folder
