"""RandomSearch and RegularizedEvolution: the algorithm step by step, checkpoints, statistics, published results."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from call_count import count_calls
from data_files import data_file

from naslib.benchmarks import NasBench201Table
from naslib.benchmarks.base import Benchmark
from naslib.config.loader import load_config
from naslib.defaults.trainer import Trainer
from naslib.errors import (
    BenchmarkApiMissing,
    BenchmarkError,
    CheckpointError,
    ConfigError,
    OptimizerStateError,
    UnsupportedBySpaceError,
)
from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.discrete import RandomSearch, RegularizedEvolution
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.re.optimizer import AgingPopulation
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AvgPool1x1, Identity, ReLUConvBN, Zero
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

FILE = data_file("nb201.npz")
needs_file = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
OPTIMIZERS = [RandomSearch, RegularizedEvolution]


class SumOfOps(Benchmark):
    """A made-up benchmark whose best code is six times op 4; it has an accuracy at 200 and at 12 epochs."""

    name = "sum_of_ops"
    datasets = ("made_up",)

    def query(
        self, code: tuple[int, ...], metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        if not self.has(metric, dataset, epoch):
            raise BenchmarkError(f"no {metric} after {epoch}")
        if metric is Metric.PARAMETERS:
            return float(max(code))
        return float(sum(code)) + (0 if epoch == 12 else 50) + (0.5 if metric is Metric.TEST_ACCURACY else 0)

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        return np.array([self.query(tuple(code), metric, dataset, epoch) for code in codes])

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        return metric in (Metric.VAL_ACCURACY, Metric.TEST_ACCURACY, Metric.PARAMETERS) and epoch in (-1, 12, 200)


class Space(Graph):
    """One cell between two plain edges, with NAS-Bench-201's codes."""

    QUERYABLE = True
    OPTIMIZER_SCOPE = "stage_1"
    codec = NasBench201Codec()

    def __init__(self) -> None:
        super().__init__("makrograph")
        cell = Graph(name="cell", scope="stage_1")
        for graph in (self, cell):
            for node in range(1, 5):
                graph.add_node(node)
        cell.add_edges_densly()
        for edge in cell.edges:
            cell.edges[edge].set(
                "op", [Identity(), Zero(1), ReLUConvBN(2, 2, 3), ReLUConvBN(2, 2, 1), AvgPool1x1(3, 1)]
            )
        self.add_edges_from([(1, 2), (2, 3), (3, 4)])
        self.edges[2, 3].set("op", cell)


def adapted(kind: type[DiscreteOptimizer], api: Benchmark | None = None, seed: int = 0, **kwargs: Any) -> Any:
    optimizer = kind(**kwargs)
    np.random.seed(seed)
    optimizer.adapt_search_space(Space(), "cifar10" if api else "made_up", dataset_api=api or SumOfOps())
    return optimizer


