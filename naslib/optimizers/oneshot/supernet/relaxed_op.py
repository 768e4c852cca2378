"""The MixedOp of the weight-sharing optimizers: it mixes all candidates by their weights, or runs what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from naslib.search_spaces.core.assignment import assigned, current
from naslib.search_spaces.core.batch_norm import batch_norm_modules, frozen_batch_norm_statistics
from naslib.search_spaces.core.entering import Entering
from naslib.search_spaces.core.kernels.weighted_sum import inner_product
from naslib.search_spaces.core.ops_mixed import left_of
from naslib.search_spaces.core.primitives import AbstractPrimitive, MixedOp, call_op, call_op_shared, mix_outputs
from naslib.search_spaces.core.shared_work import SharedWork
from naslib.search_spaces.core.types import EdgeLike
from naslib.utils.joined_forward import on_rows
from naslib.utils.rows import held_rows

from .relaxations import softmax_weights
from .sampling import Draw, draw_of

# `(dL/dy, {k: o_k(x)}, gradient)`: fills the gate gradients of these operations into `gradient`, `(n_ops,)`
GateRule = Callable[[Tensor, dict[int, Tensor], Tensor], None]
# `weights -> weights`: by what an op mixes, instead of what the relaxation says
Change = Callable[[Any], Any]
# `(x, weights) -> weights`: by what an op mixes, given what enters it as well
Adapt = Callable[[Any, Any], Any]
# `(x, work) -> y`: what an edge computes without its surroundings
Inner = Callable[[Tensor, SharedWork], Tensor]


class SoftmaxRelaxation:
    """Relax all decisions of one width at once by softmax ([Liu2019darts], Eq. 2)."""

    def __call__(self, logits: Tensor, training: bool) -> Sequence[Any]:
        """Return one row of weights per decision.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Without effect: the relaxation is the same in evaluation.
        """
        return softmax_weights(logits).unbind(0)


def inner_products(grad: Tensor, outputs: dict[int, Tensor], gradient: Tensor) -> None:
    """Fill in `a_k = <dL/dy, o_k(x)>`.

    `grad` and the outputs have one shape; `gradient` is `(n_ops,)`.
    """
    for index, output in outputs.items():
        gradient[index] = inner_product(grad, output)


class Surrounding(nn.Module):
    """Something around the mixture of an edge: partial channels, an auxiliary connection ..."""

    def forward(self, x: Tensor, work: SharedWork, inner: Inner) -> Tensor:
        """Return the edge's output.

        `(n, c, h, w)` in and out, smaller by the stride.

        Args:
            x: The edge's input.
            work: Results computed from `x` in this forward.
            inner: The mixture, with whatever surrounds it already.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x, work, inner)")

    def channels(self, inner: int) -> int:
        """Return how many channels enter it where `inner` enter the mixture: as many by default."""
        return inner

    def discretized(self, op: nn.Module) -> nn.Module:
        """Return what replaces the candidate `op` in the discrete architecture: `op` itself by default."""
        return op


