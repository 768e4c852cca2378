"""Operations without weights: Identity, Zero, pooling to a vector, sequences, drop-path."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.utils.rows import draw_for_rows

from .ops_base import AbstractPrimitive, call_op
from .types import EdgeLike


class Identity(AbstractPrimitive):
    """Return the input."""

    stateless = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(kwargs)

    def forward(self, x: Any, edge_data: EdgeLike | None = None) -> Any:
        """Return `x`."""
        return x


class Zero(AbstractPrimitive):
    """Return zeros of the shape that a strided convolution would give: no connection.

    The zeros do not depend on the values of the input, so that NaN and infinity end here.

    Args:
        stride: Stride of both spatial dimensions.
        C_in: Number of input channels; only needed where it differs from `C_out`.
        C_out: Number of output channels, the input's if None.
    """

    stateless = True

    def __init__(self, stride: int, C_in: int | None = None, C_out: int | None = None, **kwargs: Any) -> None:
        super().__init__({"stride": stride, "C_in": C_in, "C_out": C_out, **kwargs})
        self.stride = stride
        self.C_in = C_in
        self.C_out = C_out

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the zeros.

        `(n, c, h, w)`, smaller by the stride; with a stride of 1 any shape, which stays.
        """
        return self._zeros(x, None if self.C_out == self.C_in else self.C_out)

    def _zeros(self, x: Tensor, channels: int | None) -> Tensor:
        if self.stride > 1:
            x = x[(slice(None), slice(None), *[slice(None, None, self.stride)] * (x.dim() - 2))]
        if channels is None or channels == x.shape[1]:
            return torch.zeros_like(x)  # in the memory format of x
        return x.new_zeros((x.shape[0], channels, *x.shape[2:]))


class Zero1x1(Zero):
    """Return zeros; twice as many channels where the stride is larger than 1.

    Args:
        stride: Stride of both spatial dimensions.
    """

    def __init__(self, stride: int, **kwargs: Any) -> None:
        super().__init__(stride, **kwargs)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the zeros.

        `(n, c, h, w)`, smaller by the stride.
        """
        return self._zeros(x, None if self.stride == 1 else 2 * x.shape[1])


class Noise(AbstractPrimitive):
    """Return Gaussian noise of the shape that a strided convolution would give, whatever comes in; always drawn anew.

    The operation of the space S4 of [Zela2020robustdarts], which no search should prefer.

    Args:
        stride: Stride of both spatial dimensions.
        mean: Mean of each value.
        std: Its standard deviation.
    """

    def __init__(self, stride: int, mean: float = 0.0, std: float = 1.0, **kwargs: Any) -> None:
        super().__init__({"stride": stride, "mean": mean, "std": std, **kwargs})
        self.stride = stride
        self.mean = mean
        self.std = std

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the noise, in training and in evaluation.

        `(n, c, h, w)`, smaller by the stride.
        """
        if self.stride > 1:
            x = x[..., :: self.stride, :: self.stride]
        noise = draw_for_rows(x.shape, lambda of: torch.randn(tuple(of), dtype=x.dtype, device=x.device))
        return noise * self.std + self.mean


class GlobalAveragePooling(AbstractPrimitive):
    """Average over all positions: `(n, channels, h, w)` becomes `(n, channels)`."""

    stateless = True

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the averages.

        `(n, c, h, w)` to `(n, c, 1, 1)`.
        """
        return x.mean(tuple(range(2, x.dim())))


class Sequential(AbstractPrimitive):
    """Apply several operations (primitives, graphs or any modules) one after the other.

    Args:
        *ops: The operations.
    """

    def __init__(self, *ops: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*ops)
        self.stateless = all(getattr(op, "stateless", False) for op in ops)

    @property
    def primitives(self) -> list[nn.Module]:
        """The operations."""
        return list(self.op)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operations.

        Tensors of any shape that the operation takes.
        """
        for op in self.op:
            x = call_op(op, x)
        return x

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the operations."""
        return list(self.op)


class Added(AbstractPrimitive):
    """Add several operations on one input: the two edges of a node that takes one node twice.

    Args:
        *ops: The operations.
    """

    def __init__(self, *ops: nn.Module) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the sum.

        `(n, c, h, w)` to what each of the operations gives.
        """
        first, *others = (call_op(op, x) for op in self.ops)
        for other in others:
            first = first + other
        return first

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the operations."""
        return list(self.ops)


class DropPath(AbstractPrimitive):
    """Drop the output of an operation for whole samples, in training only.

    Each sample keeps its output with probability `1 - drop_prob`, scaled by the inverse of that probability.

    Args:
        op: The operation.
        drop_prob: Probability of dropping, in [0, 1); the training loop raises it by the epoch.
        depth: What `set_drop_path_prob` multiplies a probability by, in (0, 1]: how deep this is in the network.

    Attributes:
        drop_prob: The same, to be set at any time.
        depth: The same.
    """

    def __init__(self, op: nn.Module, drop_prob: float = 0.0, depth: float = 1.0) -> None:
        super().__init__()
        self.op = op
        self.drop_prob = drop_prob
        self.depth = depth

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation and drop.

        `(n, ...)` to what the operation returns; whole items are dropped.
        """
        out = call_op(self.op, x)
        if not self.training or self.drop_prob <= 0.0:
            return out
        keep = 1.0 - self.drop_prob
        shape = (out.shape[0], *[1] * (out.dim() - 1))
        mask = draw_for_rows(shape, lambda of: torch.bernoulli(out.new_full(tuple(of), keep)))
        return out * mask if keep <= 0.0 else out * (mask / keep)

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the operation in a list."""
        return [self.op]

    @property
    def get_op_name(self) -> str:
        """The name of the operation inside."""
        return self.op.get_op_name if isinstance(self.op, AbstractPrimitive) else type(self.op).__name__


def set_drop_path_prob(module: nn.Module, drop_prob: float) -> int:
    """Set the probability of every `DropPath` in a network, multiplied by its depth.

    Args:
        module: The network.
        drop_prob: The new probability.

    Returns:
        How many there are.
    """
    found = [child for child in module.modules() if isinstance(child, DropPath)]
    for child in found:
        child.drop_prob = drop_prob * child.depth
    return len(found)