def saved(optimizer: DiscreteOptimizer) -> Mapping[str, Any]:
    """The checkpoint as it comes back from a file, loaded without pickled code."""
    file = BytesIO()
    torch.save({name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Strict(SumOfOps):
    """It knows one data set, and says so."""

    datasets = ("cifar10",)

    def query(
        self, code: tuple[int, ...], metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        if dataset != "cifar10":
            raise BenchmarkError(f"no data set {dataset!r}")
        return super().query(code, metric, dataset, epoch, full_lc)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        return dataset == "cifar10" and super().has(metric, dataset, epoch)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_runners_as_in_naslib_name_the_data_set_in_the_config_only(kind: type[DiscreteOptimizer], tmp_path) -> None:
    config = load_config({"dataset": "cifar10", "device": "cpu", "search": {"epochs": 12, "population_size": 5}})
    config.save = str(tmp_path)
    api = Strict()
    optimizer = kind(config)
    optimizer.adapt_search_space(Space(), dataset_api=api)
    trainer = Trainer(optimizer, config, lightweight_output=True)
    trainer.search()
    test_accuracy = trainer.evaluate(dataset_api=api)
    best = optimizer.record.incumbent
    assert best is not None and optimizer.record.evaluations == 12
    assert test_accuracy == sum(best) + 50.5
    assert optimizer.test_statistics() == test_accuracy


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_benchmark_in_a_dictionary_is_found_and_a_table_of_naslib_is_refused(kind: type[DiscreteOptimizer]) -> None:
    optimizer = kind()
    optimizer.adapt_search_space(Space(), "made_up", dataset_api={"nb201_data": SumOfOps()})
    optimizer.new_epoch(0)
    assert optimizer.record.latest is not None
    architecture = optimizer.get_final_architecture()
    value = architecture.query(Metric.VAL_ACCURACY, "made_up", dataset_api={"nb201_data": SumOfOps()})
    assert value == optimizer.record.incumbent_value
    table = {"nb201_data": {"|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": {"cifar10-valid": {}}}}
    for wrong, named in ((table, "a dictionary with 'nb201_data'"), ({}, "nothing in it"), ([1], "a list")):
        with pytest.raises(BenchmarkError, match=rf"dataset_api is .*{named}.*get_dataset_api"):
            kind().adapt_search_space(Space(), "made_up", dataset_api=wrong)
        with pytest.raises(BenchmarkError, match=named):
            architecture.query(Metric.VAL_ACCURACY, "made_up", dataset_api=wrong)
    with pytest.raises(BenchmarkError, match="nb201_data"):
        DARTSOptimizer().adapt_search_space(Space(), "made_up", dataset_api=table)


# the algorithm


def test_population_replaces_the_oldest() -> None:
    population = AgingPopulation(3)
    for i in range(8):
        population.add((i,), float(i))
    assert population.by_age() == [((5,), 5.0), ((6,), 6.0), ((7,), 7.0)]


@pytest.mark.parametrize("sample_size", [1, 3, 10])
def test_tournament_draws_with_replacement(sample_size: int) -> None:
    population = AgingPopulation(5)
    for i in range(5):
        population.add((i,), float(i))
    rng, n = random.Random(0), 40_000
    wins = np.bincount([population.tournament(sample_size, rng)[0] for _ in range(n)], minlength=5) / n
    # P(best of k draws with replacement <= i) = ((i + 1) / 5) ** k
    expected = np.diff([(i / 5) ** sample_size for i in range(6)])
    assert np.all(np.abs(wins - expected) < 5 * np.sqrt(expected * (1 - expected) / n) + 1e-12)


def test_evolution_follows_the_algorithm() -> None:
    optimizer = adapted(RegularizedEvolution, sample_size=4, population_size=6)
    history: list[tuple[int, ...]] = []
    codec = NasBench201Codec()
    for epoch in range(60):
        alive = history[-6:]
        optimizer.new_epoch(epoch)
        history.append(optimizer.record.latest)
        if epoch >= 6:  # a child differs in one edge from a member alive
            assert any(history[-1] in codec.neighbours(parent) for parent in alive)
        assert [code for code, _ in optimizer.population.by_age()] == history[-6:]
        assert [value for _, value in optimizer.population.by_age()] == [50.0 + sum(code) for code in history[-6:]]
    assert optimizer.record.evaluations == 60


def test_evolution_climbs_and_random_search_does_not() -> None:
    found = {kind: [] for kind in OPTIMIZERS}  # type: ignore[var-annotated]
    for kind, sums in found.items():
        for seed in range(5):
            optimizer = adapted(kind, seed=seed, **({"population_size": 10} if kind is RegularizedEvolution else {}))
            late = []
            for epoch in range(300):
                optimizer.new_epoch(epoch)
                late += [sum(optimizer.record.latest)] if epoch >= 200 else []
            sums.append(np.mean(late))
    assert np.mean(found[RegularizedEvolution]) > 18  # of 24
    assert abs(np.mean(found[RandomSearch]) - 12) < 1  # the mean of the space


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_incumbent_is_the_best_seen_and_memory_stays_flat(kind: type[DiscreteOptimizer]) -> None:
    optimizer = adapted(kind)
    best, first = -1.0, None
    for epoch in range(500):
        optimizer.new_epoch(epoch)
        value = 50.0 + sum(optimizer.record.latest)
        if value > best:
            best, first = value, optimizer.record.latest
        assert optimizer.record.incumbent_value == best and optimizer.record.incumbent == first
    values = [value for _, value, _ in optimizer.record.trajectory]
    assert all(a < b for a, b in pairwise(values)) and len(values) <= 25
    size = len(json.dumps({name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}))
    for epoch in range(500, 5500):
        optimizer.new_epoch(epoch)
    after = len(json.dumps({name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}))
    assert after < size + 1000


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_ask_and_tell_drive_the_search_without_a_benchmark(kind: type[DiscreteOptimizer]) -> None:
    optimizer = adapted(kind)
    for _ in range(20):
        code = optimizer.ask()
        optimizer.tell(code, -float(sum(code)))
    assert optimizer.record.incumbent_value == -float(sum(optimizer.record.incumbent))
    assert optimizer.record.evaluations == 20


# the face of an optimizer


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("stop", [5, 37, 150])
def test_resumed_search_equals_the_uninterrupted_one(kind: type[DiscreteOptimizer], stop: int) -> None:
    whole, first = adapted(kind, seed=1), adapted(kind, seed=1)
    for epoch in range(200):
        whole.new_epoch(epoch)
    for epoch in range(stop):
        first.new_epoch(epoch)
    second = adapted(kind, seed=2)
    state = saved(first)
    assert "model" in state
    for name, part in second.get_checkpointables().items():
        part.load_state_dict(state[name])
    for epoch in range(stop, 200):
        second.new_epoch(epoch)
    assert saved(second) == saved(whole)
    assert second.train_statistics(False) == whole.train_statistics(False)


def test_checkpoint_of_another_population_size_is_refused() -> None:
    state = saved(adapted(RegularizedEvolution, population_size=7))
    with pytest.raises(CheckpointError, match="population_size 7, this search 9"):
        adapted(RegularizedEvolution, population_size=9).get_checkpointables()["population"].load_state_dict(
            state["population"]
        )


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_statistics_and_final_architecture(kind: type[DiscreteOptimizer]) -> None:
    optimizer = adapted(kind, fidelity=12)
    for epoch in range(150):
        optimizer.new_epoch(epoch)
    best, latest = sum(optimizer.record.incumbent), sum(optimizer.record.latest)
    assert optimizer.train_statistics() == (None, best, best + 50.5, None)
    assert optimizer.train_statistics(report_incumbent=False) == (None, latest, latest + 50.5, None)
    assert optimizer.test_statistics() == best + 50.5
    assert optimizer.get_model_size() == max(optimizer.record.incumbent)
    before = saved(optimizer)
    final = optimizer.get_final_architecture()
    assert final.get_code() == optimizer.record.incumbent
    assert final(torch.randn(2, 2, 5, 5)).shape == (2, 2, 5, 5)
    assert saved(optimizer) == before and optimizer.graph.edges[2, 3].op.edges[1, 2].op.__class__ is list
    assert not kind.using_step_function


def test_the_given_space_is_not_changed() -> None:
    space = Space()
    cell = space.edges[2, 3].op
    before = {edge: list(cell.edges[edge].op) for edge in cell.edges}
    optimizer = RandomSearch()
    optimizer.adapt_search_space(space, "made_up", dataset_api=SumOfOps())
    optimizer.new_epoch(0)
    optimizer.get_final_architecture()
    assert space.edges[2, 3].op is cell and {edge: cell.edges[edge].op for edge in cell.edges} == before
    assert not space.is_parsed and optimizer.graph is not space


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_misuse_gets_a_clear_error(kind: type[DiscreteOptimizer]) -> None:
    optimizer = kind()
    with pytest.raises(OptimizerStateError, match="adapt_search_space first"):
        optimizer.ask()
    with pytest.raises(BenchmarkApiMissing, match="get_dataset_api"):
        optimizer.adapt_search_space(Space(), "cifar10")
    with pytest.raises(UnsupportedBySpaceError, match="no codec"):
        optimizer.adapt_search_space(Graph("plain"), "cifar10", dataset_api=SumOfOps())
    with pytest.raises(BenchmarkError, match="after 100"):
        kind(fidelity=100).adapt_search_space(Space(), "made_up", dataset_api=SumOfOps())
    with pytest.raises(OptimizerStateError, match="not evaluated"):
        adapted(kind).get_final_architecture()
    with pytest.raises(ConfigError, match="did you mean 'fidelity'"):
        kind(fidelty=3)
    with pytest.raises(ConfigError, match="maximises one of"):
        kind(metric="TRAIN_TIME")
    kind(learning_rate=0.1)  # a key of the shared schema that a discrete search does not use


def test_sizes_below_one_are_refused_together() -> None:
    with pytest.raises(ConfigError, match=r"sample_size must be.*\n.*population_size must be"):
        RegularizedEvolution(sample_size=0, population_size=-1)


# on the real table


@needs_file
@pytest.mark.parametrize(
    ("kind", "kwargs", "mean", "std"),
    [(RandomSearch, {}, 90.96, 0.36), (RegularizedEvolution, {"population_size": 10, "sample_size": 3}, 91.13, 0.43)],
)
def test_published_protocol_gives_the_published_accuracy(
    kind: type[DiscreteOptimizer], kwargs: dict[str, int], mean: float, std: float
) -> None:
    """NAS-Bench-201's own protocol: 12-epoch accuracy, 12,000 simulated seconds, the found cell read at 200 epochs."""
    table, runs = NasBench201Table(FILE), 30
    found, evaluations = [], []
    for seed in range(runs):
        optimizer = adapted(kind, table, seed, fidelity=12, **kwargs)
        spent, epoch = 0.0, 0
        while spent < 12_000:
            optimizer.new_epoch(epoch)
            epoch += 1
            spent += optimizer.train_statistics(report_incumbent=False)[3]
        found.append(table.query(optimizer.record.incumbent, Metric.VAL_ACCURACY, "cifar10"))
        if seed == 0:
            final = optimizer.get_final_architecture()
            assert final.query(Metric.VAL_ACCURACY, "cifar10", dataset_api=table) == found[0]
        evaluations.append(epoch)
    assert abs(np.mean(found) - mean) < 3 * std / math.sqrt(runs)
    assert 90 < np.mean(evaluations) < 130


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_evaluation_costs_some_calls_and_none_that_grow(kind: type[DiscreteOptimizer]) -> None:
    """20,000 architectures a second are measured by the benchmarks; here is what they rest on."""
    optimizer = adapted(kind)
    epochs = itertools.count()
    counts = []
    for _ in range(3):
        numbers = list(itertools.islice(epochs, 1000))
        counts.append(count_calls(lambda numbers=numbers: [optimizer.new_epoch(epoch) for epoch in numbers]))  # type: ignore[misc]
    assert max(counts) / 1000 < 100
    assert counts[2] == pytest.approx(counts[1], rel=0.1)


class Shifted(SumOfOps):
    """The same with 1000 more."""

    def query(self, *args: Any, **kwargs: Any) -> Any:
        return super().query(*args, **kwargs) + 1000


def test_statistics_are_of_the_architecture_and_the_benchmark_as_they_are_now() -> None:
    optimizer = adapted(RandomSearch)
    for epoch in range(30):
        optimizer.new_epoch(epoch)
        best, latest = optimizer.record.incumbent, optimizer.record.latest
        assert optimizer.test_statistics() == optimizer.train_statistics()[2] == sum(best) + 50.5
        assert optimizer.train_statistics(False)[1:3] == (sum(latest) + 50, sum(latest) + 50.5)
    optimizer.dataset_api = Shifted()
    assert optimizer.test_statistics() == sum(best) + 1050.5
