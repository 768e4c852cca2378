"""Stratified splits."""

from __future__ import annotations

import numpy as np
import pytest

from naslib.data.splits import stratified_counts, stratified_split
from naslib.errors import ConfigError, DataError


def largest_remainder(counts: list[int], portion: float) -> list[int]:
    """Share by hand, in exact arithmetic."""
    from fractions import Fraction

    share = Fraction(str(portion))
    taken = [int(share * count) for count in counts]
    missing = int(share * sum(counts) + Fraction(1, 2)) - sum(taken)
    rest = [share * count - given for count, given in zip(counts, taken, strict=True)]
    for index in sorted(range(len(counts)), key=lambda i: (-rest[i], i))[:missing]:
        taken[index] += 1
    return taken


@pytest.mark.parametrize("portion", [0.0, 0.1, 0.2, 0.25, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("counts", [[10, 10], [7, 3, 5], [1, 1, 1, 1, 1], [100, 1], [178, 182, 177, 183, 181, 0, 4]])
def test_counts_are_largest_remainder(counts: list[int], portion: float) -> None:
    assert stratified_counts(counts, portion).tolist() == largest_remainder(counts, portion)


def test_split_is_a_partition_exact_per_class() -> None:
    labels = np.random.default_rng(0).integers(0, 7, 1000)
    first, second = stratified_split(labels, 0.3, 5)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(1000))
    expected = largest_remainder(np.bincount(labels).tolist(), 0.3)
    assert np.bincount(labels[first], minlength=7).tolist() == expected


def test_split_depends_on_seed_alone() -> None:
    labels = np.arange(200) % 5
    same = [stratified_split(labels, 0.5, 3)[0].tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != stratified_split(labels, 0.5, 4)[0].tolist()


def test_split_is_the_same_on_every_platform() -> None:
    """Pin the numbers: a change would move the test images of every run that was made before."""
    first, _ = stratified_split(np.arange(20) % 2, 0.3, 0, "test")
    assert first.tolist() == [0, 8, 12, 15, 17, 19]


@pytest.mark.parametrize("portion", [-0.1, 1.1, float("nan")])
def test_portion_out_of_range(portion: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stratified_split(np.arange(4) % 2, portion, 0)


@pytest.mark.parametrize("labels", [np.zeros((2, 2), int), np.zeros(3), np.array([-1, 0])])
def test_labels_of_the_wrong_kind(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="labels must be"):
        stratified_split(labels, 0.5, 0)
