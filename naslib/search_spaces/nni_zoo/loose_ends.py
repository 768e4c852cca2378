"""The output of an ENAS micro layer: the nodes that nobody reads, projected by their slices of one weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import combinations_in
from naslib.search_spaces.core.ops_base import AbstractCombOp
from naslib.search_spaces.core.types import EdgeLike


class LooseEnds(AbstractCombOp):
    """Concatenate the nodes that no choice has taken, apply ReLU, and a 1x1 convolution by their slices of one weight.

    Node j is used where one of the readers takes it. Where the choices are weights, w_s of reader s, the slice of node
    j is multiplied by the probability that nobody takes it if all draw independently,

        u_j = prod over s of (1 - w_s[j]),

    so that the result is the expected projection of the nodes as they are. At one-hot weights u is 0 or 1, and that is
    the rule itself. Weights that get a gradient (also those of a draw) are treated so; else only what is not used runs.

    Args:
        readers: The nodes that choose; candidate j of each is the j-th of the nodes that enter here.
        n_inputs: How many nodes enter, the last of which no reader can take.
        channels: Of each of them, and of the output.
    """

    def __init__(self, readers: Sequence[int], n_inputs: int, channels: int) -> None:
        super().__init__()
        self.reads_choices = tuple(readers)
        self.n_inputs, self.channels = n_inputs, channels
        # without the kernel's two dimensions: torch lays out any five by a format that it has not for this one
        self.weight = nn.Parameter(torch.empty(channels, n_inputs, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight, normal with variance 2 / (n_inputs * channels), as NNI does."""
        nn.init.kaiming_normal_(self.weight)

    def forward(  # type: ignore[override]
        self, tensors: list[Tensor], edges_data: Sequence[EdgeLike], choices: Sequence[int | Tensor] = ()
    ) -> Tensor:
        """Return the projection.

        Args:
            tensors: The nodes, `(n, channels, h, w)` each.
            edges_data: Not used.
            choices: What each reader has taken: the index of a node, or `(k,)` weights of the first k nodes.

        Returns:
            `(n, channels, h, w)`.
        """
        weights = [choice for choice in choices if isinstance(choice, Tensor)]
        taken = {choice for choice in choices if not isinstance(choice, Tensor)}
        left = [index for index in range(self.n_inputs) if index not in taken]
        weight = self.weight[:, left]
        if weights:
            unused = unused_probability(weights, self.n_inputs)[left].to(weight.dtype)
            weight = weight * unused.view(1, -1, 1)
        return F.conv2d(F.relu(torch.cat([tensors[index] for index in left], dim=1)), flat(weight))

    def convolution(self, left: Sequence[int]) -> nn.Conv2d:
        """Return the convolution of exactly these nodes, with a copy of their weights."""
        found = nn.Conv2d(len(left) * self.channels, self.channels, 1, bias=False)
        found.weight = nn.Parameter(flat(self.weight[:, list(left)]).detach().clone(), self.weight.requires_grad)
        return found.train(self.training)


def flat(weight: Tensor) -> Tensor:
    """Return the weight of a convolution of all channels in a row.

    `(channels, nodes, channels)` to `(channels, nodes * channels, 1, 1)`.
    """
    return weight.reshape(weight.shape[0], -1, 1, 1)


def unused_probability(weights: Sequence[Tensor], n_inputs: int) -> Tensor:
    """Return `(n_inputs,)`: the product of 1 - w over all readers, those that cannot take a node counting 1.

    Args:
        weights: `(k,)` each, for the first k nodes.
        n_inputs: Number of nodes.
    """
    return torch.stack([1.0 - F.pad(row, (0, n_inputs - row.shape[0])) for row in weights]).prod(0)


def drop_unread(graph: Graph) -> None:
    """Remove from discrete layers the edges that pass nothing on, and from their projections the slices of used nodes.

    What is computed stays the same. A graph in which nothing is decided yet stays as it is.

    Args:
        graph: A discrete architecture; it is changed.
    """
    for nested in graph.nested_graphs():
        for node in list(nested.nodes):
            ends, chosen = nested.nodes[node].get("comb_op"), combinations_in(nested)
            if isinstance(ends, LooseEnds) and all(reader in chosen for reader in ends.reads_choices):
                _drop_unread(nested, node, ends, {reader: chosen[reader][1] for reader in ends.reads_choices})


def _drop_unread(graph: Graph, node: int, ends: LooseEnds, chosen: dict[int, int]) -> None:
    sources = sorted(graph._pred[node])
    for reader, position in chosen.items():
        graph.remove_edges_from((sources[j], reader) for j in range(len(graph._pred[reader])) if j != position)
    left = [index for index in range(len(sources)) if index not in chosen.values()]
    graph.remove_edges_from((source, node) for index, source in enumerate(sources) if index not in left)
    (behind,) = graph._succ[node]
    norm = graph.edges[node, behind].op
    projected = nn.Sequential(nn.ReLU(), ends.convolution(left), norm)
    graph.remove_edge(node, behind)
    graph.add_edge(node, behind, EdgeData({"op": projected}).finalize())
    graph.nodes[node]["comb_op"] = channel_concat
