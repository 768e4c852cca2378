"""NAS-Bench-1Shot1: the sub-spaces, what they count, and the cells of NAS-Bench-101 that they find."""

from __future__ import annotations

import copy
import pickle
from itertools import product
from math import comb
from random import Random

import pytest
import torch
from data_files import data_file

from naslib.benchmarks import get_dataset_api
from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer, RegularizedEvolution, SPOSOptimizer
from naslib.search_spaces import NasBench1Shot1SearchSpace, NasBench101SearchSpace
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench101.cells import OPS, dag_of
from naslib.search_spaces.nasbench101.network import count_parameters
from naslib.search_spaces.nasbench101.one_shot_cell import PARENTS, Joining, Reading, wirings

FILE = data_file("nb101.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
# [Zela2020nasbench1shot1], table 1
PUBLISHED = {1: 6_240, 2: 29_160, 3: 363_648}


def _space(number: int, **sizes: int) -> NasBench1Shot1SearchSpace:
    torch.manual_seed(0)
    return NasBench1Shot1SearchSpace(4, 3, number, **{"channels": 4, "cells_per_stack": 1, **sizes})


def test_the_numbers_of_the_paper_count_loose_ends_in_the_second_part_only() -> None:
    for number, published in PUBLISHED.items():
        counts, inner = PARENTS[number], len(PARENTS[number]) - 1
        wired = [len(ways) for ways in wirings(number)]
        assert wired == [comb(v, count) for v, count in enumerate(counts, start=1)]
        with_loose_ends, without = 0, 0
        for parents in product(*wirings(number)):
            read = {parent for some in parents for parent in some if parent}
            with_loose_ends += 3**inner
            without += 3 ** len(read)
        assert published == (with_loose_ends if number == 2 else without)
        assert _space(number).decision_space.size() == published


@pytest.mark.parametrize(
    "number", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_every_architecture_comes_once(number: int) -> None:
    space = _space(number).decision_space
    assert len(set(space.iterate())) == PUBLISHED[number]


def test_what_nothing_reads_has_no_operation_of_its_own() -> None:
    space = _space(1).decision_space
    for seed in range(10):
        code = space.random(seed)
        members = list(space.members(code))  # type: ignore[attr-defined]
        assert code in members and {space.canonical(member) for member in members} == {code}
        near = space.mutate(code, seed)
        assert code in space.neighbours(near) and near in space.neighbours(code)
    copies = [copy.deepcopy(space), pickle.loads(pickle.dumps(space))]
    assert all(one == space and one.size() == 6_240 for one in copies)


@pytest.mark.parametrize("number", PARENTS)
def test_an_architecture_is_a_cell_of_nasbench101(number: int) -> None:
    for seed in range(2):
        graph = _space(number)
        graph.sample_random_architecture(rng=Random(seed))
        code = graph.get_code()
        assert len(code) == 26
        dag = LabelledDag.of_code(code, 7)
        counts = [len(dag.sources(v)) for v in range(1, 7)]
        assert counts == [*PARENTS[number][:-1], *[0] * (6 - len(PARENTS[number])), PARENTS[number][-1]]
        assert graph.cell_code() == NasBench101SearchSpace.codec.canonical(graph.genotype())
        network = graph.evaluation_network(channels=8)
        assert sum(p.numel() for p in network.parameters()) == count_parameters(dag_of(code), 4, 8, 3)
        for spec in (str(graph.genotype()), graph._codec().to_decisions(code)):
            again = _space(number)
            again.set_spec(spec)
            assert again.get_code() == code


def test_the_discrete_cell_computes_what_its_decisions_say() -> None:
    graph = _space(1)
    rows = ["011011", "001100", "000100", "000010", "000001", "000000"]
    graph.set_spec(
        {
            "matrix": [[int(bit) for bit in row] for row in rows],
            "ops": ["input", OPS[0], OPS[2], OPS[1], OPS[2], "output"],
        }
    )
    graph.double().eval()
    graph.parse()
    cell = graph.edges[2, 3].op
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    projected = {v: cell.edges[1, 2 * v].op(x) for v in range(1, 6)}

    def pool(value: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.max_pool2d(value, 3, 1, 1)

    one = cell.edges[2, 3].op(projected[1])
    two = pool(projected[2] + one)
    three = cell.edges[6, 7].op(one + two)
    four = pool(projected[4] + three)
    nothing = torch.zeros_like(four)
    expected = projected[5] + torch.cat([nothing, nothing, nothing, four], dim=1)
    torch.testing.assert_close(cell(x), expected, rtol=0, atol=0)


def test_readings_are_called_by_what_they_read() -> None:
    space = _space(2).decision_space
    assert space.decision("cell/4:comb_op").candidates == ("0", "1")
    assert space.decision("cell/10:comb_op").candidates[:2] == ("0+1+2", "0+1+3")
    assert tuple(Reading((0, 2)).used_inputs(3)) == (0, 2)
    x = torch.ones(1, 2, 1, 1)
    assert Joining((0, 2), 2)([torch.full((1, 4, 1, 1), 5.0), x, 2 * x], []).flatten().tolist() == [5, 5, 7, 7]


@needs_file
@pytest.mark.parametrize("method", [DARTSOptimizer, SPOSOptimizer])
def test_what_a_search_finds_is_in_the_table(method: type) -> None:
    table = get_dataset_api("nasbench1shot1", "cifar10", FILE.parent)
    optimizer = method(epochs=1)
    optimizer.adapt_search_space(_space(3), dataset="cifar10", dataset_api=table)
    optimizer.before_training()
    found = optimizer.get_final_architecture()
    row = table.index_of(found.cell_code())  # type: ignore[attr-defined]
    assert table.index_of(found.get_code()) == row  # type: ignore[attr-defined]
    accuracy = found.query(Metric.TEST_ACCURACY, "cifar10", dataset_api=table)
    assert accuracy == table.query(table.code_of(row), Metric.TEST_ACCURACY, "cifar10") > 50  # type: ignore[attr-defined]


@needs_file
def test_evolution_searches_the_table() -> None:
    torch.manual_seed(0)
    table = get_dataset_api("nasbench1shot1", "cifar10", FILE.parent)
    search = RegularizedEvolution(population_size=8, sample_size=3, fidelity=108, metric="test_accuracy")
    search.adapt_search_space(_space(3), dataset="cifar10", dataset_api=table)
    for epoch in range(60):
        search.new_epoch(epoch)
    assert search.record.incumbent is not None and search.codec.is_valid(search.record.incumbent)
    assert 92 < search.record.incumbent_value < 94.32


def test_what_is_none_of_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of 1, 2, 3, not 4"):
        _space(4)
    with pytest.raises(ConfigError, match="no head for segmentation"):
        NasBench1Shot1SearchSpace(task="segmentation")
    graph = _space(1)
    with pytest.raises(ArchitectureError, match=r"vertex 2 reads 2 earlier vertices, not \[1\]"):
        chain = [[int(v == u + 1) for v in range(6)] for u in range(6)]
        graph.set_spec({"matrix": chain, "ops": [OPS[0]] * 4})
    with pytest.raises(ArchitectureError, match="has 6 vertices, not 3"):
        graph.set_spec({"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": [OPS[0]]})
    other = _space(3)
    other.sample_random_architecture(rng=1)
    with pytest.raises(ArchitectureError):
        graph.set_spec(other.genotype())
    other.parse()
    with pytest.raises(UnsupportedBySpaceError, match="have 9 cells"):
        other.evaluation_network(cells=20)


def test_garbage_is_refused() -> None:
    codec = _space(1)._codec()
    names = {"cell/6:comb_op": 3}
    for spec in (None, 1, "", "{", {}, [], [[0, 1], [0, 0]], names, ["a"] * 26, [10**30] * 7, {1: 2}, object()):
        with pytest.raises(ArchitectureError):
            codec.canonical(spec)
        assert not codec.is_valid(spec)  # type: ignore[arg-type]
