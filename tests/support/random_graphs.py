"""Random nested DAGs with several sinks, drawn from a seed."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive

WIDTH = 5


class ScaledByEdge(AbstractPrimitive):
    """Multiply by the edge's own (shared) entry `scale` and by a weight."""

    def __init__(self) -> None:
        super().__init__(locals())
        self.weight = nn.Parameter(torch.randn(WIDTH, dtype=torch.float64))

    def forward(self, x: Tensor, edge_data: EdgeData | None = None) -> Tensor:
        return torch.tanh(x * self.weight) * edge_data.scale


class WeightedByPosition(AbstractCombOp):
    """Combine inputs in an order-dependent way, reading the edges."""

    def forward(self, tensors: list[Tensor], edges_data: list[EdgeData] | None = None) -> Tensor:
        return sum((index + 1) * t * e.scale for index, (t, e) in enumerate(zip(tensors, edges_data, strict=True)))


def first_minus_rest(tensors: list[Tensor]) -> Tensor:
    """Combine in an order-dependent way without reading the edges."""
    out = tensors[0]
    for tensor in tensors[1:]:
        out = torch.sin(out) - tensor
    return out


def _random_op(rng: random.Random, depth: int):
    kind = rng.choice(["linear", "scaled", "tanh", "identity", "graph" if depth else "linear"])
    if kind == "linear":
        return nn.Linear(WIDTH, WIDTH).double()
    if kind == "scaled":
        return ScaledByEdge()
    if kind == "tanh":
        return nn.Tanh()
    if kind == "graph":
        return random_graph(rng, depth - 1, n_inputs=1)
    return None


def random_graph(rng: random.Random, depth: int = 2, n_inputs: int = 1) -> Graph:
    """Return a connected random DAG; nodes and edges may hold graphs, and several nodes may be sinks."""
    n = rng.randint(n_inputs + 1, 6)
    graph = Graph(name=f"g{rng.randrange(10**6)}")
    graph.add_nodes_from(range(1, n + 1))
    for v in range(n_inputs + 1, n + 1):
        sources = rng.sample(range(1, v), rng.randint(1, v - 1))
        for u in sources:
            data = EdgeData()
            data.set("scale", rng.uniform(0.5, 1.5), shared=True)
            op = _random_op(rng, depth)
            if op is not None:
                data.set("op", op)
            graph.add_edge(u, v, data)
    for v in range(n_inputs + 1, n + 1):
        arriving = sorted(graph.predecessors(v))
        choice = rng.random()
        if depth and choice < 0.3:
            wanted = rng.randint(1, 3)
            nested = random_graph(rng, depth - 1, n_inputs=wanted if len(arriving) > 1 else 1)
            if len(arriving) > 1:
                nested.set_input([rng.choice(arriving) for _ in range(nested.num_input_nodes())])
            graph.nodes[v]["subgraph"] = nested
        elif choice < 0.5:
            graph.nodes[v]["comb_op"] = WeightedByPosition()
        elif choice < 0.7:
            graph.nodes[v]["comb_op"] = first_minus_rest
    return graph
