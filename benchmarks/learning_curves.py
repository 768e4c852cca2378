"""How well learning-curve predictors rank trainings from their first epochs, on real curves.

    python -m benchmarks.learning_curves --data DIR            # appends to benchmarks/results/learning_curves.csv
    python -m benchmarks.learning_curves --data DIR --show     # the tables of what is there

`spikenas`: 100 epochs, ranks 1,000 cells by their test accuracy. `yang`: 600 epochs of the DARTS protocol, ranks 114
cells by their last accuracy. `nlp`: 50 epochs of recurrent cells on WikiText-2, ranks those not learned from by minus
their best validation loss. What learns has 100 finished trainings. What the file has already is not measured again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from naslib.predictors.base import Predictor
from naslib.predictors.curves import (
    EarlyStopping,
    LCEMPredictor,
    LCEPredictor,
    RidgeCurveModel,
    SoLosspredictor,
    SVR_Estimator,
)
from naslib.predictors.measures import kendall_tau_b, rmse, spearman
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

from .harness import ROOT
from .row_files import append, read

RESULTS = ROOT / "benchmarks" / "results" / "learning_curves.csv"
FIELDS = ("data", "epochs", "seed", "predictor", "tested", "spearman", "kendall", "rmse", "cpu_seconds")
N_TRAIN = 100
# Draws from posteriors are slow: so many curves are enough to rank
N_SLOW = 100


class Trainings(NamedTuple):
    """Real trainings.

    Attributes:
        curves: Curves by metric, `(n, t)`; the first metric is that of the ends.
        ends: What each comes to at the end, `(n,)`, in the metric of the first curves.
        worth: What is ranked, `(n,)`, larger is better.
        codes: The architectures, if they are codes of NAS-Bench-201's kind.
        epochs: How many epochs are seen.
        n_test: How many are ranked at most.
    """

    curves: dict[Metric, np.ndarray]
    ends: np.ndarray
    worth: np.ndarray
    codes: list[tuple[int, ...]]
    epochs: tuple[int, ...]
    n_test: int


def spikenas(folder: Path) -> Trainings:
    """Return SpikeNAS-Bench: validation accuracy of 100 epochs of 15,625 cells, in percent."""
    with np.load(folder / "spikenas.npz") as file:
        curves = file["valid_acc"] * 0.004
        codes = [tuple(row) for row in file["ops"].tolist()]
        return Trainings(
            {Metric.VAL_ACCURACY: curves}, curves[:, -1], file["test_acc"], codes, (5, 10, 20, 40, 60, 80), 1000
        )


def yang(folder: Path) -> Trainings:
    """Return 214 cells of the DARTS space, trained for 600 epochs: accuracy in percent."""
    with np.load(folder / "darts_trained.npz") as file:
        curves = file["yang_curves_600"] / 100
    return Trainings({Metric.VAL_ACCURACY: curves}, curves[:, -1], curves[:, -1], [], (50, 150, 300, 450, 550), 114)


def nlp(folder: Path) -> Trainings:
    """Return the trainings of NAS-Bench-NLP on WikiText-2 that neither crashed nor diverged: losses in nats."""
    with np.load(folder / "nb_nlp_wikitext2.npz") as file:
        train, valid = file["train_loss"].astype(np.float64), file["valid_loss"].astype(np.float64)
    kept = np.isfinite(train).all(1) & np.isfinite(valid).all(1) & (valid.max(1) < 20)
    valid, train = valid[kept], train[kept]
    return Trainings(
        {Metric.VAL_LOSS: valid, Metric.TRAIN_LOSS: train}, valid[:, -1], -valid.min(1), [], (5, 10, 20, 30, 40), 1000
    )


SETS: dict[str, Callable[[Path], Trainings]] = {"spikenas": spikenas, "yang": yang, "nlp": nlp}


def predictors(kind: str, trainings: Trainings) -> dict[str, tuple[Callable[[int], Predictor], Metric]]:
    """Return the predictors that a set of trainings is measured with, and what each looks at."""
    first = next(iter(trainings.curves))
    final = trainings.curves[first].shape[1]
    sums = Metric.TRAIN_LOSS if Metric.TRAIN_LOSS in trainings.curves else first
    found: dict[str, tuple[Callable[[int], Predictor], Metric]] = {
        "last value": (lambda seed: EarlyStopping(first), first),
        "sotl": (lambda seed: SoLosspredictor(sums, "SoTL"), sums),
        "sotle, 5 epochs": (lambda seed: SoLosspredictor(sums, "SoTLE", epochs=5), sums),
        "lce": (lambda seed: LCEPredictor(first, final_epoch=final), first),
        "lce_m": (lambda seed: LCEMPredictor(first, final_epoch=final, burn_in=100, steps=100, seed=seed), first),
        "lcsvr": (lambda seed: SVR_Estimator(first, n_hypers=100, seed=seed), first),
    }
    if sums is not first:
        found["sotle"] = (lambda seed: SoLosspredictor(sums, "SoTLE"), sums)
    if trainings.codes:
        found["lcsvr, architecture"] = (
            lambda seed: SVR_Estimator(
                first, n_hypers=100, seed=seed, space=NasBench201Codec(), encoding_type="adjacency_one_hot"
            ),
            first,
        )
    return found


def measure(kind: str, trainings: Trainings, name: str, epochs: int, seed: int) -> dict[str, Any]:
    """Return one row: a predictor after so many epochs, on the split of a seed."""
    place = np.random.default_rng(seed).permutation(len(trainings.worth))
    n_test = min(N_SLOW if name == "lce_m" else trainings.n_test, len(place) - N_TRAIN)
    train, test = place[:N_TRAIN], place[N_TRAIN : N_TRAIN + n_test]
    codes = trainings.codes or [(0,)] * len(place)
    first = next(iter(trainings.curves))
    sign = 1 if first.maximize else -1
    begun = time.process_time()
    if name == "ridge":
        model = RidgeCurveModel()
        seen = trainings.curves[first][:, :epochs]
        model.fit(list(trainings.curves[first][train]), trainings.ends[train])
        found = sign * np.array([model.predict(curve)[0] for curve in seen[test]])
    else:
        make, metric = predictors(kind, trainings)[name]
        predictor, seen = make(seed), trainings.curves[metric][:, :epochs]
        predictor.fit([codes[k] for k in train], sign * trainings.ends[train], list(seen[train]))
        found = predictor.query([codes[k] for k in test], list(seen[test]))
    seconds = time.process_time() - begun
    true, ends = trainings.worth[test], sign * trainings.ends[test]
    figures = (spearman(true, found), kendall_tau_b(true, found))
    error = "" if name.startswith("sotl") else f"{rmse(ends, found):.4f}"
    row = (kind, epochs, seed, name, n_test, *(f"{x:.4f}" for x in figures), error, f"{seconds:.2f}")
    return dict(zip(FIELDS, row, strict=True))


def table(rows: Sequence[dict[str, str]], kind: str) -> str:
    """Return the mean Spearman correlation over the seeds, a line per predictor, a column per number of epochs."""
    own = [row for row in rows if row["data"] == kind]
    epochs = sorted({int(row["epochs"]) for row in own})
    lines = [f"| `{kind}`, epochs seen | " + " | ".join(map(str, epochs)) + " |", "|---" * (1 + len(epochs)) + "|"]
    for name in dict.fromkeys(row["predictor"] for row in own):
        cells = []
        for count in epochs:
            kept = [float(r["spearman"]) for r in own if r["predictor"] == name and int(r["epochs"]) == count]
            cells.append(f"{np.mean(kept):.3f}" if kept else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is not in the file yet, or show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=3, help="splits, from 0 on; lce_m has the first alone")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--only", nargs="+", help="some of the predictors")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print the tables and measure nothing")
    given = parser.parse_args(words)
    rows = read(given.out)
    done = {(row["data"], int(row["epochs"]), int(row["seed"]), row["predictor"]) for row in rows}
    for kind in [] if given.show else given.sets:
        trainings = SETS[kind](given.data)
        names = [*predictors(kind, trainings), "ridge"]
        for name in names if given.only is None else [name for name in names if name in given.only]:
            for seed in range(1 if name == "lce_m" else given.seeds):
                for epochs in trainings.epochs:
                    if (kind, epochs, seed, name) in done:
                        continue
                    row = {key: str(value) for key, value in measure(kind, trainings, name, epochs, seed).items()}
                    append(given.out, FIELDS, [row])
                    rows.append(row)
    for kind in dict.fromkeys(row["data"] for row in rows):
        print(table(rows, kind), end="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
