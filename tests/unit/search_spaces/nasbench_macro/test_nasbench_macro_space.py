"""NAS-Bench-Macro: strings, sizes, and every row of its table."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from data_files import data_file
from torch.utils.flop_counter import FlopCounterMode

from naslib.benchmarks import get_dataset_api
from naslib.errors import ArchitectureError, BenchmarkError
from naslib.optimizers import RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBenchMacroSearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench_macro.codec import count_macs, count_parameters

TABLE = data_file("nb_macro.npz")
with_table = pytest.mark.skipif(not TABLE.is_file(), reason=f"no {TABLE.name}")


@pytest.fixture(scope="module")
def table():
    return get_dataset_api("nasbench_macro", "cifar10", TABLE)


def _code_only(spec: object) -> NasBenchMacroSearchSpace:
    space = NasBenchMacroSearchSpace()
    space.instantiate_model = False
    space.set_spec(spec)
    return space


def test_architectures_are_strings_of_eight_digits() -> None:
    space = _code_only("22212202")
    assert space.get_code() == (2, 2, 2, 1, 2, 2, 0, 2) and space.genotype() == space.get_hash() == "22212202"
    assert _code_only(["Identity"] * 7 + ["MB6_K5"]).genotype() == "00000002"
    assert NasBenchMacroSearchSpace().check_spec("01210210") == (0, 1, 2, 1, 0, 2, 1, 0)
    assert space.decision_space.size() == 6561 and len({*space.get_arch_iterator()}) == 6561
    for wrong in ("2221220", "22212203", "222122021", "abc"):
        with pytest.raises(ArchitectureError):
            _code_only(wrong)


@pytest.mark.parametrize("code", ["00000000", "11111111", "22222222", "01201201"])
def test_sizes_are_those_of_the_network(code: str) -> None:
    with torch.device("meta"):
        space = NasBenchMacroSearchSpace()
    space.set_spec(code)
    space.parse()
    digits = space.get_code()
    assert sum(parameter.numel() for parameter in space.parameters()) == count_parameters(digits)
    with FlopCounterMode(display=False) as counter:
        space.eval()(torch.zeros(1, 3, 32, 32, device="meta"))
    assert counter.get_total_flops() == 2 * count_macs(digits)
    assert count_parameters(digits, 100) - count_parameters(digits) == 90 * 1281


@with_table
def test_every_architecture_is_found_with_the_size_that_was_published(table) -> None:
    with np.load(TABLE) as file:
        codes, accuracies, params, flops = (file[name] for name in ("arch", "test_acc", "params", "flops"))
    assert len(table) == 6561
    assert [count_parameters(code) for code in codes.tolist()] == params.tolist()
    assert [count_macs(code) for code in codes.tolist()] == flops.tolist()
    found = table.query_batch(codes, Metric.TEST_ACCURACY, "cifar10")
    np.testing.assert_allclose(found, accuracies.astype(float).mean(1), rtol=0, atol=1e-12)
    assert found.argmax() == table.index_of((2, 2, 2, 1, 2, 2, 0, 2))
    best = _code_only("22212202")
    assert best.query(Metric.TEST_ACCURACY, "cifar10", dataset_api=table) == pytest.approx(93.12666, abs=1e-4)
    assert best.query(Metric.PARAMETERS, "cifar10", dataset_api=table) == count_parameters(best.get_code()) / 1e6
    assert found.min() == pytest.approx(45.36333, abs=1e-4)  # "00000000"
    assert all(table.code_of(index) == tuple(codes[index]) for index in (0, 17, 6560))


@with_table
def test_what_the_table_does_not_have_is_an_error(table) -> None:
    code = (0,) * 8
    for metric, epoch, words in (
        (Metric.VAL_ACCURACY, -1, r"no VAL_ACCURACY \(it has: TEST_ACCURACY, PARAMETERS, FLOPS\)"),
        (Metric.TEST_ACCURACY, 12, "no results after 12 epochs"),
    ):
        assert not table.has(metric, "cifar10", epoch)
        with pytest.raises(BenchmarkError, match=words):
            table.query(code, metric, "cifar10", epoch)
    with pytest.raises(BenchmarkError, match="no data set 'svhn'"):
        table.query(code, Metric.TEST_ACCURACY, "svhn")
    with pytest.raises(ArchitectureError, match="none of the 6,561"):
        table.query((3,) * 8, Metric.TEST_ACCURACY, "cifar10")
    with pytest.raises(BenchmarkError, match="learning curves"):
        table.query(code, Metric.TEST_ACCURACY, "cifar10", full_lc=True)
    assert table.query(code, Metric.RAW, "cifar10") == {
        "test_accuracy": pytest.approx(45.36333, abs=1e-4), "parameters": 0.387882, "flops": 7.71328,
    }  # fmt: skip
    assert table.sample_code(Random(0)) in {*_code_only("00000000").get_arch_iterator()}


@with_table
@pytest.mark.parametrize("method", [RandomSearch, RegularizedEvolution])
def test_a_search_on_codes_asks_the_table(method, table) -> None:
    np.random.seed(1)
    optimizer = method(epochs=60, metric="TEST_ACCURACY", fidelity=-1)
    optimizer.adapt_search_space(NasBenchMacroSearchSpace(), dataset_api=table, dataset="cifar10")
    for epoch in range(60):
        optimizer.new_epoch(epoch)
    found = optimizer.get_final_architecture()
    assert found.query(Metric.TEST_ACCURACY, "cifar10", dataset_api=table) > 91.0


@with_table
def test_networks_that_are_the_same_have_the_same_row(table) -> None:
    """Which of the later layers of a stage is left out makes no difference."""

    def same(code: tuple[int, ...]) -> tuple[int, ...]:
        found: list[int] = []
        for first, last in ((0, 2), (2, 5), (5, 8)):
            kept = [digit for digit in code[first + 1 : last] if digit]
            found += [code[first], *kept, *[0] * (last - first - 1 - len(kept))]
        return tuple(found)

    codes = [*_code_only("00000000").get_arch_iterator()]
    ours, theirs = (
        table.query_batch(np.array(rows), Metric.TEST_ACCURACY, "cifar10") for rows in (codes, [*map(same, codes)])
    )
    assert np.array_equal(ours, theirs) and len({*map(same, codes)}) == 3969
