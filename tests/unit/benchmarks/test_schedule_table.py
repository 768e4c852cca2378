"""A table of several lengths of training, written by the test: what it has, and after how many epochs."""

from __future__ import annotations

import numpy as np
import pytest

from naslib.benchmarks.schedule_table import Column, ScheduleTable
from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric


class Toy(ScheduleTable):
    """Two networks: a curve of three epochs, separate trainings of 1 and 9, and a size."""

    name, title, datasets, file_name, size = "toy", "the toy", ("cifar10", "cifar100"), "toy.npz", 3

    def _read(self, file):
        curve = Column(np.array([[10.0, 20.0, 30.0], [11.0, 21.0, np.nan]]), (1, 2, 3), is_curve=True)
        apart = Column(np.array([[1.0, 9.0], [2.0, 8.0]]), (1, 9))
        sizes = Column(np.array([[0.5], [0.7]]))
        lost = Column(np.full((2, 1), np.nan), (9,))
        columns = (curve, apart, sizes, lost)
        metrics = (Metric.VAL_ACCURACY, Metric.TRAIN_TIME, Metric.PARAMETERS, Metric.TEST_ACCURACY)
        return file["codes"], {("cifar10", metric): column for metric, column in zip(metrics, columns, strict=True)}


@pytest.fixture
def toy(tmp_path):
    np.savez(tmp_path / "toy.npz", codes=[[0, 1], [1, 1]])
    return Toy(tmp_path / "toy.npz")


def test_what_it_says_at_an_epoch(toy):
    assert toy.query((0, 1), Metric.VAL_ACCURACY, "cifar10", 2) == 20.0
    assert toy.query((1, 1), Metric.TRAIN_TIME, "cifar10") == 8.0
    assert toy.query_batch([(1, 1), (0, 1)], Metric.VAL_ACCURACY, "cifar10", 1).tolist() == [11.0, 10.0]
    assert toy.query((0, 1), Metric.ALL, "cifar10", 9) == {"train_time": 9.0, "parameters": 0.5}
    assert toy.query((0, 1), Metric.ALL, "cifar10", 3) == {"val_accuracy": 30.0, "parameters": 0.5}
    assert toy.known_codes(Metric.VAL_ACCURACY, "cifar10") == [(0, 1)]
    assert toy.datasets == ("cifar10",) and not toy.knows("cifar100") and Toy.covers("CIFAR100")


@pytest.mark.parametrize("metric", [Metric.PARAMETERS, Metric.RAW, Metric.ALL])
@pytest.mark.parametrize("epoch", [0, -2, 4, 100])
def test_after_epochs_that_nothing_was_trained_for_there_is_no_answer(toy, metric, epoch):
    assert toy.has(metric, "cifar10") and toy.has(metric, "cifar10", 9)
    assert not toy.has(metric, "cifar10", epoch)
    with pytest.raises(BenchmarkError, match=rf"nothing on cifar10 after {epoch} epochs \(it has: 1, 2, 3, 9\)"):
        toy.query((0, 1), metric, "cifar10", epoch)


def test_what_was_not_measured_is_an_error_and_no_nan(toy):
    with pytest.raises(BenchmarkError, match="VAL_ACCURACY of an architecture was not measured by the toy"):
        toy.query((1, 1), Metric.VAL_ACCURACY, "cifar10", full_lc=True)
    assert toy.query((1, 1), Metric.VAL_ACCURACY, "cifar10", 2, full_lc=True) == [11.0, 21.0]
    assert not toy.has(Metric.TEST_ACCURACY, "cifar10")
    with pytest.raises(BenchmarkError, match="TEST_ACCURACY was measured of no architecture by the toy"):
        toy.known_codes(Metric.TEST_ACCURACY, "cifar10")
    with pytest.raises(ArchitectureError, match="none of the 2 architectures of the toy"):
        toy.query((7, 7), Metric.VAL_ACCURACY, "cifar10")
