"""benchmarks.progressive and benchmarks.early_termination: searches on tables, what is kept, and what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import data_file

from benchmarks import early_termination, progressive

NB201, SPIKENAS = data_file("nb201.npz"), data_file("spikenas.npz")


@pytest.mark.skipif(not NB201.is_file(), reason=f"no {NB201.name} in the shared data directory")
def test_searches_that_widen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progressive, "RESULTS", tmp_path)
    monkeypatch.setattr(progressive, "EVALUATIONS", 50)
    words = ["nb201", "--data", str(NB201.parent), "--write", "--seeds", "1"]
    assert progressive.main([*words, "--methods", "random choice", "every cell", "random search"]) == 0
    rows = progressive.read(tmp_path / "progressive-nb201.csv")
    assert [row.method for row in rows] == ["random choice", "every cell", "random search"]
    for row in rows:
        assert row.best.split("/")[-1] == row.changes.split(":")[-1] and 60 < row.at(1) <= row.at(50) < 91.7
        assert row.at(50) == float(row.best.split("/")[1])
    assert progressive.main([*words, "--methods", "random choice"]) == 0
    assert progressive.read(tmp_path / "progressive-nb201.csv") == rows


def test_the_evaluations_that_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progressive, "EVALUATIONS", 10)
    monkeypatch.setattr(progressive, "MARKS", (10,))
    rows = [
        progressive.Row("mlp", 0, "90", "1:80/3:90", 1.0),
        progressive.Row("mlp", 1, "90", "1:80/5:90", 3.0),
        progressive.Row(progressive.BASELINE, 0, "85", "1:84/8:85", 0.5),
    ]
    assert progressive.evaluations_to(rows[:2], 85.0) == 3 and progressive.evaluations_to(rows[:2], 90.0) == 5
    assert progressive.evaluations_to(rows[:2], 90.1) is None
    assert [line.split("|")[-3].strip() for line in progressive.tabulated(rows).splitlines()[2:]] == ["3", "8"]


@pytest.mark.skipif(not SPIKENAS.is_file(), reason=f"no {SPIKENAS.name} in the shared data directory")
def test_early_termination_costs_fewer_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_termination, "RESULTS", tmp_path)
    monkeypatch.setattr(early_termination, "TRIALS", 30)
    words = ["spikenas", "--data", str(SPIKENAS.parent), "--write", "--seeds", "2", "--rules", "none", "prediction"]
    assert early_termination.main([*words, "--methods", "random", "q_learning"]) == 0
    rows = early_termination.read(tmp_path / "early-termination-spikenas.csv")
    found = {(row.method, row.rule, row.seed): row for row in rows}
    assert len(found) == 8 and found["random", "none", 0].epochs == found["q_learning", "none", 1].epochs == 3000
    for (_, rule, _), row in found.items():
        assert row.valid >= 0 and (row.stopped > 0) is (rule == "prediction") is (row.epochs < 3000)


def test_what_is_saved_and_lost() -> None:
    def row(rule: str, seed: int, epochs: int, valid: float) -> early_termination.Row:
        return early_termination.Row("random", rule, seed, epochs, 5, valid, 0.5, 0.25)

    rows = [row("none", 0, 100, 1.0), row("none", 1, 300, 2.0), row("median", 0, 40, 1.0), row("median", 1, 60, 2.5)]
    assert early_termination.tabulated(rows).splitlines()[3] == (
        "| random | median | 2 | 50 | 75 % | 5 | 1.750 | +0.250 (0.500) | 0.500 | 0.2 |"
    )
