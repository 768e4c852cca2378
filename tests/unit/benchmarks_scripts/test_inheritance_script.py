"""The tables of `benchmarks.inheritance`, of rows that are written out, and one short search."""

from __future__ import annotations

import pytest
import torch

from benchmarks import inheritance


def _row(arm: str, seed: int, *numbers: float) -> dict[str, str]:
    return dict(zip(inheritance.FIELDS["epochs"], map(str, (arm, seed, *numbers)), strict=True))


def test_a_table_pairs_the_seeds():
    rows = [_row("scratch", 0, 10, 20, 60, 90, 98), _row("scratch", 1, 12, 20, 60, 92, 98)]
    rows += [_row("morphism", 0, 93, 90, 91, 97, 98), _row("morphism", 1, 93, 90, 91, 95, 98)]
    lines = inheritance.table("epochs", rows).splitlines()
    assert len(lines) == 4
    assert lines[2] == (
        "| scratch | 2 | 11.00 ± 1.96 | 20.00 ± 0.00 | 60.00 ± 0.00 | 91.00 ± 1.96 | 98.00 ± 0.00 | -7.00 ± 1.96 |"
    )
    assert lines[3].endswith("| 96.00 ± 1.96 | 98.00 ± 0.00 | -2.00 ± 1.96 |")


def test_the_halves_of_the_digits_are_apart():
    train, valid = (loader.dataset.tensors[0] for loader in inheritance.loaders(3))
    assert len(train) == len(valid) == 719 and train.shape[1:] == (1, 8, 8)
    assert float(train.max()) == 1.0 and not torch.equal(train, valid)


@pytest.mark.slow
def test_the_large_network_begins_where_the_small_one_ended():
    before, *after = inheritance.train_arm("morphism", 0)
    assert before > 85 and len(after) == len(inheritance.LENGTHS)
