"""benchmarks.modnas: shares by hand, the best subnets against all of a stage, and the table."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks import modnas
from benchmarks.best_front import BestFront
from benchmarks.many_devices import SIX, Subnets
from benchmarks.modnas import Row


def test_shares_are_of_the_best_front_above_its_worst_with_slack() -> None:
    merits = np.array([[90.0, -4.0], [80.0, -2.0], [70.0, -3.0], [90.0, -5.0]])
    truth = BestFront.of(merits)
    assert truth.front.tolist() == [[90.0, -4.0], [80.0, -2.0]]
    assert truth.reference == pytest.approx((79.5, -4.1))
    assert truth.volume == pytest.approx(10.5 * 0.1 + 0.5 * 2.0)
    assert truth.share(np.array([[80.0, -2.0], [70.0, -1.0]])) == pytest.approx(0.5 * 2.1 / 2.05)


def test_the_best_subnet_is_the_best_of_all_stages() -> None:
    gains = np.random.default_rng(0).standard_normal((5, 9, 3))
    code = Subnets._best(object.__new__(Subnets), gains.ravel())
    for stage, rows in enumerate(gains):
        best, found = -np.inf, ()
        for depth in range(3):
            blocks = rows[1 : 1 + 2 * (depth + 2)]
            for picks in product(range(3), repeat=len(blocks)):
                value = rows[0, depth] + sum(block[pick] for block, pick in zip(blocks, picks, strict=True))
                if value > best:
                    best, found = value, (depth, *picks, *(-1,) * (8 - len(picks)))
        assert code[9 * stage : 9 * stage + 9] == found


def test_the_table_has_every_device_and_means() -> None:
    rows = [
        Row("nasbench201", "validation", method, 300, seed, device, learned, found + 0.01 * seed, 0.5, 9.0)
        for seed in (0, 1)
        for method, found in (("random", 0.9), ("modnas", 0.97))
        for device, learned in ((SIX[0], 1), (SIX[1], 1), ("pixel3", 0), ("v100_1", 0))
    ]
    rows += [replace(row, evaluations=600, found=0.0) for row in rows]  # another budget is another table
    lines = modnas.table("nasbench201", rows).splitlines()[2:]
    figures = "| 2 | 0.905 | 0.975 | 0.970 | 0.500 |"
    assert lines == [
        f"| validation | {SIX[0]} {figures}",
        f"| validation | {SIX[1]} {figures}",
        f"| validation | mean of the 2 {figures}",
        f"| validation | mean of 2 held out {figures}",
    ]
    assert len(set(SIX)) == 6 and modnas.table("ofa", rows).count("\n") == 1
