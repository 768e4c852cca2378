"""count_costs: what the terms of a space say of an architecture is what its network has, for every kind of decision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_spaces import ConvSpace, mlp_space
from torch import Tensor, nn

from naslib.choices import LayerChoice, ValueChoice
from naslib.errors import ConfigError
from naslib.hardware.count import count_costs
from naslib.hardware.metrics import METRICS
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces import ModuleSearchSpace, NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.elastic import ElasticLinear
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.registry import SEARCH_SPACES


def _adapted(space: Graph, method: str = "darts", **keys: Any) -> OneShotOptimizer:
    torch.manual_seed(0)
    optimizer = OPTIMIZERS.get(method)(epochs=2, **keys)
    optimizer.adapt_search_space(space)
    return optimizer


def _check(optimizer: OneShotOptimizer, metric: str, shape: tuple[int, ...], n: int = 4) -> list[float]:
    """Compare the model with what is counted on networks of random scores; return the costs."""
    model = count_costs(optimizer.graph, metric, shape, optimizer.scope)
    assert list(model.names) == optimizer.decision_names
    assert model.widths == [len(alpha) for alpha in optimizer.architectural_weights]
    generator = torch.Generator().manual_seed(1)
    costs = []
    for _ in range(n):
        scores = [torch.rand(width, generator=generator) for width in model.widths]
        counted = METRICS[metric].of_network(optimizer.discretized(scores), shape)
        assert model.of_choices(model.choose(scores)) == pytest.approx(counted, rel=1e-12)
        costs.append(counted)
    return costs


def test_nasbench201_by_its_formula():
    """A 3x3 convolution of c channels at side s has 9 c^2 s^2 multiply-accumulates, a 1x1 a ninth of that."""
    space = NasBench201SearchSpace(channels=4, cells_per_stage=2)
    model = count_costs(space, "macs", (3, 16, 16))
    assert len(model.terms) == 6 and model.groups == []
    of_3x3 = sum(2 * 9 * c**2 * s**2 for c, s in ((4, 16), (8, 8), (16, 4))) / 1e6
    for term in model.terms:
        assert term.values.tolist() == pytest.approx([0.0, 0.0, of_3x3, of_3x3 / 9, 0.0], rel=1e-12)


def test_darts_cells_drop_edges():
    optimizer = _adapted(NasBench301SearchSpace(channels=4, cells=2, auxiliary=False))
    model = count_costs(optimizer.graph, "macs", (3, 8, 8), optimizer.scope)
    assert sorted(len(group.edges) for group in model.groups) == [3, 3, 4, 4, 5, 5]
    assert all(group.kept == 2 for group in model.groups) and all(len(allowed) == 7 for allowed in model.allowed)
    assert len(set(_check(optimizer, "macs", (3, 8, 8)))) > 1
    assert len(set(_check(optimizer, "params", (3, 8, 8)))) > 1


class _Sized(nn.Module):
    """A width that is decided only where this candidate is chosen."""

    def __init__(self) -> None:
        super().__init__()
        width = ValueChoice([1, 2, 5], "width")
        self.layers = nn.Sequential(ElasticLinear(3, width), nn.Tanh(), ElasticLinear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_decisions_inside_of_candidates_and_sizes():
    network = nn.Sequential(LayerChoice({"plain": nn.Linear(3, 3), "sized": _Sized()}, "outer"), nn.Linear(3, 2))
    optimizer = _adapted(ModuleSearchSpace(network))
    model = count_costs(optimizer.graph, "params", (3,), optimizer.scope)
    terms = {term.decisions: (1e6 * term.values).round().tolist() for term in model.terms}
    assert model.names == ("outer", "width") and model.fixed == pytest.approx(8e-6)
    # (3 + 1) w + (w + 1) 3, where the candidate that has the width is chosen
    assert terms == {(0,): [12.0, 0.0], (0, 1): [[0.0] * 3, [10.0, 17.0, 38.0]]}
    for metric in ("params", "macs"):
        _check(optimizer, metric, (3,), 8)


def test_widths_that_act_on_each_other():
    """The channels of a layer are those that the next one reads: NATS-Bench's size space."""
    optimizer = _adapted(SEARCH_SPACES.get("nats_size")())
    model = count_costs(optimizer.graph, "params", (3, 8, 8), optimizer.scope)
    assert max(len(term.decisions) for term in model.terms) == 2
    _check(optimizer, "params", (3, 8, 8), 2)


def test_what_surrounds_candidates_in_the_search_is_not_counted():
    """Partial channels search with a part of the channels; the architecture has them all."""
    parts = {"partial_channels": {"k": 2}, "warm_up": {"epochs": 0}}
    whole, partial = (count_costs(_adapted(ConvSpace(), parts=given).graph, "macs", (2, 8, 8)) for given in ({}, parts))
    assert whole.fixed == partial.fixed and len(whole.terms) == len(partial.terms) > 0
    assert all(torch.equal(a.values, b.values) for a, b in zip(whole.terms, partial.terms, strict=True))


def test_refusals():
    with pytest.raises(ConfigError, match="cannot be run one by one on an input of shape"):
        count_costs(NasBench201SearchSpace(channels=4, cells_per_stage=1), "macs", (7, 8, 8))
    with pytest.raises(ConfigError, match="there is nothing to choose, and so no cost to change"):
        count_costs(_fixed(), "params", (3,))

    class Own(type(mlp_space())):  # type: ignore[misc]
        def prepare_discretization(self) -> None:
            self.update_nodes(lambda node, in_edges, out_edges: None)

    space = mlp_space()
    space.__class__ = Own
    with pytest.raises(ConfigError, match=r"Own removes edges by a rule of its own .* override state_decisions, too"):
        count_costs(space, "params", (6,))
    shared = nn.Linear(3, 3)
    network = nn.Sequential(LayerChoice({"a": nn.Sequential(shared, nn.Tanh()), "b": shared}, "outer"))
    with pytest.raises(ConfigError, match="candidates share weights"):
        count_costs(ModuleSearchSpace(network), "params", (3,))
    assert count_costs(ModuleSearchSpace(network), "macs", (3,)).terms[0].values.tolist() == [9e-6, 9e-6]


def _fixed() -> Graph:
    graph = Graph(name="macro")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, op=nn.Linear(3, 3))
    return graph


SPACES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "simple_cell": ({}, (3, 32, 32)),
    "nasbench201": ({"channels": 4}, (3, 32, 32)),
    "nasbench301": ({"channels": 4, "cells": 4}, (3, 32, 32)),
    "proxylessnas": ({}, (3, 32, 32)),
    "fbnet": ({}, (3, 32, 32)),
    "hierarchical": ({}, (3, 32, 32)),
    "nats_size": ({}, (3, 16, 16)),
    "ofa_mobilenetv3": ({}, (3, 64, 64)),
    "nasbench_macro": ({}, (3, 32, 32)),
    "tanglenas_cell": ({}, (1, 28, 28)),
    "tanglenas_macro": ({}, (3, 32, 32)),
}


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["params", "macs"])
@pytest.mark.parametrize("name", SPACES)
def test_every_space_is_counted_exactly(name: str, metric: str):
    keywords, shape = SPACES[name]
    optimizer = _adapted(SEARCH_SPACES.get(name)(**keywords))
    if (name, metric) == ("hierarchical", "params"):
        with pytest.raises(ConfigError, match="candidates share weights"):
            _check(optimizer, metric, shape)
        return
    _check(optimizer, metric, shape)
