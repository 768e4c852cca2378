"""benchmarks.neural_searches: searches are kept one by one, and summed up right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_files import data_file

from benchmarks import blackbox, neural_searches
from benchmarks.blackbox import Row
from naslib.optimizers import OPTIMIZERS

FILE = data_file("nb101.npz")


def rows_of(method: str, errors: list[float]) -> list[Row]:
    return [
        Row("cifar10", method, count, seed, 100 - error, 100 - error, 2.0)
        for seed, error in enumerate(errors)
        for count in neural_searches.COUNTS
    ]


def test_the_tables() -> None:
    rows = [*rows_of("random", [6.0, 7.0]), *rows_of("nao", [5.5, 6.25]), *rows_of("seminas", [6.0])]
    first, _, *lines = neural_searches.table(rows).splitlines()
    assert first.startswith("| method | seeds | 50 evaluations")
    # two standard errors: the deviation is .75 / sqrt 2, so that they are .75
    assert lines[0] == f"| nao | 2 | {' | '.join(['5.875 ± 0.750'] * 3)} | 6.250 | 2.0 |"
    assert [line.split(" | ")[0] for line in lines] == ["| nao", "| seminas", "| random"]
    pairs = neural_searches.pairs_table(rows).splitlines()[2:]
    assert pairs == ["| nao | random | 2 | 0.625 ± 0.250 | 2 |", "| seminas | nao | 1 | -0.500 ± 0.000 | 0 |"]


def test_every_setting_is_one_of_its_method() -> None:
    for name, keywords in neural_searches.METHODS.values():
        kind: Any = OPTIMIZERS.get(name)
        kind(**keywords)  # raises for an unknown keyword
    assert {name for pair in neural_searches.PAIRS for name in pair} <= set(neural_searches.METHODS)


@pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
def test_a_stopped_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(neural_searches, "FILE", tmp_path / "found.csv")
    words = ["--data", str(FILE.parent), "--write", "--methods", "random", "evolution"]
    assert neural_searches.main([*words, "--seeds", "1"]) == 0
    first = (tmp_path / "found.csv").read_text()
    assert neural_searches.main([*words, "--seeds", "2"]) == 0
    assert (tmp_path / "found.csv").read_text().startswith(first)
    rows = blackbox.read(tmp_path / "found.csv")
    assert len(rows) == 2 * 2 * 3 and {row.seed for row in rows} == {0, 1}
    assert "| evolution | 2 |" in capsys.readouterr().out
