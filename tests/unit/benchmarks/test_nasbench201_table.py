"""The NAS-Bench-201 table: published optima, epochs, units, groups, errors, speed; on the real file where it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from call_count import count_calls
from data_files import data_file

from naslib.benchmarks import NasBench201Table
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec, count_macs, count_parameters

FILE = data_file("nb201.npz")
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
VAL, TEST, TIME = Metric.VAL_ACCURACY, Metric.TEST_ACCURACY, Metric.TRAIN_TIME
CODES = np.array(list(NasBench201Codec().iterate()))


@pytest.fixture(scope="module")
def table() -> NasBench201Table:
    return NasBench201Table(FILE)


@pytest.fixture(scope="module")
def raw() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("dataset", "metric", "best", "index"),
    [
        ("cifar10", VAL, 91.607, 6111),
        ("cifar10", TEST, 94.373, 6111),
        ("cifar100", VAL, 73.493, 9930),
        ("cifar100", TEST, 73.513, 9930),
        ("ImageNet16-120", VAL, 46.733, 10676),
        ("ImageNet16-120", TEST, 47.311, 857),
    ],
)
def test_optima_are_the_published_ones(
    table: NasBench201Table, dataset: str, metric: Metric, best: float, index: int
) -> None:
    values = table.query_batch(CODES, metric, dataset)
    assert values.max() == pytest.approx(best, abs=6e-4)
    code = tuple(CODES[values.argmax()].tolist())
    assert table.index_of(code) == index and table.code_of(index) == code
    assert table.query(code, metric, dataset) == values.max()


def test_the_all_skip_cell_is_the_one_darts_degenerates_to(table: NasBench201Table) -> None:
    code = (0,) * 6
    assert table.index_of(code) == 1835
    row = [table.query(code, metric, dataset) for dataset in table.datasets for metric in (VAL, TEST)]
    assert row == pytest.approx([39.77, 54.30, 15.03, 15.61, 16.43, 16.32], abs=6e-3)


@pytest.mark.parametrize(("dataset", "prefix"), [("cifar10", "c10"), ("cifar100", "c100"), ("ImageNet16-120", "in16")])
@pytest.mark.parametrize("epoch", [-1, 200, 12])
def test_every_column_equals_the_file(
    table: NasBench201Table, raw: dict[str, np.ndarray], dataset: str, prefix: str, epoch: int
) -> None:
    rows = [table.index_of(tuple(code)) for code in CODES.tolist()]
    length = 12 if epoch == 12 else 200
    for metric, name, unit in (
        (VAL, f"valid_{length}", 1),
        (TEST, f"test_{length}", 1),
        (TIME, "train_time_200", 200 / length),
        (Metric.LATENCY, "latency_ms", 1),
        (Metric.PARAMETERS, "params", 1e6),
        (Metric.FLOPS, "macs", 1e6),
    ):
        expected = raw[f"{prefix}_{name}"][rows].astype(np.float64) / unit
        batch = table.query_batch(CODES, metric, dataset, epoch)
        np.testing.assert_allclose(batch, expected, rtol=1e-14)
        for i in range(0, len(CODES), 2003):
            code = tuple(CODES[i].tolist())
            assert table.query(code, metric, dataset, epoch) == batch[i]
            assert table.query(CODES[i], metric, dataset, epoch) == batch[i]  # type: ignore[arg-type]


def test_units_and_codes_agree_with_the_closed_forms(table: NasBench201Table) -> None:
    code = (2, 2, 0, 3, 4, 1)
    assert table.query(code, Metric.PARAMETERS, "cifar100") == pytest.approx(count_parameters(code, 100) / 1e6)
    assert table.query(code, Metric.FLOPS, "ImageNet16-120") == pytest.approx(
        count_macs(code, 120, image_size=16) / 1e6
    )
    assert table.query(table.code_of(11472), Metric.FLOPS, "cifar10") == pytest.approx(78.56, abs=0.005)


def test_a_seed_has_no_curve(table: NasBench201Table) -> None:
    with pytest.raises(BenchmarkError, match="no learning curves"):
        table.query(table.code_of(6111), Metric.VAL_ACCURACY, "cifar10", full_lc=True, seed=777)


def test_groups(table: NasBench201Table, raw: dict[str, np.ndarray]) -> None:
    code = table.code_of(6111)
    everything = table.query(code, Metric.RAW)
    assert everything["index"] == 6111
    assert everything["cifar10"]["valid_200_seeds"] == raw["c10_valid_200_seeds"][6111].tolist()
    assert set(everything["ImageNet16-120"]) == {name[5:] for name in raw if name.startswith("in16_")}
    partly = int(np.flatnonzero(np.isnan(raw["c10_valid_200_seeds"]).any(1))[0])
    assert None in table.query(table.code_of(partly), Metric.RAW)["cifar10"]["valid_200_seeds"]
    json.dumps(everything, allow_nan=False)
    costs = table.query(code, Metric.HP, "cifar10")
    assert costs == {
        "flops": raw["c10_macs"][6111] / 1e6,
        "params": raw["c10_params"][6111] / 1e6,
        "latency": raw["c10_latency_ms"][6111],
        "train_time": raw["c10_train_time_200"][6111],
    }
    scalars = table.query(code, Metric.ALL, "cifar10", epoch=12)
    assert scalars["val_accuracy"] == table.query(code, VAL, "cifar10", epoch=12)
    assert scalars["train_loss"] is None and "raw" not in scalars
    assert all(table.has(metric, "cifar10") for metric in (Metric.RAW, Metric.HP, Metric.ALL))


@pytest.mark.parametrize("epoch", [0, 1, 11, 100, 199, 201, -2])
def test_other_epochs_are_refused_naming_both_schedules(table: NasBench201Table, epoch: int) -> None:
    with pytest.raises(BenchmarkError, match=r"200.*12"):
        table.query((0,) * 6, VAL, "cifar10", epoch)
    assert not table.has(VAL, "cifar10", epoch)


def test_what_the_table_lacks_is_refused_naming_what_it_has(table: NasBench201Table) -> None:
    for metric in (Metric.TRAIN_ACCURACY, Metric.VAL_LOSS, Metric.TEST_TIME, Metric.EPOCH):
        assert not table.has(metric, "cifar10")
        with pytest.raises(BenchmarkError, match="VAL_ACCURACY, TEST_ACCURACY, TRAIN_TIME"):
            table.query((0,) * 6, metric, "cifar10")
    with pytest.raises(BenchmarkError, match=r"did you mean 'cifar100'.*cifar10, cifar100, ImageNet16-120"):
        table.query((0,) * 6, VAL, "cifar1000")
    with pytest.raises(BenchmarkError, match="no data set None"):
        table.query((0,) * 6, VAL)
    with pytest.raises(BenchmarkError, match="learning curves"):
        table.query((0,) * 6, VAL, "cifar10", full_lc=True)
    with pytest.raises(BenchmarkError, match="did you mean 'VAL_ACCURACY'"):
        table.query((0,) * 6, "val_acc", "cifar10")  # type: ignore[arg-type]


def test_names_are_forgiving(table: NasBench201Table) -> None:
    expected = table.query((0,) * 6, VAL, "cifar10")
    for name in ("CIFAR10", "cifar10-valid", "cifar-10"):
        assert table.query((0,) * 6, VAL, name) == expected and table.knows(name)
    assert table.query((0,) * 6, "val_accuracy", "cifar10") == expected  # type: ignore[arg-type]
    assert table.query((0,) * 6, TEST, "imagenet16-120") == table.query((0,) * 6, TEST, "ImageNet16-120")


@pytest.mark.parametrize("bad", [(0,) * 5, (0, 0, 0, 0, 0, 5), "|nor_conv_3x3~0|", (0, 0, 0, 0, 0, -1)])
def test_bad_codes_are_refused(table: NasBench201Table, bad: object) -> None:
    for _ in range(2):  # before and after the column is in memory
        with pytest.raises(ArchitectureError, match="six ints"):
            table.query(bad, VAL, "cifar10")  # type: ignore[arg-type]


def test_bad_batches_are_refused(table: NasBench201Table) -> None:
    for bad in (np.zeros((3, 5), int), np.zeros(6, int), np.zeros((3, 6)), np.full((1, 6), 5), np.full((1, 6), -1)):
        with pytest.raises(ArchitectureError):
            table.query_batch(bad, VAL, "cifar10")
    with pytest.raises(BenchmarkError, match="group"):
        table.query_batch(CODES, Metric.RAW, "cifar10")
    assert table.query_batch(np.zeros((0, 6), int), VAL, "cifar10").shape == (0,)


def test_batch_query_of_small_ints_does_not_overflow(table: NasBench201Table) -> None:
    np.testing.assert_array_equal(
        table.query_batch(CODES.astype(np.uint8), VAL, "cifar10"), table.query_batch(CODES, VAL, "cifar10")
    )


def test_batch_query_costs_as_many_calls_as_one(table: NasBench201Table) -> None:
    codes = np.random.default_rng(0).integers(0, 5, (4_000, 6))
    table.query_batch(codes[:1], VAL, "cifar10")
    counts = [count_calls(lambda n=n: table.query_batch(codes[:n], VAL, "cifar10")) for n in (1, 4_000)]  # type: ignore[misc]
    assert counts[0] == counts[1] < 200


def test_files_that_are_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataMissing, match="no NAS-Bench-201 table"):
        NasBench201Table(tmp_path / "nb201.npz")
    truncated = tmp_path / "truncated.npz"
    truncated.write_bytes(FILE.read_bytes()[:1000])
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros(3))
    for path in (truncated, other):
        with pytest.raises(BenchmarkError, match="not a compact NAS-Bench-201 table"):
            NasBench201Table(path)
