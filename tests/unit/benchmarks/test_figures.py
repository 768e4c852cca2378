"""Tables of figures by name: devices, attacks, proxies, curves; and figures as objectives of a search."""

from __future__ import annotations

import numpy as np
import pytest
from data_files import data_file
from scipy.stats import spearmanr

from naslib.benchmarks import BENCHMARKS, Figure, FigureTable, JoinedBenchmark, get_dataset_api, kinds
from naslib.benchmarks.darts_trained import darts_codes
from naslib.benchmarks.figure_table import Sheet
from naslib.benchmarks.mobile_figures import ofa_codes
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.optimizers import RandomSearch
from naslib.search_spaces import SEARCH_SPACES, NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

HERE = data_file("nb201.npz").parent
needs_data = pytest.mark.skipif(
    not data_file("nb201.npz").is_file(), reason="no nb201.npz in the shared data directory"
)
OF_FIGURES = sorted(key for key in BENCHMARKS if issubclass(BENCHMARKS.get(key), FigureTable))


class Devices(FigureTable):
    """Two devices and a curve, written by the test."""

    name, title, datasets, file_name = "toy", "the toy", ("cifar10",), "toy.npz"

    def _read(self, file):
        figures = (Figure("a_latency", unit="ms"), Figure("b_latency", unit="ms"), Figure("VAL_ACCURACY", True, "%"))
        return figures, {"cifar10": Sheet(file["codes"], file["values"], {"VAL_ACCURACY": file["curves"]})}


@pytest.fixture
def toy(tmp_path):
    values = np.array([[1.0, 2.0, 50.0], [3.0, np.nan, 60.0]])
    np.savez(tmp_path / "toy.npz", codes=[[0, 1], [1, 1]], values=values, curves=[[10.0, 50.0], [40.0, 60.0]])
    return Devices(tmp_path / "toy.npz")


def test_figures_are_asked_for_by_name_or_as_metrics(toy):
    assert toy.query((0, 1), "A_LATENCY", "cifar10") == 1.0
    assert toy.query((1, 1), Metric.VAL_ACCURACY, "cifar10") == 60.0
    assert toy.query((1, 1), Metric.ALL, "cifar10") == {"a_latency": 3.0, "val_accuracy": 60.0}
    assert toy.query_batch([(1, 1), (0, 1)], "val_accuracy", "cifar10", 1).tolist() == [40.0, 10.0]
    assert toy.query((0, 1), Metric.VAL_ACCURACY, "cifar10", full_lc=True) == [10.0, 50.0]
    assert toy.on("b").query((0, 1), Metric.LATENCY, "cifar10") == 2.0
    assert toy.has("a_latency", "cifar10") and not toy.has("a_latency", "cifar10", 1) and toy.has_code((1, 1))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t: t.query((0, 1), Metric.LATENCY, "cifar10"), "which device.*a_latency, b_latency"),
        (lambda t: t.query((0, 1), "c_latency", "cifar10"), "did you mean"),
        (lambda t: t.query((0, 1), Metric.FLOPS, "cifar10"), "no FLOPS.*a_latency, b_latency, VAL_ACCURACY"),
        (lambda t: t.query((0, 1), "a_latency", "cifar10", 2), "end of the schedule"),
        (lambda t: t.query((0, 1), Metric.VAL_ACCURACY, "cifar10", 3), "1 to 2"),
        (lambda t: t.query((0, 1), "a_latency", "cifar10", full_lc=True), "no learning curve.*VAL_ACCURACY"),
        (lambda t: t.query((0, 1), "a_latency", "cifar100"), "no data set 'cifar100'.*cifar10"),
        (lambda t: t.query((1, 1), "b_latency", "cifar10"), "b_latency of an architecture was not measured"),
        (lambda t: t.on("d"), "no latency on 'd'.*a_latency, b_latency"),
    ],
)
def test_what_there_is_not_is_named_with_what_there_is(toy, ask, words):
    with pytest.raises(BenchmarkError, match=words):
        ask(toy)


class Half(Devices):
    """A file in which one of two data sets is, an architecture crashed, and a figure was never measured."""

    datasets = ("cifar10", "cifar100")

    def _read(self, file):
        figures = (Figure("VAL_ACCURACY", True, "%"), Figure("never"))
        values = np.array([[60.0, np.nan], [np.nan, np.nan]])
        curves = {"VAL_ACCURACY": np.array([[50.0, 60.0], [40.0, np.nan]])}
        return figures, {"cifar10": Sheet(file["codes"], values, curves)}


@pytest.fixture
def half(toy):
    return Half(toy.path)


