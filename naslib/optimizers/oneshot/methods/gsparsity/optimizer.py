"""GSparsity: the architecture is what group sparsity leaves of the supernet's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import Ability, without_architecture_step
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in, mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.schedulable import OF_NO_ARCHITECTURE
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.given_weights import trainable
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.search_spaces.core.primitives import Zero
from naslib.utils.placed import Placed

from .prox_sgd import ProxSGD


class GSparseMixedOp(RelaxedMixedOp):
    """Add up all candidates; those without weights to train are multiplied by a scalar that is (and begins at 1).

    Args:
        primitives: The candidates.
    """

    def __init__(self, primitives: Sequence[nn.Module]) -> None:
        super().__init__(primitives)
        weightless = [k for k, op in enumerate(self.primitives) if not trainable(op) and not isinstance(op, Zero)]
        self.scales = nn.ParameterDict({str(k): nn.Parameter(torch.ones(1)) for k in weightless})

    def process_weights(self, weights: Tensor) -> Tensor:
        """Return the scalars, and 1 for candidates with weights of their own."""
        scales = {int(key): scale for key, scale in self.scales.items()}
        one = torch.ones_like(weights[:1])
        return torch.cat([scales.get(index, one) for index in range(weights.shape[0])])

    def group(self, index: int) -> list[nn.Parameter]:
        """Return what stands for candidate `index` in its group: its weights, or its scalar; nothing for `Zero`."""
        own = trainable(self.primitives[index])
        return own or ([self.scales[str(index)]] if str(index) in self.scales else [])


@OPTIMIZERS.register("gsparsity")
class GSparseOptimizer(OneShotOptimizer):
    """Train the supernet with a penalty that makes whole operations vanish ([Chatzimichailidis2022gsparsity]).

    There is one level: the training loss plus `mu sum_G |w_G| / |G|^e` is minimised by `ProxSGD`. A group G holds the
    weights of one operation on one edge in all copies of the cell. The candidates of an edge are added up without
    weights. At the end the operation with the largest `|w_G| / |G|^e` stays on an edge; groups with a norm of at most
    `threshold` have vanished. `Zero` has no group: it stays where everything else has vanished and the space allows it.
    The architecture parameters are not trained: they hold these scores of the groups.

    Args:
        learning_rate: Of the weights.
        mu: Strength of the penalty.
        rho: Weight of the new gradient in the average that the optimizer follows (the authors' `momentum`).
        normalization: `"div"`, `"mul"` or `"none"`, see `ProxSGD`.
        normalization_exponent: e.
        threshold: Largest norm of a group that has vanished.
        grad_clip: Largest norm of the weights' gradient; 0 or None for no clipping.
        **kwargs: See `OneShotOptimizer`; `weight_decay`, `momentum` and all of the architecture have no effect.

    Raises:
        ConfigError: If another optimizer of the weights is asked for, or for a value out of range.
    """

    SCHEDULABLE = {
        "mu": "",
        **OF_NO_ARCHITECTURE,
        **dict.fromkeys(("momentum", "weight_decay"), "ProxSGD does not read it"),
        **dict.fromkeys(("threshold", "normalization_exponent"), "it is what groups are compared by at the end"),
    }
    fixed_structure = "the groups of weights are fixed when their optimizer is made"

    def __init__(
        self,
        learning_rate: float = 0.001,
        mu: float = 200.0,
        rho: float = 0.8,
        normalization: str = "div",
        normalization_exponent: float = 0.5,
        threshold: float = 1e-6,
        grad_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, grad_clip=grad_clip, **kwargs)
        if self._optimizer_kinds[0] != "SGD":
            raise ConfigError("gsparsity trains the weights by ProxSGD; leave out op_optimizer")
        self.mu = mu
        self.threshold = threshold
        self.normalization_exponent = normalization_exponent if normalization != "none" else 0.0
        self._members: list[Tensor] = []
        self._placed = Placed()
        self._prox: dict[str, Any] = {"rho": rho, "normalization": normalization, "exponent": normalization_exponent}
        ProxSGD([torch.zeros(1)], lr=learning_rate, mu=mu, **self._prox)  # what cannot be, raises now

    def follow(self, name: str, value: float) -> None:
        """Set a keyword; see the parent."""
        super().follow(name, value)
        if name == "mu" and self.is_adapted:
            for group in self.op_optimizer.param_groups:
                if group.get("mu") is not None:  # the others are not shrunk
                    group["mu"] = value

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put zeros on an edge that are not trained: they hold the scores of its groups later."""
        edge.data.set("alpha", nn.Parameter(torch.zeros(len(edge.data.op)), requires_grad=False), shared=True)

    @staticmethod
    def update_ops(edge: EdgeView) -> None:
        """Replace the list of candidates on an edge by their sum."""
        edge.data.set("op", GSparseMixedOp(edge.data.op))

    def relaxation(self) -> None:
        """Return None: each sum has scalars of its own."""
        return

    def needs(self) -> Mapping[Ability, str]:
        """Return groups of weights that belong to one operation each."""
        of_operations = (Ability.OPERATIONS, Ability.EDGES, Ability.OWN_WEIGHTS, Ability.FLAT)
        return dict.fromkeys(of_operations, "its groups are the weights of an operation")

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: weights from architecture parameters, and their training."""
        why = "its architecture parameters are not trained: it adds up all operations and shrinks them"
        return without_architecture_step(why) | {Ability.MIXTURE: why}

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
        self._index_groups()
        others = [weight for weight in self.weights if id(weight) not in inside]
        self.op_optimizer = ProxSGD([*params, {"params": others}], lr=self.learning_rate, **self._prox)

    def _index_groups(self) -> None:
        """Number the groups through, so that all norms are found at once; one without members has norm 0."""
        groups = [group for groups in self.groups(self.graph) for group in groups]
        self._members = [weight for group in groups for weight in group]
        slots = [number for number, group in enumerate(groups) for _ in group]
        sizes = [float(max(1, sum(weight.numel() for weight in group))) for group in groups]
        left = [[float(isinstance(op, Zero)) for op in data.op.primitives] for data in self._decision_edges]
        self._placed = Placed([torch.tensor(slots), torch.tensor(sizes, dtype=torch.float64), *map(torch.tensor, left)])

    def adapted(self) -> None:
        """Score the groups as they are at first."""
        super().adapted()
        self.score_groups()

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Update the weights, and score the groups as they are now.

        Logits `(n, classes)`, the loss a scalar.
        """
        result = super().weight_step(data_train)
        self.score_groups()
        return result

    @torch.no_grad()
    def score_groups(self) -> None:
        """Write the normalized norms into the architecture parameters, 0 for what has vanished."""
        squares = torch.stack(torch._foreach_norm(self._members)).square()
        slots = self._placed.on(squares.device)[0]
        sizes, *left = self._placed.on(squares.device, squares.dtype)[1:]
        norms = torch.zeros_like(sizes).index_add_(0, slots, squares).sqrt()
        scores = torch.where(
            norms > self.threshold, norms / sizes**self.normalization_exponent, torch.zeros_like(norms)
        )
        rows = scores.split([len(alpha) for alpha in self.architectural_weights])
        for alpha, row, nothing in zip(self.architectural_weights, rows, left, strict=True):
            alpha.copy_(torch.where(row.any(), row, nothing))

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return the scores of a decision's groups.

        `(n_ops,)` for `(n_ops,)`.
        """
        return alpha.detach().clone()
