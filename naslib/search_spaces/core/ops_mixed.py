"""MixedOp: several candidate operations on one edge, weighted by an optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.kernels.weighted_sum import mixture

from .assignment import current
from .elastic.entangled import EntangledCandidate, mixed_candidates
from .entering import Entering
from .ops_base import AbstractPrimitive, add_into, call_op_shared, split_op_norm
from .ops_basic import Zero
from .shared_work import Passes, SharedWork
from .types import EdgeLike

Hook = Callable[[Any, EdgeLike | None], Any]
# (logits of shape (n_decisions, n_ops), training) -> one entry per decision, which `apply_weights` takes
Relaxation = Callable[[Tensor, bool], Sequence[Any]]


class MixedOp(AbstractPrimitive):
    """Base of what an optimizer puts on an edge in place of a list of candidates.

    A forward reads the weights off the edge (`get_weights`), relaxes them (`process_weights`) and mixes the candidates
    by them (`apply_weights`); the hooks see the weights before and after they are relaxed. Where an `Assignment` holds
    (in a graph always), the first two and the first hook have been called when it was drawn. A candidate may be any
    module, a Graph included; it is registered as `primitive-i`.

    Args:
        primitives: The candidates.

    Attributes:
        pre_process_hook: `hook(weights, edge_data) -> weights`, before `process_weights`.
        post_process_hook: The same, after `process_weights`.
        relaxation: What relaxes all decisions that share it in one call per forward (see `drawing.draw`); None relaxes
            edge by edge.
        decision: Name of the decision, by which an `Assignment` knows it; None where no optimizer has given one.
        copy: Which of the operations of that decision it is.
    """

    relaxation: Relaxation | None
    decision: str | None = None
    copy: int = 0

    def __init__(self, primitives: Sequence[nn.Module]) -> None:
        super().__init__()
        self.pre_process_hook: Hook | None = None
        self.post_process_hook: Hook | None = None
        self.relaxation = None
        self._primitive_names: tuple[str, ...] = ()
        self.set_embedded_ops(primitives)

    @property
    def primitives(self) -> list[nn.Module]:
        """The candidates."""
        modules: Any = self._modules
        return [modules[name] for name in self._primitive_names]

    @primitives.setter
    def primitives(self, primitives: Sequence[nn.Module]) -> None:
        self.set_embedded_ops(primitives)

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the candidates."""
        return self.primitives

    def set_embedded_ops(self, primitives: Sequence[nn.Module]) -> None:
        """Replace the candidates; they come first among the submodules, whatever else is registered.

        Raises:
            GraphError: If there is none, or one is no module.
        """
        primitives = list(primitives)
        if not primitives:
            raise GraphError(f"{type(self).__name__} needs at least one candidate op")
        for primitive in primitives:
            if not isinstance(primitive, nn.Module):
                advice = "; call graph.compile() first" if inspect.isclass(primitive) else ""
                raise GraphError(f"candidate ops are torch modules, not {primitive!r}{advice}")
        others = {name: module for name, module in self._modules.items() if name not in self._primitive_names}
        self._modules.clear()
        self._primitive_names = tuple(f"primitive-{index}" for index in range(len(primitives)))
        for name, primitive in zip(self._primitive_names, primitives, strict=True):
            self.add_module(name, primitive)
        self._modules.update(others)  # an optimizer's state is stored by the position of a parameter

    def discretized(self, index: int) -> nn.Module:
        """Return the operation that stays on the edge if candidate `index` is chosen."""
        return left_of(self.primitives[index])

    def set_pre_process_hook(self, hook: Hook | None) -> None:
        """Set what changes the weights before `process_weights`, in place of what was set; None removes it."""
        self.pre_process_hook = hook

    def set_post_process_hook(self, hook: Hook | None) -> None:
        """Set what changes the weights after `process_weights`, in place of what was set; None removes it."""
        self.post_process_hook = hook

    @contextmanager
    def processing(self, pre: Hook | None = None, post: Hook | None = None) -> Iterator[None]:
        """Put hooks behind those that are set, for the forwards inside; afterwards those before are there again.

        Args:
            pre: Gets what the hook that is set makes of the weights before `process_weights`.
            post: The same, after `process_weights`.
        """
        before = self.pre_process_hook, self.post_process_hook
        self.pre_process_hook, self.post_process_hook = _behind(before[0], pre), _behind(before[1], post)
        try:
            yield
        finally:
            self.pre_process_hook, self.post_process_hook = before

    def get_weights(self, edge_data: EdgeLike) -> Any:
        """Return the raw architecture weights of the edge."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_weights(edge_data)")

    def process_weights(self, weights: Any) -> Any:
        """Return the relaxed weights; the raw ones unless a subclass defines a relaxation."""
        return weights

    def apply_weights(self, x: Tensor, weights: Any) -> Tensor:
        """Return the mixture of the candidates' outputs.

        `x` has any shape that the candidates take.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define apply_weights(x, weights)")

    def apply_shared(self, x: Tensor, weights: Any, work: SharedWork) -> Tensor:
        """Return what `apply_weights` returns, taking what others have computed from `x` already.

        `x` has any shape that the candidates take.
        """
        return self.apply_weights(x, weights)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Fall back on `apply_weights` where a subclass defines it and says nothing about shared work."""
        super().__init_subclass__(**kwargs)
        if "apply_weights" in cls.__dict__ and "apply_shared" not in cls.__dict__:
            cls.apply_shared = MixedOp.apply_shared  # type: ignore[method-assign]

    def relaxes_in_batch(self) -> bool:
        """Say whether this op's decision may be relaxed together with others: nothing looks at single edges."""
        hooked = self.pre_process_hook is not None or self.post_process_hook is not None
        return self.relaxation is not None and not hooked and type(self).forward is MixedOp.forward

    def relaxed(self, edge_data: EdgeLike) -> Any:
        """Return the weights of the edge as its own hook and class make them, before the hook that comes after."""
        weights = self.get_weights(edge_data)
        if self.pre_process_hook is not None:
            weights = self.pre_process_hook(weights, edge_data)
        return self.process_weights(weights)

    def weights_of(self, chosen: Any, edge_data: EdgeLike) -> Any:
        """Return what `apply_weights` takes for an entry of an assignment.

        Args:
            chosen: A row of weights or a `Draw`; the index of a candidate (-1 for none), or several, become a row of
                ones and zeros.
            edge_data: Of the edge.
        """
        if type(chosen) not in (int, tuple):  # a Draw is a tuple, too
            return chosen
        row = torch.zeros_like(edge_data.alpha, requires_grad=False)
        for index in (chosen,) if isinstance(chosen, int) else chosen:
            if index >= 0:
                row[index] = 1.0
        return row

    def running(self, chosen: Any) -> tuple[int, ...] | None:
        """Return which candidates an entry of an assignment runs; None where it may be all of them.

        Args:
            chosen: See `weights_of`.
        """
        return None

    def row_of(self, chosen: Any, edge_data: EdgeLike) -> Tensor | None:
        """Return by what the candidates are added up, where this operation does nothing else; None where it may.

        `(n_ops,)`. What computes several edges at once asks this instead of calling the operations.

        Args:
            chosen: What the assignment has for the decision.
            edge_data: Of the edge.
        """
        return None

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Mix the candidates by what the assignment says that holds, else by the weights on the edge.

        `x` has any shape that the candidates take.
        """
        assignment = current() if self.decision is not None else None
        if assignment is None:
            weights = self.relaxed(edge_data)  # type: ignore[arg-type]
        else:
            weights = self.weights_of(assignment.of_copy(self.decision, self.copy), edge_data)  # type: ignore[arg-type]
        if self.post_process_hook is not None:
            weights = self.post_process_hook(weights, edge_data)
        if isinstance(x, Entering):
            x.ran.append(weights)
        return self.apply_weights(x, weights)


def left_of(candidate: nn.Module) -> nn.Module:
    """Return what is left of a candidate in a discrete architecture: of one with entangled weights, its slice."""
    return candidate.extract() if isinstance(candidate, EntangledCandidate) else candidate


def _behind(first: Hook | None, then: Hook | None) -> Hook | None:
    if first is None or then is None:
        return then if first is None else first
    inner, outer = first, then
    return lambda weights, edge_data: outer(inner(weights, edge_data), edge_data)


def mix_outputs(primitives: Sequence[nn.Module], x: Tensor, weights: Tensor, work: SharedWork | None = None) -> Tensor:
    """Return the sum of `weights[i] * primitives[i](x)`.

    `Zero` candidates are left out: they add nothing, and their weights get a gradient of zero all the same.

    Args:
        primitives: The candidates.
        x: Their input.
        weights: `(n_ops,)` relaxed weights.
        work: Results computed from `x` in this forward; None to share nothing with others.
    """
    work = SharedWork(Passes(accumulate=False, mix=False)) if work is None else work
    if EntangledCandidate in map(type, primitives):
        primitives, weights = mixed_candidates(primitives, weights)
    places = list(range(len(primitives)))
    if work.passes.drop_zero:
        places = [place for place in places if not isinstance(primitives[place], Zero)] or places[:1]
    if work.passes.native:
        from .ops_native import mix_natively

        parts = weights.unbind()
        return mix_natively([(primitives[place], parts[place]) for place in places], x, work)
    if work.passes.mix and weights.dtype == x.dtype and x.device.type == "cpu":
        return mixture(weights, [(place, *split_op_norm(primitives[place], x, work)) for place in places])
    total: Tensor | None = None
    own = False  # whether `total` is a sum of ours, which nobody else reads
    parts = weights.unbind()
    for place in places:
        term = call_op_shared(primitives[place], x, work, parts[place])
        if total is None:
            total = term
        elif own and work.passes.accumulate:
            total = add_into(total, term)
        else:
            total, own = total + term, True
    if total is None:
        raise GraphError("a mixture needs at least one candidate")
    return total
