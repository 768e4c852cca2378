"""Numbers as the report writes them."""

from __future__ import annotations

import math
import statistics

import pytest

from naslib.report.amounts import amount, counted, duration, finite, listed, mean_and_std, number, score, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.0482, "0.0482"), (97.2, "97.2"), (1234.5678, "1235"), (12345.0, "12345"), (-0.5, "-0.5"),
        (1e-7, "1.000e-07"), (3.2e9, "3.200e+09"), (math.nan, "not recorded"), (math.inf, "not recorded"),
        (None, "not recorded"), ("7", "not recorded"), (True, "not recorded"), (100.0, "100"),
    ],
)  # fmt: skip
def test_number(value: object, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "40 ms"), (8.31, "8.3 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"),
     (11520, "3 h 12 min"), (None, "not recorded")],
)  # fmt: skip
def test_duration(seconds: float | None, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1162, "1,162"), (48234, "48.2 k"), (999_900, "1 M"), (88_753_150, "88.8 M")]
)
def test_amount(count: int, text: str):
    assert amount(count) == text


def test_means_are_those_of_statistics():
    values = [94.1, 93.5, 94.0, None, 92.9]
    known = [value for value in values if value is not None]
    mean, deviation, count = spread(values)
    assert (mean, count) == (pytest.approx(statistics.mean(known), abs=1e-12), 4)
    assert deviation == pytest.approx(statistics.stdev(known), abs=1e-12)
    assert mean_and_std(values, "%") == "93.62 ± 0.55 %"
    assert mean_and_std([2.5]) == "2.5" and mean_and_std([None]) == "not recorded" and spread([]) is None


def test_words():
    assert score(97.204, "%") == "97.20 %" and score(0.31254, "degrees") == "0.3125 degrees"
    assert counted(1, "epoch") == "1 epoch" and counted(12000, "image") == "12,000 images"
    assert (
        listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c" and listed(list("abcdefgh")).endswith("2 more")
    )
    assert finite(10**400) is None and finite(3) == 3.0
