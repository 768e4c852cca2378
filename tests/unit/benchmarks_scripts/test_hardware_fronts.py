"""The fronts on six devices: the reference point, a short search, and the table."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import hardware_fronts
from naslib.registry.devices import devices_of
from tests.support.data_files import data_file

MISSING = [name for name in ("nb201.npz", "nb201_latency.npz") if not data_file(name).is_file()]


def test_devices_are_published() -> None:
    assert set(hardware_fronts.DEVICES) <= set(devices_of("nasbench201", "latency"))


@pytest.mark.skipif(bool(MISSING), reason=f"there is no {MISSING}")
def test_the_reference_is_the_worst_of_the_true_front_with_its_slack() -> None:
    table = hardware_fronts.Truth(str(data_file("nb201.npz").parent), "eyeriss")
    truth = table.best
    low, high = truth.front.min(0), truth.front.max(0)
    assert truth.reference == pytest.approx(1.05 * low - 0.05 * high)
    order = truth.front[np.argsort(truth.front[:, 0])]
    widths = np.diff(np.concatenate([[truth.reference[0]], order[:, 0]]))
    by_hand = float((widths * (order[:, 1] - truth.reference[1])).sum())
    assert truth.volume == pytest.approx(by_hand, rel=1e-9)
    assert truth.share(truth.front) == pytest.approx(1.0)
    found = hardware_fronts.searched(table, "random", 0, 40)
    assert 0.3 < truth.share(found) < 1.0
    assert np.array_equal(found, hardware_fronts.searched(table, "random", 0, 40))


def test_the_table_has_medians_and_worst_seeds() -> None:
    one = {"device": "fpga", "method": "nsga2", "evaluations": "300"}
    rows = [{**one, "share": share} for share in ("0.5", "0.9", "0.8")]
    rows += [{**one, "evaluations": "40", "share": "0.1"}]  # another budget is another table
    lines = hardware_fronts.table(rows).splitlines()
    assert lines[2:] == ["| `fpga`, FPGA | 3 |  | 0.8000 (0.5000) |  |  |"]
    assert hardware_fronts.table(rows, 40).splitlines()[2:] == ["| `fpga`, FPGA | 1 |  | 0.1000 (0.1000) |  |  |"]
