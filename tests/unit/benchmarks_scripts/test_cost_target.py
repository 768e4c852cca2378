"""benchmarks.cost_target: the table of rows that are written out, and one short search whose costs are counted."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import cost_target


def test_the_table_says_how_far_off_each_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_target, "FILE", tmp_path / "rows.csv")
    rows = [
        ("latency", "ms", 10.0, 12.0, 11.0, 10.05, 10.92, 1.05, "cpu", 4, 8, 0.2, 1),
        ("macs", "M", 8.0, 9.0, 7.5, 7.96, 7.96, "", "cpu", 4, 8, -0.1, 1),
    ]
    cost_target.append(cost_target.FILE, cost_target.FIELDS, rows)
    lines = cost_target.table().splitlines()
    assert lines[2] == "| latency, ms | 10 | 12 | 11 | 10.05 | +0.5 % | 10.92 | +9.2 % | +4.0 % |"
    assert lines[3] == "| macs, M | 8 | 9 | 7.5 | 7.96 | -0.5 % | counted |  |  |"


@pytest.mark.slow
def test_counted_targets_are_met() -> None:
    given = argparse.Namespace(
        metrics=["macs"], cells=2, channels=4, epochs=1, steps=1, rounds=1, calibrate=3, tolerance=0.02, clock="cpu",
        seed=1,
    )  # fmt: skip
    rows = cost_target.run(given)
    assert len(rows) == 3 and len({row[2] for row in rows}) == 3
    assert all(abs(row[5] / row[2] - 1) <= 0.02 and row[6] == row[5] and row[7] == "" for row in rows)
