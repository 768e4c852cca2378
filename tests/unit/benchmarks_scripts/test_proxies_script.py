"""What the docs say of proxies on real architectures is what the file of the run holds."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from data_files import data_file

from benchmarks import proxies

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "benchmarks" / "results" / "proxies-nasbench201.csv"
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_table_is_made_from_the_results() -> None:
    table = data_file("nb201_proxies_full.npz")
    if not table.is_file():
        pytest.skip(f"{table.name} is not here")
    assert proxies.report(table.parent, RESULTS) in PAGE


def test_the_bars_are_met() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith(("| synflow | ", "| nwot | "))]
    measured = {row[0].strip("| "): (int(row[1].split(" of ")[0]), float(row[2])) for row in rows if " of " in row[1]}
    assert measured["synflow"][0] >= 200
    assert measured["synflow"][1] >= 0.73
    assert measured["nwot"][0] >= 200
    assert measured["nwot"][1] >= 0.77


def test_parameters_are_exact() -> None:
    """By the closed form 72,656 + 650 + 28,000 n1 + 243,040 n3, of which every value must be one."""
    sizes = {(73_306 + 28_000 * n1 + 243_040 * n3) / 1e6 for n1 in range(7) for n3 in range(7 - n1)}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        found = [float(row["value"]) for row in csv.DictReader(file) if row["proxy"] == "params"]
    assert len(found) >= 200
    assert set(found) <= sizes
