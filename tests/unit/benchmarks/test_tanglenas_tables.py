"""The tables of TangleNAS: rows, units, and what they cannot answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from naslib.benchmarks import TangleNASCellTable, TangleNASMacroTable, get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

FILE = data_file("tanglenas_toy.npz")
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
TEST = Metric.TEST_ACCURACY


@pytest.fixture(scope="module")
def cell() -> TangleNASCellTable:
    return TangleNASCellTable(FILE)


def test_rows_are_those_of_the_file(cell: TangleNASCellTable) -> None:
    with np.load(FILE) as file:
        names = [str(name) for name in file["cell_ops"]]
        arch, accuracy, latency = file["cell_arch"], file["cell_test_acc"], file["cell_latency_gpu_mean"]
    assert names == ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
    for row in (0, 1, 17, 4095):
        code = tuple(arch[row].tolist())
        assert cell.code_of(row) == code and cell.index_of(code) == row
        assert cell.query(code, TEST, "fashion_mnist") == accuracy[row]
        assert cell.query(code, Metric.LATENCY, "fashion_mnist") == pytest.approx(float(latency[row]) / 1000)
        record = cell.query(code, Metric.RAW)
        assert record["index"] == row and record["cell_arch"] == list(code)
        assert json.dumps(record)
    both = cell.query_batch(arch.astype(int), TEST, "Fashion-MNIST")
    assert both.dtype == np.float64 and np.array_equal(both, accuracy.astype(np.float64))
    assert both.min() == pytest.approx(86.06, abs=5e-3) and both.max() == pytest.approx(91.63, abs=5e-3)


def test_reduction_cells_count_twice_in_the_latency(cell: TangleNASCellTable) -> None:
    """Why the first three numbers are the normal cell: there is one of it, and two reduction cells."""
    codes = cell.codes
    slow = {gene: [] for gene in range(6)}
    latency = cell.query_batch(codes, Metric.LATENCY, "fashion_mnist")
    for gene, column in slow.items():
        dilated, separable = latency[codes[:, gene] == 2], latency[codes[:, gene] == 0]
        column.append(float(separable.mean() - dilated.mean()))
    assert min(slow[gene][0] for gene in (3, 4, 5)) > 1.5 * max(slow[gene][0] for gene in (0, 1, 2))


def test_all_metrics_of_an_architecture(cell: TangleNASCellTable) -> None:
    found = cell.query((0,) * 6, Metric.ALL, "fashion_mnist")
    assert set(found) == {"test_accuracy", "train_accuracy", "parameters", "latency"}
    assert found["parameters"] == pytest.approx(0.198826)
    assert cell.has(Metric.ALL, "fashion_mnist") and cell.has(Metric.RAW) and not cell.has(Metric.VAL_ACCURACY)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((Metric.VAL_ACCURACY, "fashion_mnist"), "no VAL_ACCURACY .it has: TEST_ACCURACY"),
        ((TEST, "cifar10"), "no data set 'cifar10'"),
        ((TEST, "fashion_mnist", 12), "after 200 epochs"),
        ((TEST, "fashion_mnist", -1, True), "no learning curves"),
    ],
)
def test_what_is_not_there_is_refused(cell: TangleNASCellTable, arguments: tuple, words: str) -> None:
    with pytest.raises(BenchmarkError, match=words):
        cell.query((0,) * 6, *arguments)
    assert not cell.has(*arguments[:3]) or arguments[3:]


@pytest.mark.parametrize("code", [(0,) * 5, (0, 0, 0, 0, 0, 4), (0, 0, 0, 0, 0, -1), (0.5,) * 6, (True,) * 6])
def test_another_code_is_refused(cell: TangleNASCellTable, code: tuple) -> None:
    with pytest.raises(ArchitectureError, match="6 ints, each from 0 to 3"):
        cell.query(code, TEST, "fashion_mnist")


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataMissing):
        TangleNASMacroTable(tmp_path / "tanglenas_toy.npz")
    np.savez(tmp_path / "tanglenas_toy.npz", macro_channels=np.zeros((2, 4)), macro_kernels=np.full((2, 4), 3))
    with pytest.raises(BenchmarkError, match="is not a compact TangleNAS table"):
        TangleNASMacroTable(tmp_path / "tanglenas_toy.npz")


def test_they_are_found_by_the_name_of_the_space() -> None:
    assert isinstance(get_dataset_api("tanglenas_cell", "fashion-mnist", FILE.parent), TangleNASCellTable)
    assert isinstance(get_dataset_api("tanglenas_macro", "cifar10", FILE.parent), TangleNASMacroTable)
    with pytest.raises(BenchmarkError, match="no data set"):
        get_dataset_api("tanglenas_macro", "digits", FILE.parent)
