"""Lambda-DARTS: a regularizer of the weights by which the cells of a network agree on the operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp, watching_weights
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.randomness import Randomness
from naslib.utils.distributed import mean_over_ranks_, means_over_ranks

from ._cells import has_stride, mixtures


def alignment(gradients: Sequence[Tensor]) -> Tensor:
    """Return Lambda: the mean cosine of all pairs of layers' gradients ([Movahedi2023lambdadarts]).

    The result is a scalar.

    Args:
        gradients: One vector per layer, at least two.
    """
    units = [g / torch.linalg.vector_norm(g) for g in gradients]
    pairs = [units[i] @ units[j] for i in range(len(units)) for j in range(i)]
    return torch.stack(pairs).mean()


def alignment_gradient(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of `alignment` in each layer's gradient, zero where that is zero.

    Each is `(n,)`, as the layer's gradient.

    `2 / (L (L - 1)) (I - u_l u_l^T) (sum_m u_m) / |g_l|` with the unit vectors u; a layer without a gradient takes no
    part, though it is counted in L.

    Args:
        gradients: One vector per layer, at least two.
    """
    tiny = torch.finfo(gradients[0].dtype).tiny
    norms = [torch.linalg.vector_norm(g) for g in gradients]
    units = [g / norm.clamp_min(tiny) for g, norm in zip(gradients, norms, strict=True)]
    total = torch.stack(units).sum(0)
    scale = 2 / (len(units) * (len(units) - 1))
    found = []
    for unit, norm in zip(units, norms, strict=True):
        inside = (total - (unit @ total) * unit) * (scale / norm.clamp_min(tiny))
        found.append(torch.where(norm > 0, inside, torch.zeros_like(inside)))
    return found


