"""Base classes of operations on edges and combinations on nodes, and the functions that call and sum operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from ._module_copy import Memo, copy_module
from .in_place import HARMLESS, guarded
from .shared_work import SharedWork, is_hooked
from .types import EdgeLike


class AbstractPrimitive(nn.Module):
    """Base of the operations that stand on edges.

    A subclass calls `super().__init__(locals())` first, or just `super().__init__()`.

    Args:
        kwargs: The constructor's arguments, usually `locals()`.

    Attributes:
        init_params: The constructor's arguments, without `self`.
        stateless: True for operations without parameters, buffers and randomness: such an operation gives the same
            output wherever it stands, so that a later pass may compute it once for several edges.
    """

    stateless: bool = False
    init_params: dict[str, Any]

    def __init__(self, kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        given = kwargs or {}
        own = {key: value for key, value in given.items() if key not in ("self", "__class__", "kwargs")}
        self.init_params = {**own, **given.get("kwargs", {})}

    def forward(self, x: Any, edge_data: EdgeLike | None = None) -> Any:
        """Apply the operation.

        Args:
            x: What the edge's source gives.
            edge_data: Data of the edge; None where the operation stands inside another one.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x, edge_data)")

    def forward_shared(self, x: Any, work: SharedWork, weight: Tensor | None = None) -> Any:
        """Apply the operation, taking what others have computed from `x` already.

        Args:
            x: The input.
            work: Results computed from `x` in this forward.
            weight: A scalar to multiply the output by; None for 1.
        """
        output = self(x)
        return output if weight is None else output * weight

    def split_norm(self, x: Any, work: SharedWork) -> tuple[Tensor, nn.Module] | None:
        """Apply all but the BN at the end; return its input and the BN, or None where the operation does not end so.

        `(n, c, h, w)` in, `(n, c', h', w')` out.

        Args:
            x: The input.
            work: Results computed from `x` in this forward.
        """
        return None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Fall back on the plain `forward` where a subclass defines one and says nothing about shared work."""
        super().__init_subclass__(**kwargs)
        if "forward" in cls.__dict__ and "forward_shared" not in cls.__dict__:
            cls.forward_shared = AbstractPrimitive.forward_shared  # type: ignore[method-assign]
        changed = "forward" in cls.__dict__ or "forward_shared" in cls.__dict__
        if changed and "split_norm" not in cls.__dict__:
            cls.split_norm = AbstractPrimitive.split_norm  # type: ignore[method-assign]

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the operations inside this one, None where there are none."""
        return None

    @property
    def get_op_name(self) -> str:
        """The name by which conversions know the operation."""
        return type(self).__name__

    def __deepcopy__(self, memo: Memo) -> Any:
        return copy_module(self, memo)


class AbstractCombOp(AbstractPrimitive):
    """Base of combinations at nodes that read the data of the edges which enter the node.

    One that sets `reads_choices` combines by what was chosen at other nodes, too. It is called as
    `combine(tensors, edges_data, choices)`, with one entry per such node: the index of the combination that runs there
    alone, or `(n,)` weights of all of them.

    Args:
        comb_op: A plain combination of a list of tensors that a subclass may build on.

    Attributes:
        COMBINES_ONE: Whether it is also called where one tensor enters the node.
        reads_choices: Nodes of the same graph, earlier ones, whose lists of combinations are decided.
    """

    COMBINES_ONE: ClassVar[bool] = False
    reads_choices: tuple[int, ...] = ()

    def __init__(self, comb_op: Callable[[list[Tensor]], Tensor] | None = None) -> None:
        super().__init__({"comb_op": comb_op})
        self.comb_op = comb_op

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Combine.

        Tensors of any shape that the combination takes.

        Args:
            tensors: What enters the node, ordered by source index.
            edges_data: Data of the edges, in the same order.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward(tensors, edges_data)")

    def used_inputs(self, count: int) -> Sequence[int]:
        """Return which of `count` inputs, ordered by source index, have an effect: all unless a subclass says less."""
        return range(count)


def call_op(op: nn.Module, x: Tensor) -> Tensor:
    """Apply an operation that stands inside another one: a primitive without edge data, or any other module.

    Tensors of any shape that the operation takes.

    `x` is left as it is, also by an operation that works in place.
    """
    if isinstance(op, AbstractPrimitive):
        return guarded(op, op, x, edge_data=None)
    return guarded(op, op, x)


def call_op_shared(op: nn.Module, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
    """Apply an operation inside another one as `call_op` does, with shared work and a weight.

    `x` has any shape that the operation takes, the weight is a scalar.
    """
    if isinstance(op, AbstractPrimitive) and not op._forward_hooks and not op._forward_pre_hooks:
        if type(op) in HARMLESS:
            return op.forward_shared(x, work, weight)
        return guarded(op, op.forward_shared, x, work, weight)
    output = call_op(op, x)
    return output if weight is None else output * weight


def split_op_norm(op: nn.Module, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module | None]:
    """Apply an operation inside another one; where it ends in a BN that nobody watches, return that BN's input and it.

    `(n, c, h, w)` in, `(n, c', h', w')` out.

    Returns:
        The output and None, or what the BN reads and the BN.
    """
    if isinstance(op, AbstractPrimitive) and not is_hooked(op):
        split = op.split_norm(x, work) if type(op) in HARMLESS else guarded(op, op.split_norm, x, work)
        if split is not None:
            return split
    return call_op_shared(op, x, work), None


def add_into(total: Tensor, term: Tensor) -> Tensor:
    """Return `total + term`, written into `total` where that changes neither shape nor type.

    Of any shape.

    Args:
        total: A sum that nobody else reads.
        term: What to add.
    """
    if term.shape == total.shape and term.dtype == total.dtype:
        total += term
        return total
    return total + term


def weighted_sum(outputs: Sequence[Tensor], weights: Tensor | Sequence[Tensor | float]) -> Tensor:
    """Return the sum of `weights[i] * outputs[i]`.

    Args:
        outputs: At least one tensor, all of one shape.
        weights: As many scalars, or a 1-D tensor of them.
    """
    scalars = weights.unbind() if isinstance(weights, Tensor) else weights
    total: Tensor | None = None
    for output, weight in zip(outputs, scalars, strict=True):
        total = output * weight if total is None else total + output * weight
    if total is None:
        raise ValueError("a weighted sum needs at least one output")
    return total
