"""Controllers of the literature against random search: on a table, and with real training.

    python -m benchmarks.nas_rl table --data DIR --write      # NAS-Bench-201, 20 seeds
    python -m benchmarks.nas_rl digits --write --seeds 3      # convolutional networks of layers, trained on the digits

`table` searches by the validation accuracy on CIFAR-10 after 200 epochs; figures are those of the best architecture by
it, and the mean validation accuracy of the last 50 architectures that were proposed, which says what a controller has
learned. `digits` is `configs/nas_rl.yaml`, and random search in its place: 40 networks of two to five layers, each
trained for four epochs on one half of the digits and scored on the other; the best one is retrained and tested.

With `--write` every search is a row of `benchmarks/results/nas-rl-<what>.csv` as soon as it is over, and searches that
are there are not repeated. The tables of all that is there are printed at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from naslib import history
from naslib.benchmarks import get_dataset_api
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

from .harness import ROOT
from .records import RESULTS
from .row_files import append, read

# Architectures whose mean says what a controller has learned
LAST = {"table": 50, "digits": 10}
FIELDS = ("method", "evaluations", "seed", "best_valid", "test", "last_valid")
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("rs", {}),
    "nas_rl, 6e-4": ("nas_rl", {}),
    "nas_rl, 0.01": ("nas_rl", {"arch_learning_rate": 0.01}),
    "nas_rl, 0.01, softmax: own": ("nas_rl", {"arch_learning_rate": 0.01, "softmax": "own"}),
    "ppo, 0.005, softmax: own": ("ppo", {"arch_learning_rate": 0.005, "softmax": "own"}),
}
TRAINED = {"random": "random_search", "nas_rl": "nas_rl"}
# Keys of the config that random search does not have
OF_CONTROLLER = ("policy_batch", "arch_learning_rate", "initial_depth", "depth_step", "depth_interval", "last_epochs")


def search_table(method: str, seed: int, evaluations: int, data: str | None) -> tuple[float, float, float]:
    """Return best validation accuracy, its test accuracy, and the mean validation accuracy of the last ones."""
    name, keywords = METHODS[method]
    api = get_dataset_api("nasbench201", "cifar10", data)
    kind: Any = OPTIMIZERS.get(name)
    optimizer = kind(fidelity=200, **keywords)
    np.random.seed(seed)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=api)
    values = []
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
        values.append(float(api.query(optimizer.record.latest, Metric.VAL_ACCURACY, "cifar10", 200)))
    test = float(api.query(optimizer.record.incumbent, Metric.TEST_ACCURACY, "cifar10", 200))
    return max(values), test, float(np.mean(values[-LAST["table"] :]))


def search_digits(method: str, seed: int, evaluations: int, data: str | None) -> tuple[float, float, float]:
    """Return the same of a search that trains, in a process of its own."""
    config = yaml.safe_load((ROOT / "configs" / "nas_rl.yaml").read_text(encoding="utf-8"))
    config |= {"optimizer": TRAINED[method], "seed": seed}
    config["search"]["epochs"] = evaluations
    if method == "random":
        config["search"] = {key: value for key, value in config["search"].items() if key not in OF_CONTROLLER}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "config.yaml"
        path.write_text(yaml.safe_dump({**config, "out_dir": f"{place}/run"}), encoding="utf-8")
        words = [sys.executable, str(ROOT / "runner.py"), "--config", str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
        (summary,) = Path(place).glob("run/**/summary.json")
        found = json.loads(summary.read_text(encoding="utf-8"))
        values = [trial.values[0] for trial in history.load(summary.parent) if trial.values]
    return max(values), float(found["score"]), float(np.mean(values[-LAST["digits"] :]))


SEARCHES = {"table": search_table, "digits": search_digits}


def path_of(what: str) -> Path:
    """Return the file of a protocol."""
    return RESULTS / f"nas-rl-{what}.csv"


def table(what: str, rows: Sequence[dict[str, str]] | None = None) -> str:
    """Return what the searches found, one line per method: mean and standard deviation over seeds."""
    rows = read(path_of(what)) if rows is None else rows
    lines = [
        "| method | evaluations | seeds | best validation accuracy (%) | its test accuracy (%) "
        f"| mean of the last {LAST[what]} |",
        "|---|---|---|---|---|---|",
    ]
    for method, evaluations in dict.fromkeys((row["method"], row["evaluations"]) for row in rows):
        found = [row for row in rows if (row["method"], row["evaluations"]) == (method, evaluations)]
        cells = [_mean([float(row[key]) for row in found]) for key in ("best_valid", "test", "last_valid")]
        lines.append(f"| {method} | {evaluations} | {len(found)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.2f} ± {spread:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nas_rl", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=list(SEARCHES))
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--evaluations", type=int, help="of a search; 300 on the table, 40 on the digits")
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    options = parser.parse_args(arguments)
    known = list(METHODS if options.what == "table" else TRAINED)
    methods = options.methods or known
    if not set(methods) <= set(known):
        parser.error(f"--methods are some of {', '.join(map(repr, known))}")
    evaluations = options.evaluations or (300 if options.what == "table" else 40)
    path = path_of(options.what)
    rows = read(path) if options.write else []
    done = {(row["method"], row["evaluations"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for method in methods:
            if (method, str(evaluations), str(seed)) in done:
                continue
            found = SEARCHES[options.what](method, seed, evaluations, options.data)
            row = dict(zip(FIELDS, (method, str(evaluations), str(seed), *(f"{v:.4f}" for v in found)), strict=True))
            rows.append(row)
            if options.write:
                append(path, FIELDS, [row])
    print(table(options.what, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
