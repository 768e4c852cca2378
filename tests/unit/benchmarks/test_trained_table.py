"""The table of one's own: what it answers, what it refuses and says then, and how parts become one."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from small_results import CODES, small_results

from naslib.benchmarks import TrainedTable, get_dataset_api
from naslib.benchmarks.results import is_results, load_results, merged, save_results
from naslib.benchmarks.results_info import describe_results
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

FIRST, SECOND, THIRD = CODES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_results(small_results(), tmp_path / "nasbench201_digits.npz")
    return tmp_path / "nasbench201_digits.npz"


@pytest.fixture
def table(path: Path) -> TrainedTable:
    return TrainedTable(path)


def test_means_seeds_epochs_and_curves(table: TrainedTable):
    # valid_score is the fourth curve: 13, 23, 33 with seed 1, and 23, 43, 53 with seed 2
    assert table.query(FIRST, Metric.VAL_ACCURACY) == 43.0
    assert table.query(FIRST, Metric.VAL_ACCURACY, "digits", 1) == 18.0
    assert table.query(FIRST, Metric.VAL_ACCURACY, seed=1) == 33.0
    assert table.query_seed(FIRST, Metric.VAL_ACCURACY, "Digits", 2, seed=2) == 43.0
    assert table.query(FIRST, Metric.VAL_ACCURACY, full_lc=True) == [18.0, 33.0, 43.0]
    assert table.query(FIRST, Metric.TRAIN_LOSS, epoch=2, full_lc=True, seed=2) == [20.0, 40.0]
    assert table.query(FIRST, Metric.TEST_ACCURACY) == 45.0 and table.query(FIRST, Metric.TRAIN_ACCURACY) == 41.0
    assert table.seeds(Metric.VAL_ACCURACY) == (1, 2) and table.seeds(Metric.PARAMETERS) == ()
    assert table.is_one_training and len(table) == 3


def test_simulated_time_and_sizes(table: TrainedTable):
    assert table.query(FIRST, Metric.TRAIN_TIME) == 4.5 and table.query(FIRST, Metric.TRAIN_TIME, epoch=1) == 1.5
    assert table.query(FIRST, Metric.TRAIN_TIME, seed=2, full_lc=True) == [2.0, 4.0, 6.0]
    assert [table.query(code, Metric.PARAMETERS) for code in CODES] == [0.001, 0.0025, 0.003]
    assert table.query(THIRD, Metric.FLOPS) == 0.03 and table.query(FIRST, Metric.LATENCY) == 0.5
    assert table.query(FIRST, Metric.HP) == {"flops": 0.01, "params": 0.001, "latency": 0.5, "train_time": 4.5}


def test_one_function_shares_a_training_and_not_its_sizes(table: TrainedTable):
    assert table.query(SECOND, Metric.VAL_ACCURACY) == table.query(THIRD, Metric.VAL_ACCURACY) == 34.0
    raw = table.query(SECOND, Metric.RAW)
    assert raw["trained"] == THIRD and raw["params"] == 2500 and raw["latency_ms"] is None
    assert list(raw["seeds"]) == [1] and raw["seeds"][1]["valid_accuracy"] == [14.0, 24.0, 34.0]
    assert table.query(FIRST, Metric.ALL)["val_accuracy"] == 43.0


def test_batches(table: TrainedTable):
    found = table.query_batch(np.array([SECOND, FIRST, SECOND]), Metric.TEST_LOSS, "digits", 3)
    assert found.tolist() == [35.0, 44.0, 35.0] and found.dtype == np.float64
    assert table.query_batch(np.array([FIRST]), Metric.VAL_ACCURACY, seed=2).tolist() == [53.0]
    with pytest.raises(BenchmarkError, match="RAW is a group"):
        table.query_batch(np.array([FIRST]), Metric.RAW)


def test_what_it_lacks_is_named_with_what_there_is(table: TrainedTable):
    with pytest.raises(ArchitectureError, match=r"none of the 3 architectures.*of 5,234 that differ, 2 were trained"):
        table.query((4,) * 6, Metric.VAL_ACCURACY)
    with pytest.raises(BenchmarkError, match=r"no results after 200 epochs.*1 to 3 .*search\.fidelity"):
        table.query(FIRST, Metric.VAL_ACCURACY, epoch=200)
    with pytest.raises(BenchmarkError, match=r"no results after 0 epochs"):
        table.query(FIRST, Metric.VAL_ACCURACY, epoch=0)
    with pytest.raises(BenchmarkError, match=r"no seed 3 \(it has: 1, 2; None is their mean\)"):
        table.query(FIRST, Metric.VAL_ACCURACY, seed=3)
    with pytest.raises(BenchmarkError, match=r"no VAL_ACCURACY of \(1, 1, 2.*with seed 2: it was trained with.*\[1\]"):
        table.query(SECOND, Metric.VAL_ACCURACY, seed=2)
    with pytest.raises(BenchmarkError, match=r"no data set 'cifar10' in the benchmark.*digits"):
        table.query(FIRST, Metric.VAL_ACCURACY, "cifar10")
    with pytest.raises(BenchmarkError, match=r"no PERPLEXITY.*it has: TRAIN_ACCURACY, VAL_ACCURACY.*LATENCY"):
        table.query(FIRST, Metric.PERPLEXITY)
    with pytest.raises(BenchmarkError, match=r"no LATENCY of \(2, 1, 1"):
        table.query(THIRD, Metric.LATENCY)
    with pytest.raises(BenchmarkError, match=r"no learning curve of PARAMETERS"):
        table.query(FIRST, Metric.PARAMETERS, full_lc=True)
    with pytest.raises(ArchitectureError, match=r"0\.\.2, not 3"):
        table.code_of(3)


def test_what_it_knows(table: TrainedTable):
    assert table.has(Metric.VAL_ACCURACY, "digits", 2) and not table.has(Metric.VAL_ACCURACY, "digits", 4)
    assert not table.has(Metric.PERPLEXITY) and not table.has(Metric.VAL_ACCURACY, "svhn") and table.knows("DIGITS")
    assert table.known_codes(Metric.VAL_ACCURACY) == CODES and table.known_codes(Metric.LATENCY) == [FIRST]
    assert table.has_code(list(SECOND)) and not table.has_code((4,) * 6)
    assert [table.index_of(table.code_of(k)) for k in range(3)] == [0, 1, 2] and table.sample_code(Random(0)) in CODES


def test_other_scores_are_asked_by_their_losses(tmp_path: Path):
    results = small_results(score={"name": "mean_iou", "maximize": True, "unit": "%"})
    save_results(results, tmp_path / "iou.npz")
    table = TrainedTable(tmp_path / "iou.npz")
    assert table.query(FIRST, Metric.VAL_LOSS) == 42.0
    assert table.query(FIRST, Metric.RAW)["seeds"][2]["test_mean_iou"] == [25.0, 45.0, 55.0]
    with pytest.raises(BenchmarkError, match=r"no VAL_ACCURACY .it has: TRAIN_LOSS, VAL_LOSS"):
        table.query(FIRST, Metric.VAL_ACCURACY)


def test_networks_of_another_size_are_refused(table: TrainedTable):
    table.check_space({"channels": 8, "cells_per_stage": 1, "in_channels": 3})
    with pytest.raises(BenchmarkError, match=r"trained with channels 8, and the space has 16.*search_space_args=\{"):
        table.check_space({"channels": 16, "cells_per_stage": 1})


# the file


def test_what_is_written_is_read_again(path: Path):
    before, after = small_results(), load_results(path)
    assert after.codes == before.codes and after.seeds == (1, 2) and after.about == before.about
    for name, values in before.curves.items():
        assert np.allclose(after.curves[name], values, rtol=2**-14, equal_nan=True)
    exact = small_results()
    exact.curves["valid_score"][0, 0, 0] = 97.08 + 1 / 300
    exact.seconds[0, 0] = 1.23456
    save_results(exact, path)
    again = load_results(path)
    assert again.curves["valid_score"][0, 0, 0] == np.float32(97.08 + 1 / 300)
    assert abs(again.seconds[0, 0] / 1.23456 - 1) < 2**-14


def test_codes_of_different_lengths(tmp_path: Path):
    results = small_results()
    results.codes = [(0, -1), (300,), ()]
    save_results(results, tmp_path / "ragged.npz")
    assert load_results(tmp_path / "ragged.npz").codes == [(0, -1), (300,), ()]
    table = TrainedTable(tmp_path / "ragged.npz")
    one_by_one = [table.query(code, Metric.PARAMETERS) for code in results.codes]
    assert table.query_batch(results.codes, Metric.PARAMETERS).tolist() == one_by_one == [0.001, 0.0025, 0.003]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda arrays: arrays.pop("format"), "no entry `format`"),
        (lambda arrays: arrays.update(format=np.array(["naslib results", "9"])), "its version is 9"),
        (lambda arrays: arrays.update(rows=np.array([0, 1, 7])), "a row that is not there"),
        (lambda arrays: arrays.update(trained=np.array([0, 0])), "not that of the architecture"),
        (lambda arrays: arrays.update(seconds=np.zeros((2, 3))), "arrays seconds have not the sizes"),
        (lambda arrays: arrays.update(codes=np.zeros((3, 6), int)), "an architecture is in it twice"),
        (lambda arrays: arrays.pop("macs"), "macs"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(path: Path, spoil, message: str):
    with np.load(path) as file:
        arrays = dict(file)
    spoil(arrays)
    np.savez(path, **arrays)
    with pytest.raises(BenchmarkError, match=message):
        TrainedTable(path)


def test_half_a_file_and_no_file(path: Path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BenchmarkError, match="is not a compact table of `naslib bench build`"):
        TrainedTable(path)
    assert not is_results(path)
    with pytest.raises(BenchmarkDataMissing):
        TrainedTable(path.with_name("none.npz"))
    with pytest.raises(ValueError, match="arrays rows"):
        broken = small_results()
        broken.rows = np.zeros(1, int)
        save_results(broken, path)


# several files


def test_shards_and_seeds_become_one_table():
    whole = small_results()
    first, second, third = small_results(), small_results(), small_results(seeds=(1, 3))
    for part, row in ((first, 1), (second, 0)):  # the first has row 0, the second row 1
        part.seconds[row] = np.nan
        for values in part.curves.values():
            values[row] = np.nan
    joined = merged([first, second])
    assert joined.codes == sorted(CODES) and joined.seeds == (1, 2)
    for name, values in whole.curves.items():
        assert np.array_equal(joined.curves[name], values, equal_nan=True)
    assert np.array_equal(joined.seconds, whole.seconds, equal_nan=True)
    assert joined.params.tolist() == [1000, 2500, 3000] and joined.rows.tolist() == [0, 1, 1]
    more = merged([whole, third])
    assert more.seeds == (1, 2, 3) and more.about["seeds"] == [1, 2, 3]
    assert np.array_equal(more.curves["valid_score"][:, 2], third.curves["valid_score"][:, 1], equal_nan=True)
    assert merged([more]).about["architectures"] == 2


def test_what_two_parts_have_counts_once_and_the_first_does(caplog):
    first, second = small_results(), small_results()
    second.curves["valid_score"] += 1
    second.latency[:] = 7.0
    joined = merged([first, second])
    assert np.array_equal(joined.curves["valid_score"], first.curves["valid_score"], equal_nan=True)
    assert joined.latency.tolist() == [0.5, 7.0]
    with pytest.raises(BenchmarkError, match="nothing to merge"):
        merged([])


def test_latencies_of_different_machines_are_said_to_be_such(caplog):
    here, there = {"cpu": "one", "repeats": 30}, {"cpu": "other", "repeats": 30}
    merged([small_results(latency=here), small_results(latency=here), small_results()])
    assert "different machines" not in caplog.text
    joined = merged([small_results(latency=here), small_results(latency=there)])
    assert "different machines" in caplog.text and joined.about["latency"] == here


def test_parts_of_different_tables_are_refused():
    with pytest.raises(BenchmarkError, match=r"protocol\.epochs is 3 in the first and 4 in another"):
        merged([small_results(), small_results(epochs=4)])


def test_info_names_everything():
    text = describe_results(small_results())
    assert "3; 2 trained of 5,234 that differ" in text and "1 (2), 2 (1)" in text
    assert "accuracy 33 to 53 %" in text and "(0, 0, 2, 0, 0, 0): 43 % by the mean" in text
    assert "3 to 6 s (cpu time)" in text and "0.001 to 0.003 M" in text


# finding it


def test_a_file_a_folder_and_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path.parent)
    assert get_dataset_api("nasbench201", "digits", path).path == path.resolve()  # type: ignore[attr-defined]
    assert get_dataset_api("NASBench201", "digits", path.parent).path == path.resolve()  # type: ignore[attr-defined]
    monkeypatch.setenv("NASLIB_DATA", str(path.parent))
    assert get_dataset_api("nasbench201", "digits").path == path.resolve()  # type: ignore[attr-defined]
    other = path.rename(path.with_name("other.npz"))
    assert get_dataset_api("nasbench201", data_dir=other).knows("digits")
    with pytest.raises(BenchmarkError, match="is a table of the search space 'nasbench201', not of 'darts'"):
        get_dataset_api("darts", "digits", other)
    with pytest.raises(BenchmarkError, match="is a table of the data set 'digits', not of 'svhn'"):
        get_dataset_api("nasbench201", "svhn", other)


def test_a_damaged_table_is_not_passed_over_for_another(path: Path, monkeypatch: pytest.MonkeyPatch):
    path.write_bytes(path.read_bytes()[:200])
    for place in (path, path.parent):
        with pytest.raises(BenchmarkError, match=r"nasbench201_digits\.npz is not a compact"):
            get_dataset_api("nasbench201", "digits", place)


def test_the_shipped_table_is_found_with_nothing_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    table = get_dataset_api("nasbench201", "digits")
    assert isinstance(table, TrainedTable) and table.path.name == "nasbench201_digits.npz"
    results = table.results
    assert results.seeds == (1, 2) and table.epochs == 9 and results.about["score"]["name"] == "accuracy"
    assert results.about["space_args"] == {"n_classes": 10, "in_channels": 1, "channels": 8, "cells_per_stage": 1}
    assert results.about["images"] == {"train": 719, "valid": 719, "test": 359}
    assert np.isfinite(results.seconds).any(axis=1).all() and len(results.codes) > len(results.trained)
    valid = results.curves["valid_score"][np.isfinite(results.curves["valid_score"])]
    assert np.allclose(valid * 719 / 100, np.round(valid * 719 / 100), atol=1e-3)  # shares of 719 images
    json.dumps(results.about)


def test_the_shipped_sizes_are_the_closed_forms():
    from naslib.search_spaces.nasbench201.codec import count_macs, count_parameters

    table = get_dataset_api("nasbench201", "digits")
    assert isinstance(table, TrainedTable)
    for code in table.results.codes[::7]:
        assert round(table.query(code, Metric.PARAMETERS) * 1e6) == count_parameters(code, 10, 8, 1, 1)
        assert round(table.query(code, Metric.FLOPS) * 1e6) == count_macs(code, 10, 8, 1, 1, 8)


def test_one_function_has_one_row_in_the_shipped_table():
    table = get_dataset_api("nasbench201", "digits")
    assert isinstance(table, TrainedTable)
    codec, results = NasBench201SearchSpace.codec, table.results
    by_function = {codec.function_of(code): row for code, row in zip(results.codes, results.rows, strict=True)}
    assert len(by_function) == len(results.trained)
    assert all(by_function[codec.function_of(c)] == row for c, row in zip(results.codes, results.rows, strict=True))
    assert np.isfinite(results.curves["test_score"]).any()
