"""The share of their time that workers are busy."""

from __future__ import annotations

import pytest

from benchmarks.executors import Row, busy_share, main, measure, table
from benchmarks.row_files import append_records


def test_the_share_by_hand():
    """Worker 1 begins at 2; the last trial begins at 10. Between, worker 0 is busy 2-6 and 8-10, worker 1 2-10."""
    spans = [(0, 0.0, 6.0), (1, 2.0, 10.0), (0, 8.0, 11.0), (1, 10.0, 14.0)]
    assert busy_share(spans, 2) == (2.0, pytest.approx((4 + 2 + 8) / 16))
    assert busy_share([(0, 0.0, 1.0), (1, 0.0, 3.0), (0, 1.0, 2.0), (0, 2.0, 9.0)], 2) == (0.0, 1.0)


def test_a_search_in_this_process_is_measured():
    row = measure("serial", "random_search", "by_number", 1, 5, 0.01)
    assert (row.executor, row.trials, row.workers) == ("serial", 5, 1) and 0.0 < row.busy <= 1.0


def test_it_has_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--usual" in capsys.readouterr().out


def test_the_table(tmp_path):
    rows = [
        Row("ray", "nsga2", tell, 4, 60, 2.0, seconds, busy, 1.0)
        for tell, seconds, busy in (("by_number", 32.0, 0.425), ("by_arrival", 18.0, 0.999))
    ]
    append_records(Row, rows, tmp_path / "a.csv")
    assert table(tmp_path / "a.csv").splitlines()[2:] == ["| ray | `nsga2` | 4, 60 | 42.5 % | 99.9 % | 30.0 | 16.0 |"]