class CandidateWrapper(AbstractPrimitive):
    """A candidate with something around it during the search, which the discrete architecture does not have.

    Args:
        op: The candidate.
    """

    def __init__(self, op: nn.Module) -> None:
        super().__init__({"op": op})
        self.op = op

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the candidate."""
        return [self.op]

    @property
    def get_op_name(self) -> str:
        """The name of the candidate."""
        return self.op.get_op_name if isinstance(self.op, AbstractPrimitive) else type(self.op).__name__


class RelaxedMixedOp(MixedOp):
    """Mix the candidates as the relaxation says.

    Where it gives weights, all candidates run and are summed with them. Where it gives a `Draw`, only what was drawn
    runs; the other candidates that are to be evaluated run in the backward, without a graph, their batch norm updating
    nothing and the random state as it was.

    Args:
        primitives: The candidates.

    Attributes:
        gate_rule: Gives the gate gradients of operations that were run.
        on_weights: A stack of `weights -> weights`, applied one after the other, the first that was put there first, to
            what the relaxation gave for this op, once for each of its calls; the copies of a cell are still relaxed at
            once (see `watching_weights`).
        adaptation: What changes the weights last, knowing the input; None for nothing.
    """

    def __init__(self, primitives: Sequence[nn.Module]) -> None:
        super().__init__(primitives)
        self.gate_rule: GateRule = inner_products
        self.on_weights: tuple[Change, ...] = ()
        self.adaptation: Adapt | None = None
        self._surroundings: list[str] = []

    def surround(self, surrounding: Surrounding, innermost: bool = False) -> None:
        """Put something around the mixture: outside of all that is there, or next to the candidates."""
        name = f"around-{len(self._surroundings)}"
        self.add_module(name, surrounding)
        self._surroundings.insert(0 if innermost else len(self._surroundings), name)

    @property
    def surroundings(self) -> list[Surrounding]:
        """What is around the mixture, innermost first."""
        modules: Any = self._modules
        return [modules[name] for name in self._surroundings]

    def discretized(self, index: int) -> nn.Module:
        """Return the operation that stays on the edge if candidate `index` is chosen."""
        op = self.primitives[index]
        if isinstance(op, CandidateWrapper):
            op = op.op
        op = left_of(op)
        for surrounding in self.surroundings:
            op = surrounding.discretized(op)
        return op

    def relaxes_in_batch(self) -> bool:
        """Say whether this op's decision may be relaxed with others: no subclass looks at single edges."""
        own = type(self)
        plain = own.get_weights is RelaxedMixedOp.get_weights and own.process_weights is RelaxedMixedOp.process_weights
        return plain and super().relaxes_in_batch()

    def weights_of(self, chosen: Any, edge_data: EdgeLike) -> Any:
        """Return what `apply_weights` takes for an entry of an assignment: of indices, a draw of their sum."""
        if type(chosen) not in (int, tuple):  # a Draw is a tuple, too
            return chosen
        return draw_of((chosen,) if isinstance(chosen, int) else chosen, self.primitives)

    def running(self, chosen: Any) -> tuple[int, ...] | None:
        """Return which candidates an entry of an assignment runs, in the forward or in the backward.

        None where it may be all of them, or what surrounds the mixture reads the input as well.
        """
        if self.on_weights or self._surroundings or isinstance(chosen, Tensor):
            return None
        if isinstance(chosen, Draw):
            return None if chosen.removed else (*chosen.on, *chosen.evaluated)
        return (chosen,) if isinstance(chosen, int) else tuple(chosen)

    def row_of(self, chosen: Any, edge_data: EdgeLike) -> Tensor | None:
        """Return the weights of a mixture with nothing around it; None of what was drawn, is watched or surrounded.

        `(n_ops,)`.
        """
        own = type(self)
        mixes = own.apply_shared is RelaxedMixedOp.apply_shared and own._mix is RelaxedMixedOp._mix
        if not mixes or self.on_weights or self.adaptation or self._surroundings or not self.relaxes_in_batch():
            return None
        weights = self.weights_of(chosen, edge_data)
        return weights if isinstance(weights, Tensor) else None

    def get_weights(self, edge_data: EdgeLike) -> Tensor:
        """Return the logits of the edge.

        `(n_ops,)`.
        """
        return edge_data.alpha

    def process_weights(self, weights: Tensor) -> Any:
        """Relax the logits of this edge alone, which happens only where a hook looks at them, or outside a graph.

        `(n_ops,)`.
        """
        relaxation = self.relaxation or SoftmaxRelaxation()
        return relaxation(weights.unsqueeze(0), self.training)[0]

    def apply_weights(self, x: Tensor, weights: Tensor | Draw) -> Tensor:
        """Return the weighted sum of the candidates, or of those that were drawn.

        `x` has any shape that the candidates take, weights are `(n_ops,)`.
        """
        return self.apply_shared(x, weights, SharedWork())

    def apply_shared(self, x: Tensor, weights: Tensor | Draw, work: SharedWork) -> Tensor:
        """Return what `apply_weights` returns, taking what others have computed from `x` already.

        `x` has any shape that the candidates take, weights are `(n_ops,)`.
        """
        for change in self.on_weights:
            weights = change(weights)
        if self.adaptation is not None:
            weights = self.adaptation(x, weights)
        if isinstance(x, Entering):
            x.ran.append(weights)
        if not self._surroundings:
            return self._mix(x, work, weights)
        inner: Inner = partial(self._mix, weights=weights)
        for surrounding in self.surroundings:
            inner = partial(surrounding, inner=inner)
        output = inner(x, work)
        # what passes by the mixture is of the edge too
        return output * 0.0 if isinstance(weights, Draw) and weights.removed else output

    def _mix(self, x: Tensor, work: SharedWork, weights: Tensor | Draw) -> Tensor:
        if isinstance(weights, Draw):
            return mix_drawn(self, x, weights, work)
        return mix_outputs(self.primitives, x, weights, work)


