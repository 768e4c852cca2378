"""The NAS-Bench-NLP table."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from data_files import data_file

from naslib.benchmarks import NasBenchNLPTable, get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces import NasBenchNLPSearchSpace
from naslib.search_spaces.core.query_metrics import Metric

FILE = data_file("nb_nlp_wikitext2.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")


@pytest.fixture(scope="module")
def table() -> NasBenchNLPTable:
    return NasBenchNLPTable(FILE)


@needs_file
def test_isomorphic_cells_were_trained_to_the_same_loss(table: NasBenchNLPTable) -> None:
    with np.load(FILE) as file:
        last = file["valid_loss"][:, -1]
    classes = [rows for rows in table._rows.values() if len(rows) > 1]
    assert len(table) == 345 and len(table._rows) == 265 and max(map(len, classes)) == 14
    spreads = [float(np.ptp(last[rows])) for rows in classes if np.isfinite(last[rows]).all()]
    # all cells differ by far more than trainings of one
    assert np.median(spreads) < 0.02 and np.nanstd(last) > 0.4


@needs_file
def test_figures(table: NasBenchNLPTable) -> None:
    with np.load(FILE) as file:
        valid, wall, params = file["valid_loss"], file["wall_time"], file["num_params"]
    best = int(np.nanargmin(valid.min(axis=1)))
    code = table.code_of(best)
    rows = table.rows_of(code)
    curve = table.query(code, Metric.VAL_LOSS, "wikitext2", full_lc=True)
    assert curve == pytest.approx(valid[rows].mean(axis=0).tolist(), rel=1e-6)
    assert math.exp(np.nanmin(valid)) == pytest.approx(96.31, abs=0.01)
    assert table.query(code, Metric.VAL_LOSS, "WikiText-2", epoch=3) == pytest.approx(curve[2])
    assert table.query(code, Metric.TRAIN_TIME, "wikitext2", 2) == pytest.approx(float(wall[rows, :2].sum(1).mean()))
    assert table.query(code, Metric.PARAMETERS, "wikitext2") == params[best] / 1e6
    assert set(table.query(code, Metric.ALL, "wikitext2")) == {
        "train_loss", "val_loss", "test_loss", "train_time", "parameters",
    }  # fmt: skip
    assert table.query_batch(np.array([code]), Metric.VAL_LOSS, "wikitext2")[0] == pytest.approx(curve[-1])


@needs_file
def test_what_is_not_in_the_table_is_said(table: NasBenchNLPTable) -> None:
    code = NasBenchNLPSearchSpace.codec.canonical(table.code_of(0))
    with pytest.raises(BenchmarkError, match=r"no VAL_ACCURACY \(it has: TRAIN_LOSS"):
        table.query(code, Metric.VAL_ACCURACY, "wikitext2")
    with pytest.raises(BenchmarkError, match="after 1 to 50 epochs"):
        table.query(code, Metric.VAL_LOSS, "wikitext2", 51)
    with pytest.raises(BenchmarkError, match="no data set 'ptb'"):
        table.query(code, Metric.VAL_LOSS, "ptb")
    with pytest.raises(BenchmarkError, match="not among the 265"):
        table.query(
            NasBenchNLPSearchSpace.codec.decision_space.mutate(table.code_of(5), 3), Metric.VAL_LOSS, "wikitext2"
        )
    with np.load(FILE) as file:
        last = file["valid_loss"][:, -1]
    lost = next(code for code, rows in table._rows.items() if not np.isfinite(last[rows]).any())
    with pytest.raises(BenchmarkError, match="diverged before the end of epoch 50"):
        table.query(lost, Metric.VAL_LOSS, "wikitext2")
    with pytest.raises(ArchitectureError, match=r"in 0\.\.344"):
        table.code_of(345)
    assert table.has(Metric.TEST_LOSS, "wikitext2", 50) and not table.has(Metric.LATENCY, "wikitext2")


@needs_file
def test_a_space_is_answered() -> None:
    api = get_dataset_api("nasbench_nlp", "wikitext2", FILE.parent)
    graph = NasBenchNLPSearchSpace(50, embedding=4, hidden=4)
    graph.sample_random_architecture(dataset_api=api, load_labeled=True, rng=Random(1))
    assert 4.5 < graph.query(Metric.VAL_LOSS, "wikitext2", dataset_api=api) < 11


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataMissing, match="no NAS-Bench-NLP table"):
        NasBenchNLPTable(tmp_path / "x.npz")
    (tmp_path / "x.npz").write_bytes(b"PK")
    with pytest.raises(BenchmarkError, match="not a compact NAS-Bench-NLP table"):
        NasBenchNLPTable(tmp_path / "x.npz")