def test_a_data_set_that_is_not_in_the_file_is_none(half):
    assert half.datasets == ("cifar10",) and not half.knows("cifar100") and Half.covers("cifar100")
    assert not half.has("val_accuracy", "cifar100")
    with pytest.raises(BenchmarkError, match=r"no data set 'cifar100' .*has: cifar10\)"):
        half.query((0, 1), "val_accuracy", "cifar100")


def test_what_was_never_measured_is_not_there(half):
    assert not half.has("never", "cifar10")
    with pytest.raises(BenchmarkError, match="never was measured of no architecture by the toy"):
        half.known_codes("never", "cifar10")


def test_a_curve_ends_where_a_training_crashed(half):
    assert half.query((1, 1), "val_accuracy", "cifar10", 1, full_lc=True) == [40.0]
    with pytest.raises(BenchmarkError, match="VAL_ACCURACY of an architecture was not measured by the toy"):
        half.query((1, 1), "val_accuracy", "cifar10", full_lc=True)


def test_a_group_is_that_of_the_epoch(half, toy):
    assert half.query((0, 1), Metric.ALL, "cifar10", 1) == {"val_accuracy": 50.0}
    assert half.query((1, 1), Metric.ALL, "cifar10", 2) == {}
    assert toy.query((1, 1), Metric.RAW, "cifar10", 1) == {"val_accuracy": 40.0}


def test_a_joined_table_lacks_what_its_tables_lack(toy, half):
    joined = JoinedBenchmark(half, [toy])
    assert joined.known_codes("VAL_ACCURACY", "cifar10") == [(0, 1)]
    assert (
        joined.query((0, 1), "val_accuracy", "cifar10") == 60.0 and toy.query((0, 1), "val_accuracy", "cifar10") == 50
    )
    assert joined.known_codes("b_latency", "cifar10", 2) == [(0, 1)]
    assert joined.known_codes("a_latency", "cifar10", 2) == [(0, 1), (1, 1)]
    assert joined.seeds("a_latency", "cifar10") == () and not joined.has("no_such", "cifar10")


def test_an_architecture_that_the_table_lacks(toy):
    with pytest.raises(ArchitectureError, match="none of the 2 architectures of the toy"):
        toy.query((7, 7), "a_latency", "cifar10")


@needs_data
@pytest.mark.parametrize("key", OF_FIGURES)
def test_every_table_of_figures_answers_for_all_its_architectures(key):
    space, _, kind = key.partition(":")
    table = get_dataset_api(space, None, HERE, kind or "accuracy")
    assert (kind or "accuracy") in kinds(space) and table.figures
    for dataset in table.datasets:
        codes = table.codes(dataset)
        assert len({tuple(code) for code in codes.tolist()}) == len(codes) > 100
        figure = table.figures[0]
        one = table.query(tuple(codes[3].tolist()), figure.name, dataset)
        assert table.query_batch(codes[:5], figure, dataset)[3] == one
    if space in SEARCH_SPACES and key not in ("nasbench301:swap", "nasbench301:latency"):
        arguments = {"resolutions": range(128, 225, 4), "image_size": 224} if space == "ofa_mobilenetv3" else {}
        build = SEARCH_SPACES.get(space)
        codec = build(n_classes=10, **arguments)._codec()
        assert all(codec.is_valid(tuple(code)) for code in table.codes(table.datasets[0])[::97].tolist())


@needs_data
def test_devices_agree_between_two_sources():
    """Both sources quote the same measurements on four devices."""
    accuracies = get_dataset_api("nasbench201", "cifar10", HERE)
    ours, other = (get_dataset_api("nasbench201", "cifar10", HERE, kind) for kind in ("energy", "latency"))
    codes = [accuracies.code_of(index) for index in range(0, 15_625, 25)]
    for device in ("raspi4", "pixel3", "eyeriss", "fpga"):
        np.testing.assert_array_equal(
            ours.query_batch(codes, f"{device}_latency", "cifar10"), other.query_batch(codes, device, "cifar10")
        )


@needs_data
def test_published_figures_are_found():
    accuracies = get_dataset_api("nasbench201", "cifar10", HERE)
    attacks = get_dataset_api("nasbench201", None, HERE, "robustness")
    codes = [accuracies.code_of(index) for index in range(15_625)]
    weak = attacks.query_batch(codes, "fgsm@Linf_eps-1.0", "cifar10")
    clean = accuracies.query_batch(np.array(codes), Metric.TEST_ACCURACY, "cifar10")
    assert weak.max() == pytest.approx(69.2) and spearmanr(weak, clean).statistic == pytest.approx(0.72, abs=0.005)
    proxies = get_dataset_api("nasbench201", None, HERE, "proxies")
    cells = proxies.codes("cifar10")
    scores = proxies.query_batch(cells, "nwot", "cifar10")
    test = accuracies.query_batch(cells, Metric.TEST_ACCURACY, "cifar10")
    assert spearmanr(scores, test).statistic == pytest.approx(0.811, abs=0.001)
    np.testing.assert_allclose(
        proxies.query_batch(cells, "params", "cifar10"), accuracies.query_batch(cells, Metric.PARAMETERS, "cifar10")
    )


