"""The comparison of predictors on NAS-Bench-201: what is drawn, what came out, and the bars that it was to reach."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from data_files import data_file

from benchmarks import encodings, predictors

BARS = {
    ("proxies", "100"): (0.950, 0.808),
    ("proxies", "400"): (0.963, 0.840),
    ("all", "100"): (0.869, 0.0),
    ("all", "400"): (0.942, 0.0),
}


@pytest.mark.parametrize(("setting", "labels"), list(BARS))
def test_the_best_predictor_is_above_the_bars(setting, labels):
    with predictors.FILE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["setting"], row["labels"]) == (setting, labels)]
    own = [row for row in rows if row["predictor"] == "graf"]
    assert sorted(int(row["seed"]) for row in own) == list(range(8))
    for field, least in zip(("spearman", "kendall"), BARS[setting, labels], strict=True):
        assert np.mean([float(row[field]) for row in own]) > least


@pytest.mark.skipif(not data_file("nb201_proxies_full.npz").is_file(), reason="nb201_proxies_full.npz is not here")
def test_what_was_written_is_what_is_measured():
    data = predictors.load(data_file("nb201.npz").parent)
    assert len(data.pools["live"]) == 9445 and len(data.pools["all"]) == 15625
    assert np.isfinite(data.proxies[data.pools["live"]]).all() and data.proxies.shape[1] == 13
    found = predictors.measured(data, "all", 100, "graf", seed=0)
    with predictors.FILE.open(encoding="utf-8") as file:
        written = next(row for row in csv.DictReader(file) if _is_row(row, "all", "100", "graf", "0"))
    assert found["spearman"] == pytest.approx(float(written["spearman"]), abs=0.01)
    assert found["kendall"] == pytest.approx(float(written["kendall"]), abs=0.015)


def _is_row(row, *wanted):
    return tuple(row[field] for field in ("setting", "labels", "predictor", "seed")) == wanted


def test_the_table_has_means_over_seeds():
    rows = [
        {
            "setting": "all",
            "labels": 100,
            "predictor": "et",
            "seed": seed,
            "spearman": value,
            "kendall": 0.5,
            "seconds": 1,
        }
        for seed, value in enumerate((0.8, 0.9))
    ]
    last = predictors.table(rows).splitlines()[-1]
    assert last == "| 15,625 | 100 | `et` | 0.8500 ± 0.0500 | 0.5000 ± 0.0000 | 1.0 | 2 |"


def test_the_speed_of_encodings_is_printed(capsys):
    assert encodings.main(["--codes", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[2].startswith("| nasbench201 |")
