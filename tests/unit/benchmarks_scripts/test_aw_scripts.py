"""What the docs say of proposers and of surrogate steps is what the files of the runs hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import mepa, proposer

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", [mepa, proposer])
def test_the_table_is_made_from_the_results(script: object) -> None:
    table = script.table(script.RESULTS)  # type: ignore[attr-defined]
    assert table in PAGE and table.count("\n") >= 6


def test_a_proposer_is_measured_with_twenty_seeds_and_beats_random_search() -> None:
    rows = proposer.read(proposer.RESULTS)
    means = {}
    for name in {row["method"] for row in rows}:
        values = [float(row["best"]) for row in rows if row["method"] == name]
        assert len(values) == 20
        means[name] = sum(values) / 20
    assert means["proposer, untried_neighbours"] > means["random_search"] + 0.05
    assert means["la_mcts, linear"] > means["random_search"] + 0.05
