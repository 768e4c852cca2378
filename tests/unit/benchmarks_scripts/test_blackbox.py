"""benchmarks.blackbox: searches are repeated exactly, kept one by one, and summed up right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from benchmarks import blackbox
from benchmarks.blackbox import Row

FILE = data_file("nb201.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")


@needs_file
def test_a_stopped_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blackbox, "RESULTS", tmp_path)
    words = ["nb201", "--data", str(FILE.parent), "--datasets", "cifar10", "--evaluations", "5", "20", "--write"]
    words += ["--methods", "random", "local search", "bananas"]
    assert blackbox.main([*words, "--seeds", "1"]) == 0
    first = (tmp_path / "blackbox-nb201.csv").read_text()
    assert blackbox.main([*words, "--seeds", "2"]) == 0
    rows = blackbox.read(tmp_path / "blackbox-nb201.csv")
    assert (tmp_path / "blackbox-nb201.csv").read_text().startswith(first)
    assert len(rows) == 2 * 3 * 2 and {row.seed for row in rows} == {0, 1}
    (tmp_path / "blackbox-nb201.csv").unlink()
    assert blackbox.main([*words, "--seeds", "2"]) == 0
    again = blackbox.read(tmp_path / "blackbox-nb201.csv")
    assert [(row.method, row.seed, row.guide, row.test) for row in again] == [
        (row.method, row.seed, row.guide, row.test) for row in rows
    ]
    ends = {(row.method, row.seed): row.guide for row in rows if row.evaluations == 20}
    starts = {(row.method, row.seed): row.guide for row in rows if row.evaluations == 5}
    assert all(ends[key] >= starts[key] for key in starts)
    assert ends["bananas", 0] > ends["random", 0]


@needs_file
def test_seconds_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blackbox, "RESULTS", tmp_path)
    words = ["seconds", "--data", str(FILE.parent), "--seeds", "2", "--budget", "1200", "--write"]
    words += ["--methods", "random"]
    assert blackbox.main(words) == 0
    rows = blackbox.read(tmp_path / "blackbox-seconds.csv")
    assert len(rows) == 6 and all(5 <= row.evaluations <= 16 for row in rows)  # some 110 s each
    assert {row.dataset for row in rows if row.seed == 1} == set(blackbox.DATASETS)


def test_the_tables() -> None:
    datasets = zip(blackbox.DATASETS, (91.60667, 73.0, 46.7333), strict=True)
    rows = [Row(dataset, "random", 30, seed, guide, 50.0 + seed, 0.5) for dataset, guide in datasets for seed in (0, 1)]
    line = blackbox.nb201_table(rows).splitlines()[2]
    spread = "50.50 ± 0.71"
    cells = f"{spread} | {spread} | {spread}"
    assert line == f"| 30 | random | 2 | {cells} | 91.61 / 73.00 / 46.73 | 100% / 0% / 100% | 0.50 |"
    found = blackbox.seconds_table(rows).splitlines()[2]
    assert found == f"| random | 2 | 30 | {spread} (1.00) | {spread} (1.00) | {spread} (1.00) |"
    both = [("a", 93.0), ("b", 94.0)]
    rows = [Row("cifar10", name, 150, seed, 0.0, test - seed, 2.0) for name, test in both for seed in (0, 1)]
    assert blackbox.nb101_table(rows).splitlines()[2:] == [
        "| b | 2 | 6.500 ± 0.707 | 7.000 | 2.0 |",
        "| a | 2 | 7.500 ± 0.707 | 8.000 | 2.0 |",
    ]


def test_what_was_kept_keeps_what_is_said_of_it() -> None:
    """The bars of the searches of NAS-Bench-201, on the rows that the page quotes."""
    rows = [row for row in blackbox.read(blackbox.path_of("nb201")) if row.method == "bananas"]
    late = [row for row in rows if row.evaluations == 150]
    assert len(late) >= 3 and all(blackbox.is_best(row) for row in late if row.dataset != "ImageNet16-120")
    early = [row for row in rows if row.evaluations == 30]
    means = [np.mean([row.test for row in early if row.dataset == name]) for name in blackbox.DATASETS]
    assert all(mean > bar for mean, bar in zip(means, (94.12, 72.27, 46.03), strict=True))


@pytest.mark.parametrize(
    ("method", "random", "evolution"),
    [
        ("la_mcts, linear", (0.43, 1.76, 1.19), (0.04, 0.17, 0.23)),
        ("la_mcts, svm", (0.31, 0.73, 0.78), (-0.07, -0.86, -0.18)),
    ],
)
def test_what_the_docs_say_of_regions_is_what_was_measured(
    method: str, random: tuple[float, ...], evolution: tuple[float, ...]
) -> None:
    rows = [row for row in blackbox.read(blackbox.path_of("nb201")) if row.evaluations == 150]
    found = {(row.dataset, row.method, row.seed): row.guide for row in rows}
    for other, expected in (("random", random), ("evolution", evolution)):
        for dataset, gain in zip(blackbox.DATASETS, expected, strict=True):
            gains = [found[dataset, method, seed] - found[dataset, other, seed] for seed in range(50)]
            assert float(np.mean(gains)) == pytest.approx(gain, abs=0.0051)