@needs_data
def test_spiking_cells_give_the_results_that_their_authors_print():
    table = get_dataset_api("spikenas", "cifar10", HERE)
    code = tuple(14862 // 5**edge % 5 for edge in range(6))
    assert table.query(code, Metric.TEST_ACCURACY, "cifar10") == 88.5
    assert table.query(code, Metric.VAL_ACCURACY, "cifar10", 100) == pytest.approx(88.64)
    assert table.query(code, Metric.PARAMETERS, "cifar10") == pytest.approx(21.607908)
    assert len(table.query(code, Metric.VAL_ACCURACY, "cifar10", 30, full_lc=True)) == 30


@needs_data
def test_a_search_has_figures_of_other_tables_as_objectives():
    first, energy = (get_dataset_api("nasbench201", "cifar10", HERE, kind) for kind in ("accuracy", "energy"))
    both = JoinedBenchmark(first, [energy])
    search = RandomSearch(objectives=["VAL_ACCURACY", "edgegpu_energy"])
    search.adapt_search_space(NasBench201SearchSpace(), "cifar10", dataset_api=both)
    assert [(o.name, o.maximize, o.unit) for o in search.objectives] == [
        ("VAL_ACCURACY", True, "%"),
        ("edgegpu_energy", False, "mJ"),
    ]
    code = first.code_of(6111)
    assert both.query(code, "edgegpu_energy", "cifar10", 200) == energy.query(code, "edgegpu_energy", "cifar10")
    assert both.query(code, Metric.VAL_ACCURACY, "cifar10", 12) == first.query(code, Metric.VAL_ACCURACY, "cifar10", 12)


@needs_data
def test_seeds_are_known_one_by_one():
    table = get_dataset_api("nasbench201", "cifar10", HERE)
    assert table.seeds(Metric.VAL_ACCURACY, "cifar10") == (777, 888, 999)
    assert table.seeds(Metric.TEST_ACCURACY, "cifar10") == ()
    code = table.code_of(6111)
    known = [table.query(code, Metric.VAL_ACCURACY, "cifar10", seed=seed) for seed in (777, 888)]
    assert all(91 < value < 92 for value in known)
    with pytest.raises(BenchmarkError, match=r"no VAL_ACCURACY of the seed 5 on cifar10 \(seeds: 777, 888"):
        table.query(code, Metric.VAL_ACCURACY, "cifar10", seed=5)


def test_codes_of_darts_cells_have_the_smaller_predecessor_first():
    cell = [[0, 1], [1, 0], [1, 2], [0, 0], [2, 3], [1, 1], [0, 4], [0, 2]]
    names = np.array(["skip_connect", "sep_conv_3x3", "none"])
    (code,) = darts_codes(np.array([[cell, cell]]), names).tolist()
    assert code[:16] == [0, 3, 1, 2, 0, 2, 2, 3, 1, 3, 3, 7, 2, 2, 4, 2] and code[16:] == code[:16]
    with pytest.raises(ValueError, match="takes a later one"):
        darts_codes(np.array([[[[0, 2], *cell[1:]], cell]]), names)


def test_codes_of_subnets_leave_out_blocks_that_are_not_there():
    (code,) = ofa_codes(np.array([[2, 3, 4, 2, 2]]), np.full((1, 20), 6), np.full((1, 20), 5)).tolist()
    assert len(code) == 45 and code[:9] == [0, 2, 1, 2, 1, -1, -1, -1, -1] and code[9] == 1 and code[18] == 2


def test_a_table_by_numbers_asks_for_the_one_that_says_which_cells(tmp_path):
    np.savez(tmp_path / "nb201_latency.npz", devices=["a"], latency_ms=np.ones((1, 15_625)))
    with pytest.raises(BenchmarkDataMissing, match=r"nb201\.npz.*put it there"):
        get_dataset_api("nasbench201", None, tmp_path, "latency")


def test_an_unknown_kind_is_named_with_those_there_are():
    with pytest.raises(BenchmarkError, match="do not tell 'latencies'; did you mean 'latency'"):
        get_dataset_api("nasbench201", kind="latencies")
    with pytest.raises(BenchmarkError, match="no benchmark of the search space 'nasbench2001'"):
        get_dataset_api("nasbench2001")
