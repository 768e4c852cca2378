"""GSparsity: the architecture is what group sparsity leaves of the supernet's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot._decisions import decisions_in, mixed_edges
from naslib.optimizers.oneshot.base import OneShotOptimizer
from naslib.optimizers.oneshot.mixture import RelaxedMixedOp
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.search_spaces.core.primitives import Zero

from .prox_sgd import ProxSGD, group_norm


class GSparseMixedOp(RelaxedMixedOp):
    """Add up all candidates; those without weights are multiplied by a scalar that is trained (and begins at 1).

    Args:
        primitives: The candidates.
    """

    def __init__(self, primitives: Sequence[nn.Module]) -> None:
        super().__init__(primitives)
        weightless = [
            k for k, op in enumerate(self.primitives) if not list(op.parameters()) and not isinstance(op, Zero)
        ]
        self.scales = nn.ParameterDict({str(k): nn.Parameter(torch.ones(1)) for k in weightless})

    def process_weights(self, weights: Tensor) -> Tensor:
        """Return the scalars, and 1 for candidates with weights of their own."""
        scales = {int(key): scale for key, scale in self.scales.items()}
        one = torch.ones_like(weights[:1])
        return torch.cat([scales.get(index, one) for index in range(weights.shape[0])])

    def group(self, index: int) -> list[nn.Parameter]:
        """Return what stands for candidate `index` in its group: its weights, or its scalar; nothing for `Zero`."""
        own = list(self.primitives[index].parameters())
        return own or ([self.scales[str(index)]] if str(index) in self.scales else [])


@OPTIMIZERS.register("gsparsity")
class GSparseOptimizer(OneShotOptimizer):
    """Train the supernet with a penalty that makes whole operations vanish ([Chatzimichailidis2022gsparsity]).

    There are no architecture parameters and there is one level: the training loss plus `mu sum_G |w_G| / |G|^e` is
    minimised by `ProxSGD`. A group G holds the weights of one operation on one edge in all copies of the cell. The
    candidates of an edge are added up without weights. At the end the operation with the largest `|w_G| / |G|^e` stays
    on an edge; groups with a norm of at most `threshold` have vanished. `Zero` has no group: it stays where everything
    else has vanished and the space allows it.

    Args:
        learning_rate: Of the weights.
        mu: Strength of the penalty.
        rho: Weight of the new gradient in the average that the optimizer follows (the authors' `momentum`).
        normalization: `"div"`, `"mul"` or `"none"`, see `ProxSGD`.
        normalization_exponent: e.
        threshold: Largest norm of a group that has vanished.
        **kwargs: See `OneShotOptimizer`; `weight_decay`, `momentum` and all of the architecture have no effect.

    Raises:
        ConfigError: If another optimizer of the weights is asked for, or for a value out of range.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        mu: float = 200.0,
        rho: float = 0.8,
        normalization: str = "div",
        normalization_exponent: float = 0.5,
        threshold: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        if self._optimizer_kinds[0] != "SGD":
            raise ConfigError("gsparsity trains the weights by ProxSGD; leave out op_optimizer")
        self.mu = mu
        self.threshold = threshold
        self.normalization_exponent = normalization_exponent if normalization != "none" else 0.0
        self._prox: dict[str, Any] = {"rho": rho, "normalization": normalization, "exponent": normalization_exponent}
        ProxSGD([torch.zeros(1)], lr=learning_rate, mu=mu, **self._prox)  # what cannot be, raises now

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put zeros on an edge that are not trained: they only mark the decision."""
        edge.data.set("alpha", nn.Parameter(torch.zeros(len(edge.data.op)), requires_grad=False), shared=True)

    @staticmethod
    def update_ops(edge: EdgeView) -> None:
        """Replace the list of candidates on an edge by their sum."""
        edge.data.set("op", GSparseMixedOp(edge.data.op))

    def relaxation(self) -> None:
        """Return None: each sum has scalars of its own."""
        return

    def groups(self, graph: Graph) -> list[list[list[nn.Parameter]]]:
        """Return the weights of each group, by decision and operation, over all copies of a cell."""
        decisions = decisions_in(graph, self.scope)
        found: dict[int, list[list[nn.Parameter]]] = {
            id(data.alpha): [[] for _ in range(len(data.alpha))] for data in decisions
        }
        for data in mixed_edges(graph, self.scope):
            for index, group in enumerate(found[id(data.alpha)]):
                group += data.op.group(index)
        return [found[id(data.alpha)] for data in decisions]

    def _build_optimizers(self) -> None:
        self.weights = list(self.graph.parameters())
        self._norms = list(batch_norm_modules(self.graph))
        self.arch_optimizer = None
        shrunk = [group for groups in self.groups(self.graph) for group in groups if group]
        scales = {id(p) for data in mixed_edges(self.graph, self.scope) for p in data.op.scales.values()}
        inside = {id(weight) for group in shrunk for weight in group}
        params: list[dict[str, Any]] = [
            {"params": group, "mu": self.mu, "is_scale": id(group[0]) in scales} for group in shrunk
        ]
        others = [weight for weight in self.weights if id(weight) not in inside]
        self.op_optimizer = ProxSGD([*params, {"params": others}], lr=self.learning_rate, **self._prox)

    @torch.no_grad()
    def group_scores(self) -> list[Tensor]:
        """Return the normalized norms, `(n_ops,)` per decision, 0 for what has vanished."""
        scores = []
        for data, groups in zip(self.decisions, self.groups(self.graph), strict=True):
            norms = [group_norm(group) if group else data.alpha.new_zeros(()) for group in groups]
            sizes = [max(1, sum(weight.numel() for weight in group)) for group in groups]
            exponent = self.normalization_exponent
            row = torch.stack([norm / size**exponent for norm, size in zip(norms, sizes, strict=True)])
            row[torch.stack(norms) <= self.threshold] = 0.0
            if not row.any():
                row = torch.tensor([float(isinstance(op, Zero)) for op in data.op.primitives]).to(row)
            scores.append(row)
        return scores

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture: on each edge the operation whose weights are largest."""
        self._require_adapted()
        chosen = self.outcome
        try:
            self.outcome = self.group_scores() if chosen is None else chosen
            return super().get_final_architecture()
        finally:
            self.outcome = chosen
