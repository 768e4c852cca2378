"""What holds for every search space: it runs, copies, pickles, adapts and discretizes, at any size."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import UnknownNameError
from naslib.search_spaces import SEARCH_SPACES, NasBench301SearchSpace, get_search_space
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

SMALL: dict[str, dict[str, Any]] = {
    "simple_cell": {"channels": 4},
    "nasbench201": {"channels": 4, "cells_per_stage": 1},
    "nasbench301": {"channels": 4, "cells": 3, "nodes": 2},
    "darts": {"channels": 4, "cells": 4, "nodes": 3, "stem": "imagenet"},
    "simple_sequence": {"channels": 4},
}
NAMES = list(SMALL)  # what holds for all spaces is in tests/contract/test_every_space.py


def inputs(name: str, channels: int, size: int) -> Tensor:
    """Return two inputs of a space: images, or sequences."""
    shape = (size,) if name == "simple_sequence" else (size, size)
    return torch.randn(2, channels, *shape, generator=torch.Generator().manual_seed(0))


class Mixture(ops.MixedOp):
    def get_weights(self, edge_data: EdgeData) -> Tensor:
        return edge_data.alpha

    def process_weights(self, weights: Tensor) -> Tensor:
        return weights.softmax(0)

    def apply_weights(self, x: Tensor, weights: Tensor) -> Tensor:
        return ops.mix_outputs(self.primitives, x, weights)


def add_alpha(edge: Any, generator: torch.Generator) -> None:
    if isinstance(edge.data.op, list):
        edge.data.set("alpha", nn.Parameter(torch.randn(len(edge.data.op), generator=generator)), shared=True)


def mix(edge: Any) -> None:
    if isinstance(edge.data.op, list):
        edge.data.set("op", Mixture(edge.data.op))


def adapt(space: Graph, seed: int = 0) -> Graph:
    generator = torch.Generator().manual_seed(seed)
    graph = space.clone()
    graph.update_edges(functools.partial(add_alpha, generator=generator), scope=graph.OPTIMIZER_SCOPE)
    graph.update_edges(mix, scope=graph.OPTIMIZER_SCOPE, private_edge_data=True)
    graph.parse()
    return graph


def set_weights(edge: Any) -> None:
    if edge.data.has("alpha"):
        edge.data.set("op_weights", edge.data.alpha.detach().softmax(0), shared=True)


def discretize(supernet: Graph) -> Graph:
    graph = supernet.clone().unparse()
    graph.update_edges(set_weights, scope=graph.OPTIMIZER_SCOPE)
    graph.prepare_discretization()
    graph.update_edges(functools.partial(select, graph), scope=graph.OPTIMIZER_SCOPE, private_edge_data=True)
    graph.prepare_evaluation()
    graph.parse()
    return graph


def select(graph: Graph, edge: Any) -> None:
    if edge.data.has("alpha"):
        primitives = edge.data.op.primitives
        edge.data.set("primitives", primitives)
        edge.data.set("op", primitives[graph.select_primitive(edge.data)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "in_channels", "n_classes"), [(8, 1, 2), (9, 3, 10), (28, 1, 100), (33, 3, 7)])
def test_forward_and_backward_at_any_size(name: str, size: int, in_channels: int, n_classes: int) -> None:
    space = get_search_space(name, n_classes=n_classes, in_channels=in_channels, **SMALL[name])
    graph = adapt(space)
    x = inputs(name, in_channels, size)
    out = graph(x)
    assert out.shape == (2, n_classes) and out.isfinite().all()
    out.square().sum().backward()
    assert all(p.grad is not None for p in graph.parameters())
    assert all(alpha.grad.abs().sum() > 0 for alpha in graph.get_all_edge_data("alpha"))
    found = discretize(graph)
    assert found(x).shape == (2, n_classes)
    evaluation = found.evaluation_network(**({"cells": 3, "channels": 4} if name in ("darts", "nasbench301") else {}))
    assert evaluation(x).shape == (2, n_classes)


@pytest.mark.parametrize("name", NAMES)
def test_constructor_arguments_survive_copies_pickling_and_unparsing(name: str) -> None:
    space = get_search_space(name, n_classes=5, in_channels=1, **SMALL[name])
    x = inputs(name, 1, 8)
    graph = adapt(space).eval()
    expected = graph(x)
    for twin in (graph.clone(), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph)), graph.unparse()):
        assert type(twin) is type(space) and twin.n_classes == 5 and twin.in_channels == 1
        assert twin.channels == SMALL[name]["channels"]
        torch.testing.assert_close(twin.eval()(x), expected, rtol=0, atol=0)
    for op in space.get_all_edge_data("op", private_edge_data=True):
        assert not isinstance(op, Mixture)


@pytest.mark.parametrize("name", NAMES)
def test_cells_of_a_kind_share_their_decisions_and_nothing_else(name: str) -> None:
    space = get_search_space(name, **SMALL[name])
    graph = adapt(space)
    decisions = graph.get_all_edge_data("alpha", scope=graph.OPTIMIZER_SCOPE)
    copies = graph.get_all_edge_data("alpha", scope=graph.OPTIMIZER_SCOPE, private_edge_data=True)
    expected = {"simple_cell": (10, 15), "nasbench201": (6, 18), "nasbench301": (10, 15), "darts": (18, 36)}
    assert (len(decisions), len(copies)) == {**expected, "simple_sequence": (5, 10)}[name]
    assert {id(alpha) for alpha in decisions} == {id(alpha) for alpha in copies}
    parameters = list(graph.parameters())
    assert len({p.data_ptr() for p in parameters}) == len(parameters)
    mixed = [m for m in graph.modules() if isinstance(m, Mixture)]
    weights = [tuple(p.flatten()[:3].tolist()) for m in mixed for p in m.parameters() if p.dim() >= 3]
    assert len(set(weights)) == len(weights), "copies of a cell must not start from the same weights"
    assert [m.affine for op in mixed for m in op.modules() if isinstance(m, nn.BatchNorm2d)].count(True) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_discrete_architecture_keeps_weights_and_has_a_genotype(name: str) -> None:
    supernet = adapt(get_search_space(name, **SMALL[name]), seed=3)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    alphas = [alpha.clone() for alpha in supernet.get_all_edge_data("alpha")]
    found = discretize(supernet)
    assert all(torch.equal(value, before[key]) for key, value in supernet.state_dict().items())
    assert all(map(torch.equal, alphas, supernet.get_all_edge_data("alpha")))
    inherited = {tuple(value.flatten().tolist()) for value in before.values()}
    assert all(tuple(p.flatten().tolist()) in inherited for p in found.parameters())
    genotype = found.genotype()
    assert json.loads(json.dumps(genotype)) == genotype
    evaluation = found.evaluation_network()
    assert all(m.affine for m in evaluation.modules() if isinstance(m, nn.BatchNorm2d))
    assert ops.set_drop_path_prob(evaluation, 0.2) > 0
    dropped = [op.op for op in evaluation.modules() if isinstance(op, ops.DropPath)]
    assert not any(isinstance(op, ops.Identity | ops.Zero) for op in dropped)


@pytest.mark.parametrize("name", ["simple_cell", "nasbench301"])
def test_zero_is_never_selected_and_every_node_keeps_its_two_strongest_edges(name: str) -> None:
    space = get_search_space(name, **SMALL[name])
    supernet = adapt(space, seed=1)
    for alpha in supernet.get_all_edge_data("alpha"):
        alpha.data[1] += 5.0  # Zero
    cells = [supernet.nodes[node]["subgraph"] for node in supernet if "subgraph" in supernet.nodes[node]]
    found = discretize(supernet)
    found_cells = [found.nodes[node]["subgraph"] for node in found if "subgraph" in found.nodes[node]]
    assert len(cells) == len(found_cells) == 3
    for cell, discrete in zip(cells, found_cells, strict=True):
        for node in list(cell)[2:-1]:
            strength = {}
            for source in sorted(cell.predecessors(node)):
                p = cell.edges[source, node].alpha.detach().double().softmax(0).tolist()
                strength[source] = max(p[:1] + p[2:])
            expected = sorted(strength, key=strength.get, reverse=True)[:2]
            assert sorted(discrete.predecessors(node)) == sorted(expected)
            for source in expected:
                alpha = cell.edges[source, node].alpha.detach().clone()
                alpha[1] = -float("inf")
                chosen = discrete.edges[source, node].op
                names = [op.get_op_name for op in cell.edges[source, node].op.primitives]
                assert chosen.get_op_name == names[int(alpha.argmax())] != "Zero"
        assert sorted(discrete.predecessors(max(cell))) == sorted(cell.predecessors(max(cell)))


def test_ties_go_to_the_lower_source() -> None:
    supernet = adapt(NasBench301SearchSpace(channels=4, cells=3))
    for alpha in supernet.get_all_edge_data("alpha"):
        alpha.data.zero_()
    cell = discretize(supernet).nodes[4]["subgraph"]
    assert all(sorted(cell.predecessors(node)) == [1, 2] for node in (3, 4, 5, 6))


def test_spaces_are_found_by_name() -> None:
    assert set(NAMES) <= {*SEARCH_SPACES.names()}
    assert type(get_search_space("DARTS", cells=2, channels=4)) is NasBench301SearchSpace
    with pytest.raises(UnknownNameError, match="nasbench201"):
        get_search_space("nasbench20l")
