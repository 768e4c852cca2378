"""benchmarks.multi_fidelity: what a search may spend, what is kept, and the table of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_files import data_file

from benchmarks import multi_fidelity
from benchmarks.multi_fidelity import Row

FILE = data_file("spikenas.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")


@needs_file
def test_searches_of_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi_fidelity, "RESULTS", tmp_path)
    monkeypatch.setattr(multi_fidelity, "BUDGET", 600)
    words = ["curves", "--data", str(FILE.parent), "--write", "--seeds", "2", "--methods", "random", "sh", "asha"]
    assert multi_fidelity.main([*words, "random, prediction"]) == 0
    rows = multi_fidelity.read(tmp_path / "multi-fidelity-curves.csv")
    assert len(rows) == 8 and all(row.spent <= 600 for row in rows)
    found = {(row.method, row.seed): row for row in rows}
    assert (found["random", 0].trials, found["random", 0].spent, found["random", 0].fidelity) == (6, 600.0, 100)
    # 81 at 1 epoch, 27 go on to 4, 9 to 11, 3 to 33, 1 to 100: 358 epochs; then 81, 27, 9, and 17 epochs are left
    assert found["sh", 0].trials == 121 + 117 and found["sh", 0].spent == 358 + 81 + 27 * 3 + 9 * 7
    assert multi_fidelity.main([*words, "random, prediction"]) == 0
    assert multi_fidelity.read(tmp_path / "multi-fidelity-curves.csv") == rows


def test_the_table() -> None:
    rows = [Row("asha", seed, 88.0 + seed, 87.0, 100, 10, 500.0, 0.25) for seed in (0, 1)]
    assert multi_fidelity.tabulated(rows).splitlines()[2] == (
        "| asha | 2 | 10 | 88.50 ± 0.71 (1.00) | 87.00 | 88.00 | 0.25 |"
    )
