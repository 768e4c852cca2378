"""A search against random architectures: what is drawn, and what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.zoo_search import Result, draw_architectures, main, table
from naslib.search_spaces import SimpleCellSearchSpace


def _result(name: str, score: float, maximize: bool) -> Result:
    return Result(name, score, "accuracy" if maximize else "perplexity", maximize, 0.5, 0.0, 1.0, "{}")


@pytest.mark.parametrize(("maximize", "better"), [(True, "1 of 3"), (False, "2 of 3")])
def test_the_table_knows_which_direction_is_better(maximize: bool, better: str):
    results = [_result("found", 90.0, maximize)]
    results += [_result(f"random {k}", score, maximize) for k, score in enumerate((80.0, 91.0, 96.0), 1)]
    text = table(results)
    assert f"better than {better}" in text
    assert "random: 89.00 ± 8.19" in text  # (80 + 91 + 96) / 3, sqrt((81 + 4 + 49) / 2)
    assert f"test {results[0].score_name}" in text


def test_architectures_drawn_are_distinct_and_the_same_for_a_seed():
    drawn = draw_architectures("digits_canvas.yaml", [], 3, seed=1)
    assert drawn == draw_architectures("digits_canvas.yaml", [], 3, seed=1)
    codes = set()
    for genotype in drawn:
        space = SimpleCellSearchSpace()
        space.set_spec(genotype)
        codes.add(space.get_code())
    assert len(codes) == 3


@pytest.mark.slow
def test_search_and_random_ones_end_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["search.epochs=1", "evaluation.epochs=1", "search_space_args={channels: 4}"]
    arguments = ["--config", "digits_canvas.yaml", "--random", "1", "--out-dir", str(tmp_path)]
    csv_file = tmp_path / "all.csv"
    assert main([*arguments, "--csv", str(csv_file), *words]) == 0
    first = capsys.readouterr().out
    assert first.count("| random") == 1 and "| found |" in first
    assert len(csv_file.read_text(encoding="utf-8").splitlines()) == 3
    assert main([*arguments, *words]) == 0 and capsys.readouterr().out == first  # finished runs are kept