@PARTS.register("layer_alignment")
class LayerAlignment(Part):
    """Train the weights so that the cells of a kind want the same of the architecture ([Movahedi2023lambdadarts]).

    In the weight step every copy of a cell gets its own copy p_l of the relaxed weights, and with g_l = dL_train/dp_l
    the regularizer is Lambda, the mean cosine of the g_l of all pairs of copies. The weights' gradient gets
    -lambda_t times that of Lambda, lambda_t = `strength` e / (epochs - 1), by a central difference: with
    delta = dLambda/dg and h = `radius` / |delta|, `[dL(p - h delta)/dw - dL(p + h delta)/dw] / (2 h)`. These are two
    more passes over the training batch, in full precision, with the batch's statistics; they update nothing, and what
    the forward of the step drew at random they have too. An edge whose operation is decided already (by the part
    `perturbation_selection`) has no p_l.

    Only normal cells take part, as in the authors' code (all, where no normal cell is there twice); of several kinds
    of them each has its own Lambda, and the sum is taken.

    Args:
        strength: lambda of the last epoch.
        radius: Length of the step by which p is changed.

    Raises:
        ConfigError: For a value out of range; while adapting, where no kind of cell is there twice, no
            architecture parameter is trained, or operations are drawn and not mixed.
    """

    SCHEDULABLE = {"strength": "", "radius": ""}

    def __init__(self, strength: float = 0.125, radius: float = 1e-4) -> None:
        if strength < 0 or not radius > 0:
            raise ConfigError(f"strength must not be negative and radius positive, got {strength} and {radius}")
        self.strength, self.radius = strength, radius
        self._kinds: list[list[list[EdgeData]]] = []  # edges by copy of a cell by kind of cell
        self._ops: list[RelaxedMixedOp] = []
        self._own: dict[int, Tensor] = {}  # p_l of the running weight step, by edge
        self._randomness: Randomness | None = None  # as it was before the forward of the weight step
        self._grows, self._now = True, 0.0

    def needs(self) -> Mapping[Ability, str]:
        """Return a mixture, whose weights get a gradient in the weight step."""
        return dict.fromkeys((Ability.MIXTURE, Ability.TRAINED_WEIGHTS), "")

    def adapt(self, graph: Graph) -> None:
        """Find the copies of each kind of normal cell."""
        copies: dict[tuple[int, ...], list[list[EdgeData]]] = {}
        reductions = set()
        mixed = {id(data) for data in mixed_edges(graph, self.optimizer.scope)}
        for cell in graph._graphs_in_scope(self.optimizer.scope):
            edges = [data for _, _, data in cell.edges(data=True) if id(data) in mixed]
            kind = tuple(id(data.alpha) for data in edges)
            if edges:
                copies.setdefault(kind, []).append(edges)
            if any(has_stride(op) for data in edges for op in data.op.primitives):
                reductions.add(kind)
        repeated = {kind: cells for kind, cells in copies.items() if len(cells) > 1}
        normal = [cells for kind, cells in repeated.items() if kind not in reductions]
        self._kinds = normal or list(repeated.values())
        if not self._kinds:
            raise ConfigError("the part layer_alignment needs a cell that the network has at least twice")
        self._ops = mixtures("layer_alignment", (data for cells in self._kinds for edges in cells for data in edges))

    def follow(self, name: str, value: float) -> None:
        """Set a keyword; the strength then does not grow by itself."""
        super().follow(name, value)
        if name == "strength":
            self._grows, self._now = False, value

    def new_epoch(self, epoch: int) -> None:
        """Set lambda of the epoch."""
        if self._grows:
            self._now = self.strength * epoch / max(1, self.optimizer.epochs - 1)

    @contextmanager
    def during_weight_step(self, data_train: Batch) -> Iterator[None]:
        """Give every copy of a cell its own relaxed weights, whose gradients the backward leaves there."""
        self._own = {}
        if not self._now:
            yield
            return
        self._randomness = Randomness(self.optimizer.task.device_of(data_train))
        with watching_weights(self._ops, self._separate):
            yield

    def _separate(self, op: RelaxedMixedOp, weights: Any) -> Any:
        """Return a copy of the weights that keeps its gradient; that of alpha still goes through it."""
        if isinstance(weights, Draw):
            return weights
        if id(op) not in self._own:  # a checkpointed cell asks a second time, in the backward
            own = weights.view_as(weights) if weights.requires_grad else weights.detach().requires_grad_()
            own.retain_grad()
            self._own[id(op)] = own
        return self._own[id(op)]

    def weight_gradient(self, data_train: Batch) -> None:
        """Add the regularizer's gradient, before the whole is clipped."""
        mean_over_ranks_([own.grad for own in self._own.values() if own.grad is not None])
        direction = self._direction()
        if direction:
            norm = torch.linalg.vector_norm(torch.cat(list(direction.values())))
            h = self.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny ** 0.5)  # where delta is 0 the difference is
            less, more = self._shifted(data_train, direction, -h), self._shifted(data_train, direction, h)
            for weight, first, second in zip(self._trained(), less, more, strict=True):
                if first is not None and second is not None and weight.grad is not None:
                    weight.grad.add_((first - second) * (self._now / (2 * h)))
        self._own, self._randomness = {}, None

    def _direction(self) -> dict[int, Tensor]:
        """Return delta by edge: the gradient of the sum of all Lambdas in the g_l."""
        direction: dict[int, Tensor] = {}
        for cells in self._kinds:
            # what is decided is decided for all copies
            ops = [[data.op for data in edges if id(data.op) in self._own] for edges in cells]
            if not ops[0]:
                continue
            own = [[self._own[id(op)] for op in row] for row in ops]
            gradients = [torch.cat([_gradient(p) for p in row]) for row in own]
            for row, of_row, delta in zip(ops, own, alignment_gradient(gradients), strict=True):
                pieces = delta.split([p.numel() for p in of_row])
                direction |= {id(op): piece for op, piece in zip(row, pieces, strict=True)}
        return direction

    def _trained(self) -> list[Tensor]:
        return [weight for weight in self.optimizer.weights if weight.requires_grad]

    def _shifted(self, data: Batch, direction: Mapping[int, Tensor], by: Tensor) -> list[Tensor | None]:
        """Return the gradient of the training loss in the weights where every p_l is moved along its direction."""
        owner, own = self.optimizer, self._own

        def moved(op: RelaxedMixedOp, weights: Any) -> Any:
            return own[id(op)].detach() + by * direction[id(op)] if id(op) in direction else weights

        with ExitStack() as stack:
            stack.enter_context(watching_weights(self._ops, moved))
            stack.enter_context(frozen_batch_norm_statistics(owner.graph))
            stack.enter_context(owner.fixed_architecture())
            stack.enter_context(self._randomness.again() if self._randomness else nullcontext())
            found = torch.autograd.grad(owner.exact_loss(data), self._trained(), allow_unused=True)
        return means_over_ranks(found)

    def state_dict(self) -> dict[str, Any]:
        """Return lambda of the epoch."""
        return {"now": self._now}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a lambda."""
        self._now = state_dict["now"]


def _gradient(weights: Tensor) -> Tensor:
    return torch.zeros_like(weights) if weights.grad is None else weights.grad.detach()
