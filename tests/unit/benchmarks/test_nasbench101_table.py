"""The NAS-Bench-101 table: the hash finds the row of every cell."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from data_files import data_file

from naslib.benchmarks import NasBench101Table, get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.evaluators.table import TableEvaluator
from naslib.history import Trial
from naslib.search_spaces import NasBench101SearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench101.cells import all_cells, dag_of
from naslib.search_spaces.nasbench101.network import count_parameters

FILE = data_file("nb101.npz")
PROXIES = data_file("zc_naslib.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")


@pytest.fixture(scope="module")
def table() -> NasBench101Table:
    return NasBench101Table(FILE)


@needs_file
def test_rows_are_found_by_the_hash_and_have_the_parameters_of_their_network(table: NasBench101Table) -> None:
    assert len(table) == 423_624
    for row in np.random.default_rng(0).choice(len(table), 300, replace=False).tolist():
        code = table.code_of(row)
        assert table.index_of(code) == row
        assert count_parameters(dag_of(code)) == round(table.query(code, Metric.PARAMETERS, "cifar10") * 1e6)
    cells = all_cells()
    rows = {table.index_of(cells[index]) for index in Random(1).sample(range(len(cells)), 300)}
    assert len(rows) == 300


@needs_file
@pytest.mark.slow
def test_every_cell_has_a_row_of_its_own_and_its_parameters(table: NasBench101Table) -> None:
    rows = np.zeros(len(table), dtype=bool)
    with np.load(FILE) as file:
        params = file["params"]
    for code in all_cells():
        row = table.index_of(code)
        table._rows.clear()
        assert not rows[row] and count_parameters(dag_of(code)) == params[row]
        rows[row] = True
    assert rows.all()


@needs_file
def test_figures(table: NasBench101Table) -> None:
    with np.load(FILE) as file:
        accuracy, index = file["test_acc_108"], file["mf_index"]
        valid, seconds = file["mf_valid_acc"], file["mf_train_time_108"]
    best = int(accuracy.argmax())
    code = table.code_of(best)
    assert table.query(code, Metric.TEST_ACCURACY, "cifar10") == pytest.approx(94.3176, abs=1e-4)
    known = table.code_of(int(index[17]))
    assert table.query(known, Metric.VAL_ACCURACY, "CIFAR-10", epoch=12) == pytest.approx(valid[17, 1] * 100)
    assert table.query(known, Metric.VAL_ACCURACY, "cifar10", 36, full_lc=True) == pytest.approx(valid[17, :3] * 100)
    assert table.query(known, Metric.TRAIN_TIME, "cifar10") == pytest.approx(seconds[17])
    assert set(table.query(known, Metric.RAW, "cifar10")) == {
        "test_accuracy", "parameters", "val_accuracy", "train_time",
    }  # fmt: skip
    batch = np.array([code, known])
    assert table.query_batch(batch, Metric.TEST_ACCURACY, "cifar10").tolist() == [
        table.query(one, Metric.TEST_ACCURACY, "cifar10") for one in (code, known)
    ]
    assert table.index_of(table.sample_code(Random(0))) in set(index.tolist())


@needs_file
def test_what_is_not_in_the_table_is_said(table: NasBench101Table) -> None:
    with np.load(FILE) as file:
        row = int(np.setdiff1d(np.arange(len(table)), file["mf_index"])[0])
    code = table.code_of(row)
    with pytest.raises(BenchmarkError, match=r"30,001 of the 423,624 cells.*test_accuracy"):
        table.query(code, Metric.VAL_ACCURACY, "cifar10")
    with pytest.raises(BenchmarkError, match="after 4, 12, 36, 108 epochs, not 200"):
        table.query(code, Metric.VAL_ACCURACY, "cifar10", epoch=200)
    with pytest.raises(BenchmarkError, match=r"no LATENCY \(it has: TEST_ACCURACY"):
        table.query(code, Metric.LATENCY, "cifar10")
    with pytest.raises(BenchmarkError, match="no data set 'cifar100'"):
        table.query(code, Metric.TEST_ACCURACY, "cifar100")
    with pytest.raises(ArchitectureError, match="no cell of the hash"):
        table.row_of("0" * 32)
    with pytest.raises(ArchitectureError, match=r"in 0\.\.423623"):
        table.code_of(423_624)
    assert table.has(Metric.TEST_ACCURACY, "cifar10", 108) and not table.has(Metric.TEST_ACCURACY, "cifar10", 36)
    assert not table.has(Metric.VAL_ACCURACY, "cifar10")  # of some cells only


@needs_file
def test_a_trial_has_seconds_where_all_that_is_searched_have_them(table: NasBench101Table) -> None:
    by_validation = TableEvaluator(table, "cifar10", (Metric.VAL_ACCURACY,))
    code = table.sample_code(Random(0))
    outcome = by_validation.evaluate(Trial(0, code, -1))
    assert outcome.seconds == table.query(code, Metric.TRAIN_TIME, "cifar10") > 100
    assert outcome.values == (table.query(code, Metric.VAL_ACCURACY, "cifar10"),)
    # of every cell the test accuracy is known, and of some the seconds; of shorter trainings these are not
    assert not TableEvaluator(table, "cifar10", (Metric.TEST_ACCURACY,)).tells_time
    assert not TableEvaluator(table, "cifar10", (Metric.VAL_ACCURACY,), 12).tells_time


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataMissing, match="no NAS-Bench-101 table"):
        NasBench101Table(tmp_path / "nb101.npz")
    (tmp_path / "nb101.npz").write_bytes(b"PK")
    with pytest.raises(BenchmarkError, match="not a compact NAS-Bench-101 table"):
        NasBench101Table(tmp_path / "nb101.npz")


@needs_file
def test_a_space_is_answered() -> None:
    api = get_dataset_api("nasbench101", "cifar10", FILE.parent)
    graph = NasBench101SearchSpace(channels=8)
    graph.instantiate_model = False
    graph.set_spec(12345, dataset_api=api)
    assert api.index_of(graph.get_code()) == 12345  # type: ignore[attr-defined]
    assert 80 < graph.query(Metric.TEST_ACCURACY, "cifar10", dataset_api=api) < 95
    graph.sample_random_architecture(dataset_api=api, load_labeled=True, rng=0)
    assert 10 <= graph.query(Metric.VAL_ACCURACY, "cifar10", dataset_api=api) < 96


@needs_file
@pytest.mark.skipif(not PROXIES.is_file(), reason=f"no {PROXIES.name} in the shared data directory")
def test_the_tuples_of_naslib_are_read(table: NasBench101Table) -> None:
    with np.load(PROXIES) as file:
        tuples, params = file["nb101_c10_arch"], file["nb101_c10_score"][:, list(file["proxies"]).index("params")]
    codec = NasBench101SearchSpace.codec
    codes = np.array([codec.canonical(row.tolist()) for row in tuples[:100]])
    found = table.query_batch(codes, Metric.PARAMETERS, "cifar10")
    # NASLib builds a cell in the order of its tuple, which shares channels that do not divide differently
    assert np.abs(found / params[:100] - 1).max() < 0.02 and (found == params[:100]).mean() > 0.5
