"""The scripts that measure predictors: a row, a table, and what is not measured twice."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from benchmarks import learning_curves, neural_predictors
from benchmarks.learning_curves import Trainings
from naslib.predictors.measures import spearman
from naslib.search_spaces.core.query_metrics import Metric


def _trainings(folder: Path) -> Trainings:
    x, tops = np.arange(1, 13), np.random.default_rng(0).uniform(60, 95, 130)
    curves = tops[:, None] - 30 * x**-0.7
    return Trainings({Metric.VAL_ACCURACY: curves}, curves[:, -1], tops, [], (4, 8), 1000)


def test_curves_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(learning_curves, "SETS", {"made up": _trainings})
    names = {name: learning_curves.predictors("made up", _trainings(tmp_path))[name] for name in ("last value", "sotl")}
    monkeypatch.setattr(learning_curves, "predictors", lambda kind, trainings: names)
    out = tmp_path / "curves.csv"
    words = ["--data", str(tmp_path), "--out", str(out), "--seeds", "2", "--sets", "made up"]
    assert learning_curves.main(words) == 0 and learning_curves.main(words) == 0
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 2  # two predictors and the ridge, seeds, epochs
    assert {row["spearman"] for row in rows} == {"1.0000"} and {row["tested"] for row in rows} == {"30"}
    assert all(float(row["rmse"]) < 0.1 for row in rows if row["predictor"] == "ridge")
    assert "| ridge | 1.000 | 1.000 |" in capsys.readouterr().out


def test_every_predictor_of_curves_has_a_row():
    made = _trainings(Path())
    found = learning_curves.predictors("made up", made)
    assert set(found) == {"last value", "sotl", "sotle, 5 epochs", "lce", "lce_m", "lcsvr"}
    row = learning_curves.measure("made up", made, "lce", 8, 0)
    place = np.random.default_rng(0).permutation(130)[100:]
    predicted = found["lce"][0](0).query([(0,)] * 30, list(made.curves[Metric.VAL_ACCURACY][place][:, :8]))
    assert row["spearman"] == f"{spearman(made.worth[place], predicted):.4f}" and row["seed"] == 0


def test_neural_predictors_are_measured_on_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = data_file("nb201.npz")
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    quick = {
        "bonas": lambda seed: neural_predictors.BonasPredictor(space=neural_predictors.CODEC, seed=seed, epochs=40)
    }
    monkeypatch.setattr(neural_predictors, "PREDICTORS", quick)
    monkeypatch.setattr(neural_predictors, "N_TEST", 200)
    out = tmp_path / "neural.csv"
    words = ["--data", str(path.parent), "--out", str(out), "--seeds", "1", "--labels", "60"]
    assert neural_predictors.main(words) == 0 and neural_predictors.main(words) == 0
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["predictor"], row["labels"], row["seed"]) for row in rows] == [("bonas", "60", "0")]
    assert 0.3 < float(rows[0]["spearman"]) < 0.95
    assert neural_predictors.table(rows).splitlines()[0] == "| predictor | 60 labels | s of CPU |"