@contextmanager
def watching_weights(ops: Iterable[RelaxedMixedOp], change: Callable[[RelaxedMixedOp, Any], Any]) -> Iterator[None]:
    """Let `change(op, weights)` say by what these ops mix in the forwards inside.

    Such contexts may be nested: each change gets what those of the contexts around it have made of the weights, and on
    leaving, also by an exception, it takes away its own change and no other.

    Args:
        ops: The ops.
        change: Called once for each call of an op. A backward that computes a part of the forward again calls it
            again, so the backward belongs into the context as well.
    """
    own = [(op, partial(change, op)) for op in ops]
    for op, of_op in own:
        op.on_weights = (*op.on_weights, of_op)
    try:
        yield
    finally:
        for op, of_op in own:
            op.on_weights = tuple(other for other in op.on_weights if other is not of_op)


def mix_drawn(op: RelaxedMixedOp, x: Tensor, draw: Draw, work: SharedWork) -> Tensor:
    """Return the sum of the drawn operations' outputs, each multiplied by its weight.

    `x` has any shape that the candidates take.

    Args:
        op: The MixedOp.
        x: Its input.
        draw: What was drawn. If its weights require a gradient, the backward gives them the gate gradients.
        work: Results computed from `x` in this forward.
    """
    primitives = op.primitives
    outputs = [call_op_shared(primitives[index], x, work) for index in draw.on]
    if draw.weights.requires_grad:
        return _Gates.apply(draw.weights, x.detach(), op, draw, work.guarded, *outputs)
    return _combine(outputs, draw)


def _combine(outputs: Sequence[Tensor], draw: Draw) -> Tensor:
    terms = outputs if draw.unit else [o * draw.weights[k] for o, k in zip(outputs, draw.on, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


class _Gates(torch.autograd.Function):
    """Sum the drawn operations' outputs by their weights, and give all weights their gate gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        weights: Tensor,
        x: Tensor | Entering,
        op: RelaxedMixedOp,
        draw: Draw,
        guarded: bool,
        *outputs: Tensor,
    ) -> Tensor:
        inputs = _tensors(x) if draw.evaluated else ()
        ctx.save_for_backward(weights, *outputs, *inputs)
        ctx.entering = Entering((), x.edges, x.first) if inputs and isinstance(x, Entering) else None
        ctx.n_outputs = len(outputs)
        ctx.op, ctx.draw = op, draw._replace(weights=weights.detach())
        ctx.assignment = current()  # of decisions within the candidates
        kind = x.device.type
        ctx.rows = held_rows()
        ctx.precision = partial(torch.autocast, kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        y = _combine(outputs, ctx.draw)
        if y is not outputs[0]:
            return y
        # the output is kept for its gate gradient, so nobody may change it; a view of it is free
        return y.view_as(y) if guarded else y.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, *saved = ctx.saved_tensors
        outputs, inputs = saved[: ctx.n_outputs], saved[ctx.n_outputs :]
        x = _as_read(ctx.entering, inputs)
        draw: Draw = ctx.draw
        # the backward runs outside of the forward's autocast, assignment and rows
        with on_rows(ctx.rows):
            with ctx.precision(), assigned(ctx.assignment):
                evaluated = _evaluate(ctx.op, x, draw)
            found = dict(zip(draw.on, outputs, strict=True)) | evaluated
            gradient = torch.zeros_like(weights)
            if draw.others == "ones":
                gradient.fill_(grad.sum())
            ctx.op.gate_rule(grad, found, gradient)
        to_outputs = [grad if draw.unit else grad * weights[index] for index in draw.on]
        return gradient, None, None, None, None, *to_outputs


def _tensors(x: Tensor | Entering) -> tuple[Tensor, ...]:
    """Return what candidates read: one tensor on an edge, several at a node."""
    return x.tensors if isinstance(x, Entering) else (x,)


def _as_read(entering: Entering | None, tensors: Sequence[Tensor]) -> Any:
    """Return what candidates read, made of the tensors that were kept for the backward; None where none were."""
    if entering is not None:
        return entering.holding(tensors)
    return tensors[0] if tensors else None


def _evaluate(op: RelaxedMixedOp, x: Any, draw: Draw) -> dict[int, Tensor]:
    """Run the operations that are evaluated beside those that ran, leaving no trace."""
    if x is None or not draw.evaluated:
        return {}
    primitives = op.primitives
    chosen = [primitives[index] for index in draw.evaluated]
    norms = [norm for primitive in chosen for norm in batch_norm_modules(primitive)]
    devices = [x.device] if x.device.type != "cpu" else []
    with torch.no_grad(), frozen_batch_norm_statistics(norms), torch.random.fork_rng(devices, device_type=_kind(x)):
        return {index: call_op(primitive, x) for index, primitive in zip(draw.evaluated, chosen, strict=True)}


def _kind(x: Tensor) -> str:
    """Return the kind of accelerator whose random state is to be kept; torch wants one even where there is none."""
    return "cuda" if x.device.type == "cpu" else x.device.type
