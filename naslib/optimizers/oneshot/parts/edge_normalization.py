"""Edge normalization: the edges into a node compete by weights of their own."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, MixedOp
from naslib.search_spaces.core.types import EdgeLike

# Standard deviation of the initial logits, as of alpha ([Xu2020pcdarts], authors' code)
_INITIAL_SCALE = 1e-3


class WeightedEdges(AbstractCombOp):
    """Sum what enters a node, each edge under search multiplied by its entry in the softmax of the node's betas.

    Such edges carry `betas`, the node's logits, and `beta_index`, their position among them. All others count as they
    are.
    """

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the weighted sum.

        All have one shape, that of the sum.

        Args:
            tensors: What enters the node, ordered by source index.
            edges_data: Data of the edges, in the same order.
        """
        betas = next(data.betas for data in edges_data if data.has("betas"))
        weights = torch.softmax(betas, dim=-1).unbind()
        terms = [
            tensor * weights[data.beta_index] if data.has("betas") else tensor
            for tensor, data in zip(tensors, edges_data, strict=True)
        ]
        total = terms[0] + terms[1]
        for term in terms[2:]:
            total = total + term
        return total


@PARTS.register("edge_normalization")
class EdgeNormalization(Part):
    """Weight the edges into each node by the softmax of logits beta: `y = sum_e softmax(beta)_e y_e` ([Xu2020pcdarts]).

    Every node whose inputs are summed and two or more of which are under search has one logit per such input, shared by
    all copies of the cell. The betas are architecture parameters. Candidates and edges are compared by
    `softmax(beta)_e` times what the method compares them by; the discrete architecture has plain sums.
    """

    STATIC = True

    def __init__(self) -> None:
        self.betas: list[nn.Parameter] = []

    def adapt(self, graph: Graph) -> None:
        """Put the betas on the edges and the weighted sums on the nodes.

        Raises:
            ConfigError: If there is no node to which the part applies.
        """
        self.betas = []
        graph.update_nodes(self._weight_node, scope=self.optimizer.scope, single_instances=False)
        if not self.betas:
            raise ConfigError(
                "edge_normalization: no node sums two or more edges under search, so no edges compete; leave it out"
            )

    def _weight_node(self, node: Any, in_edges: Any, out_edges: Any) -> None:
        searched = [data for _, data in in_edges if isinstance(data.op, MixedOp) and data.has("alpha")]
        _, attributes = node
        if len(searched) < 2 or attributes["comb_op"] is not builtins.sum:
            return
        shared = [data.get("betas") for data in searched]
        if shared[0] is None:
            # in a supernet that is rebuilt, alpha is where the search runs
            betas = nn.Parameter(_INITIAL_SCALE * torch.randn(len(searched)).to(searched[0].alpha))
            self.betas.append(betas)
            for index, data in enumerate(searched):
                data.set("betas", betas, shared=True)
                data.set("beta_index", index, shared=True)
        elif any(betas is not shared[0] for betas in shared) or len(shared[0]) != len(searched):
            raise ConfigError("edge_normalization: copies of a cell must have the same edges under search")
        attributes["comb_op"] = WeightedEdges()

    def parameters(self) -> Sequence[nn.Parameter]:
        """Return one vector of logits per node."""
        return self.betas

    def scores(self, edge: EdgeData, scores: Tensor) -> Tensor:
        """Return the scores times the edge's weight.

        `(n_ops,)` in and out.
        """
        if not edge.has("betas"):
            return scores
        return scores * torch.softmax(edge.betas.detach(), dim=-1)[edge.beta_index]

    def discretize(self, graph: Graph) -> None:
        """Put the plain sums back."""
        for nested in graph.nested_graphs():
            for node in nested.nodes:
                if isinstance(nested.nodes[node].get("comb_op"), WeightedEdges):
                    nested.nodes[node]["comb_op"] = builtins.sum
            for _, _, data in nested.edges(data=True):
                for key in ("betas", "beta_index"):
                    if data.has(key) and not data.is_final():
                        data.remove(key)

    def state_dict(self) -> dict[str, Any]:
        """Return the logits."""
        return {"betas": [betas.detach().clone() for betas in self.betas]}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the logits."""
        for betas, saved in zip(self.betas, state_dict["betas"], strict=True):
            betas.copy_(saved)
