"""What the benchmark of networks that grow says of its rows."""

from __future__ import annotations

import math

from benchmarks.growing import read, table


def _row(seed: int, way: str, test: float, curve: str, epochs: int = 5) -> dict[str, str]:
    return {"seed": str(seed), "way": way, "test": str(test), "curve": curve, "own_epochs": str(epochs)}


def test_the_table_pairs_seeds(tmp_path) -> None:
    rows = [
        _row(1, "inherited", 98.0, "90.0 98.0"), _row(1, "scratch, 2 x", 95.0, "10.0 95.0", 10),
        _row(2, "inherited", 97.0, "80.0 97.0"), _row(2, "scratch, 2 x", 96.0, "20.0 96.0", 10),
    ]  # fmt: skip
    *_, inherited, scratch = table(rows).splitlines()
    assert inherited == "| inherited | 5 | 2 | 97.50 ± 0.71 | 85.00 |  |"
    half = 1.96 * math.sqrt(2) / math.sqrt(2)  # differences 3 and 1: standard deviation sqrt(2), of two seeds
    assert scratch == f"| scratch, 2 x | 10 | 2 | 95.50 ± 0.71 | 15.00 | +2.00 ± {half:.2f} |"
    assert read(tmp_path / "none.csv") == []
