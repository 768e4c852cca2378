"""Architectures of spaces without a codec: drawn, mutated, set, read and encoded by what the space states."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from small_spaces import mlp_space
from torch import nn

from naslib.errors import ArchitectureError, ConfigError, SpecAlreadySetError, UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer, GSparseOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.search_spaces.core._selection import keep_strongest_edges
from naslib.search_spaces.core.elastic import ElasticLinear, Value
from naslib.search_spaces.core.graph import EdgeData, Graph


class Inner(Graph):
    """Three nodes of which the last keeps two of three inputs; on the first edge there may be another graph."""

    def __init__(self, nested: bool = True) -> None:
        super().__init__(name="outer" if nested else "inner")
        self.add_nodes_from([1, 2, 3, 4])
        self.add_edges_densly()
        for u, v, data in self.edges(data=True):
            data.set(
                "op", [Inner(False), nn.Identity()] if nested and (u, v) == (1, 2) else [nn.Linear(3, 3), nn.Tanh()]
            )

    def prepare_discretization(self) -> None:
        self.update_nodes(keep_strongest_edges)


SPACES: dict[str, tuple[Callable[[], Graph], tuple[int, ...]]] = {
    "simple_cell": (lambda: SimpleCellSearchSpace(n_classes=3, channels=4), (2, 3, 8, 8)),
    "mlp": (mlp_space, (2, 6)),
    "nested": (Inner, (2, 3)),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_random_architecture_is_a_network_that_says_what_it_is(name: str) -> None:
    make, shape = SPACES[name]
    for seed in range(6):
        graph = make()
        stated = graph.decision_space
        graph.sample_random_architecture(rng=seed)
        code = graph.get_code()
        assert code == stated.random(seed) and graph.decision_space == stated and graph.get_hash() == code
        graph.parse()
        assert graph(torch.randn(shape)).isfinite().all()
        for copy in (graph.clone(), pickle.loads(pickle.dumps(graph))):
            assert copy.get_code() == code
        again = make()
        again.set_spec(stated.choices(code))
        assert again.get_code() == code and again.genotype() == graph.genotype()
        by_edges = make()
        by_edges.set_spec(graph.genotype())  # the operations by edge
        assert by_edges.get_code() == code
        np.testing.assert_array_equal(graph.encode("adjacency_one_hot"), stated.vector(code))
        with pytest.raises(SpecAlreadySetError):
            graph.sample_random_architecture(rng=0)


@pytest.mark.parametrize("name", SPACES)
def test_codes_alone_are_mutated_and_have_neighbours(name: str) -> None:
    make, _ = SPACES[name]
    parent, child = make(), make()
    parent.instantiate_model = child.instantiate_model = False
    stated = parent.decision_space
    parent.sample_random_architecture(rng=1)
    neighbours = stated.neighbours(parent.get_code())
    for seed in range(5):
        child.mutate(parent, rng=seed)
        assert child.get_code() in neighbours and child.genotype() == _plain(stated.choices(child.get_code()))
    found = parent.get_nbhd()
    assert [model.arch.get_code() for model in found] == neighbours and found[0].arch.decision_space == stated
    assert found[0].arch.get_hash() == neighbours[0] and found[0].arch.clone().get_code() == neighbours[0]
    fresh = make()
    fresh.set_spec(str(list(neighbours[0])))  # as text
    assert fresh.get_code() == neighbours[0]


def _plain(choices: dict) -> dict:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in choices.items()}


def test_all_architectures_of_a_small_space() -> None:
    codes = list(mlp_space().get_arch_iterator())
    assert len(codes) == 27 == len(set(codes))

    class Large(Graph):
        def __init__(self) -> None:
            super().__init__(name="large")
            self.add_nodes_from(range(1, 9))
            self.add_edges_densly()
            self.set_at_edges("op", [nn.Tanh(), nn.ReLU(), nn.Identity()])

    with pytest.raises(UnsupportedBySpaceError, match="Large is too large"):
        Large().get_arch_iterator()


@pytest.mark.parametrize("name", SPACES)
def test_what_a_search_ends_with_has_a_code_that_builds_it_again(name: str) -> None:
    make, shape = SPACES[name]
    torch.manual_seed(0)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(make())
    for alpha in optimizer.architectural_weights:
        nn.init.normal_(alpha)
    network = optimizer.get_final_architecture()
    again = make()
    again.set_spec(network.get_code())
    assert again.get_code() == network.get_code() and again.genotype() == network.genotype()
    assert network.decision_space == make().decision_space
    assert network.evaluation_network().get_code() == network.get_code()
    x = torch.randn(shape)
    again.parse()
    assert again(x).shape == network(x).shape


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ((0, 1), "3 ints"),
        ((0, 1, 3), "'cell/2-3' takes 1"),
        ({"cell/1-2": "Tanh"}, "not 'Tanh'"),
        ({"cell/1-9": "Identity"}, "no decision 'cell/1-9'; did you mean"),
        ({"cell/1-2": "Identity"}, "is not made"),
        ("Identity everywhere", "cannot read"),
        ([{"graph": "cell", "edge": [1, 2], "op": "Tanh"}], "no candidate 'Tanh'"),
    ],
)
def test_what_is_no_architecture_of_the_space_is_refused(spec: object, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        mlp_space().set_spec(spec)
    with pytest.raises(ArchitectureError, match=message):
        mlp_space().check_spec(spec)


def test_a_graph_that_is_not_discrete_has_no_code() -> None:
    with pytest.raises(ArchitectureError, match="not discrete"):
        mlp_space().get_code()
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(mlp_space())
    with pytest.raises(ArchitectureError, match="not decided"):
        optimizer.graph.get_code()


def test_equal_operations_are_told_apart_by_where_they_stand() -> None:
    graph = mlp_space()
    graph.set_spec({"cell/1-2": "Sequential (2)", "cell/1-3": "Sequential", "cell/2-3": "Identity"})
    assert graph.get_code() == (1, 0, 2)
    cells = [graph.edges[u, u + 1].op for u in (2, 3)]
    assert all(cell.edges[1, 2].op is cell.edges[1, 2].primitives[1] for cell in cells)
    plain = Graph(name="plain")
    plain.add_nodes_from([1, 2])
    plain.add_edge(1, 2, EdgeData({"op": nn.Tanh()}))
    with pytest.raises(UnsupportedBySpaceError, match="nothing to decide"):
        plain.sample_random_architecture(rng=0)


class Elastic(Graph):
    """A choice between layers of a width that is decided, too, and a layer that takes what they give."""

    def __init__(self) -> None:
        super().__init__(name="elastic")
        width = Value((2, 4), "width")
        self.add_nodes_from([1, 2, 3, 4])
        self.add_edge(1, 2, EdgeData({"op": ElasticLinear(3, width)}))
        self.add_edge(2, 3, EdgeData({"op": [ElasticLinear(width, width), nn.Tanh()]}))
        self.add_edge(3, 4, EdgeData({"op": ElasticLinear(width, 2)}).finalize())


@pytest.mark.parametrize(("width", "first"), [(2, "ElasticLinear"), (4, "Tanh"), (2, "Tanh")])
def test_sizes_are_set_with_the_operations(width: int, first: str) -> None:
    graph = Elastic()
    weights = [graph.edges[e].op.weight.clone() for e in ((1, 2), (3, 4))]
    assert graph.decision_space.names == ("elastic/2-3", "width") and graph.decision_space.size() == 4
    graph.set_spec({"elastic/2-3": first, "width": width})
    assert graph.get_code() == graph.clone().get_code() == (int(first == "Tanh"), width // 2 - 1)
    layers = [graph.edges[e].op for e in ((1, 2), (3, 4))]
    assert all(type(layer) is nn.Linear for layer in layers)
    assert torch.equal(layers[0].weight, weights[0][:width]) and torch.equal(layers[1].weight, weights[1][:, :width])
    graph.parse()
    assert graph(torch.ones(5, 3)).shape == (5, 2)
    with pytest.raises(SpecAlreadySetError):
        graph.set_spec({"elastic/2-3": first, "width": width})


def test_a_search_that_does_not_decide_sizes_says_so() -> None:
    with pytest.raises(ConfigError, match="GSparseOptimizer does not fit sizes of elastic layers"):
        GSparseOptimizer().adapt_search_space(Elastic())
