"""Candidates that hold the same weights: methods that look at the weights of single operations refuse them."""

from __future__ import annotations

import pytest
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer, GSparseOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import share_weights
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity


def test_a_weight_of_two_candidates_is_seen_unless_one_is_inside_of_the_other() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    assert not share_weights([first, second, nn.ReLU()])
    assert not share_weights([nn.Sequential(first, nn.ReLU()), first, second])
    assert not share_weights([first, nn.Sequential(first)])
    second.weight = first.weight
    assert share_weights([first, second])
    assert share_weights([nn.Sequential(first), nn.Sequential(first, nn.ReLU())])


def _space() -> Graph:
    layer = nn.Linear(2, 2)
    graph = Graph(name="net", scope="all")
    graph.add_edges_from([(1, 2), (2, 3)])
    for edge in ((1, 2), (2, 3)):
        graph.edges[edge].set("op", [nn.Sequential(layer, nn.ReLU()), Identity()])
    return graph


def test_a_group_of_weights_belongs_to_one_operation() -> None:
    with pytest.raises(ConfigError, match="looks at the weights of each candidate, and some of these are the same"):
        GSparseOptimizer().adapt_search_space(_space())
    DARTSOptimizer().adapt_search_space(_space())
