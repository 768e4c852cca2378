"""A whole node of a relaxed cell as one autograd function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from naslib.errors import GraphError

from ._engine import wanted_gradients
from .availability import available
from .shapes import accepts_sizes, eager_reverse_mode, output_shape, plain_tensors
from .weighted_sum import weighted_sum


@dataclass(frozen=True, slots=True)
class Stage:
    """ReLU, depthwise convolution, 1x1 convolution, BN without weight and bias.

    Attributes:
        depthwise: `(c, 1, k, k)`.
        pointwise: `(o, c, 1, 1)`.
        stride: Stride of the depthwise convolution.
        padding: Its padding.
        dilation: Its dilation.
        running_mean: `(o,)`, or None: BN normalises by the batch, also in evaluation, and updates nothing.
        running_var: `(o,)`, or None.
        momentum: Weight of the batch in the running statistics.
        eps: Added to the variance.
    """

    depthwise: Tensor
    pointwise: Tensor
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    running_mean: Tensor | None = None
    running_var: Tensor | None = None
    momentum: float = 0.1
    eps: float = 1e-5


@dataclass(frozen=True, slots=True)
class Branch:
    """One candidate operation of an edge: its input and its stages (a separable convolution has two, a dilated one).

    Attributes:
        source: `(n, c, h, w)`; branches that share it give one and the same tensor.
        stages: Applied one after the other.
    """

    source: Tensor
    stages: Sequence[Stage]


def sep_branch(
    x: Tensor,
    dw_weight: Tensor,
    pw_weight: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    training: bool,
    stride: int,
    padding: int,
    dilation: int,
) -> Tensor:
    """Apply ReLU, a depthwise and a 1x1 convolution, and BN without weight and bias.

    Args:
        x: `(n, c, h, w)`.
        dw_weight: `(c, 1, k, k)`.
        pw_weight: `(o, c, 1, 1)`.
        running_mean: `(o,)`, updated in training, or None.
        running_var: `(o,)`, updated in training, or None.
        momentum: Weight of the batch in the running statistics.
        eps: Added to the variance.
        training: Whether BN normalises by the batch; it does so too where there are no running statistics.
        stride: Stride of the depthwise convolution.
        padding: Its padding.
        dilation: Its dilation.
    """
    stage = Stage(dw_weight, pw_weight, stride, padding, dilation, running_mean, running_var, momentum, eps)
    branch = Branch(x, (stage,))
    if accepts_node([branch], [], training) and available("auto"):
        return _run([branch], [], x.new_ones(1), training)
    return apply_branch(branch, training)


def mixed_node(branches: Sequence[Branch], tensors: Sequence[Tensor], weights: Tensor, *, training: bool) -> Tensor:
    """Return the weighted sum of branches and of tensors: all that enters one node of a relaxed cell.

    Args:
        branches: The candidates made of depthwise convolutions.
        tensors: Outputs of the other candidates (pooling, skip connections), of the shape that the branches end in.
        weights: `(len(branches) + len(tensors),)`, in this order.
        training: Whether BN normalises by the batch and updates the running statistics it was given. The modules'
            counters `num_batches_tracked` are the caller's.

    Returns:
        `(n, o, h, w)`, channels_last where the native kernel ran. A second derivative needs the PyTorch path.

    Raises:
        GraphError: If there is nothing to sum, or not one weight for each.
    """
    count = len(branches) + len(tensors)
    if count == 0 or weights.dim() != 1 or len(weights) != count:
        raise GraphError(f"a mixed node of {count} candidates needs as many weights, not {tuple(weights.shape)}")
    if accepts_node(branches, [weights, *tensors], training) and available("auto"):
        return _run(branches, tensors, weights, training)
    return weighted_sum([*(apply_branch(branch, training) for branch in branches), *tensors], weights)


def apply_branch(branch: Branch, training: bool) -> Tensor:
    """Apply one branch with PyTorch's operations: what the native kernels are compared with.

    `(n, c, h, w)` to `(n, c, h', w')`.
    """
    x = branch.source
    for stage in branch.stages:
        x = F.conv2d(F.relu(x), stage.depthwise, None, stage.stride, stage.padding, stage.dilation, groups=x.shape[1])
        x = F.conv2d(x, stage.pointwise)
        by_batch = training or stage.running_mean is None
        x = F.batch_norm(
            x, stage.running_mean, stage.running_var, training=by_batch, momentum=stage.momentum, eps=stage.eps
        )
    return x


def accepts_node(branches: Sequence[Branch], others: Sequence[Tensor], training: bool) -> bool:
    """Say whether the native kernel takes a node: each chain as in `accepts`, one way of normalising for all BN.

    All outputs are `(n, c, h, w)`.

    Args:
        branches: The chains; at least one.
        others: The weights and tensors that are summed besides: only kind and dtype are looked at.
        training: Whether BN is in training mode.
    """
    stages = [stage for branch in branches for stage in branch.stages]
    if not branches or not all(len(branch.stages) for branch in branches) or not eager_reverse_mode():
        return False
    tensors: list[Tensor | None] = list(others)
    for stage in stages:
        tensors += (stage.depthwise, stage.pointwise, stage.running_mean, stage.running_var)
    if not plain_tensors([*(branch.source for branch in branches), *tensors]):
        return False
    untracked = [stage.running_mean is None for stage in stages]
    if not training and any(untracked) and not all(untracked):
        return False
    return all(_accepts_branch(branch, training or untracked[0]) for branch in branches)


def _accepts_branch(branch: Branch, by_batch: bool) -> bool:
    """Say whether all sizes of a branch fit."""
    shape: Sequence[int] = branch.source.shape
    if len(shape) != 4:
        return False
    for stage in branch.stages:
        if (stage.running_mean is None) != (stage.running_var is None):
            return False
        if not accepts_sizes(shape, stage.depthwise, stage.pointwise, stage.stride, stage.padding, stage.dilation):
            return False
        side, channels = stage.depthwise.shape[-1], stage.pointwise.shape[0]
        shape = output_shape(shape, side, channels, stage.stride, stage.padding, stage.dilation)
        if by_batch and shape[0] * shape[2] * shape[3] < 2:  # PyTorch's own error says it best
            return False
    return True


class _Layout(NamedTuple):
    """How the flat list of tensors of a node is to be read."""

    sources: int
    stages: int
    tensors: int
    geometry: list[int]
    norm: list[float]
    running_mean: list[Tensor]
    running_var: list[Tensor]
    training: bool

    def split(self, flat: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any], list[Any], Any]:
        """Return sources, depthwise and pointwise kernels, tensors and weights."""
        a, b, c = self.sources, self.sources + self.stages, self.sources + 2 * self.stages
        return list(flat[:a]), list(flat[a:b]), list(flat[b:c]), list(flat[c:-1]), flat[-1]


def _run(branches: Sequence[Branch], tensors: Sequence[Tensor], weights: Tensor, training: bool) -> Tensor:
    """Call the native kernel."""
    sources = {id(branch.source): branch.source for branch in branches}
    index = {key: position for position, key in enumerate(sources)}
    stages = [stage for branch in branches for stage in branch.stages]
    geometry: list[int] = []
    for branch in branches:
        source = index[id(branch.source)]
        for stage in branch.stages:
            geometry += (source, stage.stride, stage.padding, stage.dilation)
            source = -1
    none = weights.new_empty(0)
    layout = _Layout(
        len(sources),
        len(stages),
        len(tensors),
        geometry,
        [value for stage in stages for value in (stage.momentum, stage.eps)],
        [none if stage.running_mean is None else stage.running_mean for stage in stages],
        [none if stage.running_var is None else stage.running_var for stage in stages],
        training or stages[0].running_mean is None,
    )
    kernels = [*(stage.depthwise for stage in stages), *(stage.pointwise for stage in stages)]
    return _MixedNode.apply(layout, *sources.values(), *kernels, *tensors, weights)[0]


def _channels_last(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.contiguous(memory_format=torch.channels_last) for tensor in tensors]


class _MixedNode(torch.autograd.Function):
    """The native kernel; it keeps its inputs, the output of every 1x1 convolution and the statistics."""

    @staticmethod
    def forward(layout: _Layout, *flat: Tensor) -> tuple[Tensor, ...]:
        """Run the kernel; behind the output come what the backward pass needs."""
        sources, depthwise, pointwise, tensors, weights = layout.split(flat)
        output, kept, statistics = torch.ops.naslib_native.mixed_node(
            _channels_last(sources),
            depthwise,
            pointwise,
            _channels_last(tensors),
            weights,
            layout.geometry,
            layout.norm,
            layout.running_mean,
            layout.running_var,
            layout.training,
        )
        return (output, *kept, *statistics)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the inputs and what the forward pass kept."""
        # The running statistics were for the forward pass only.
        ctx.layout = inputs[0]._replace(running_mean=[], running_var=[])
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[1:], *output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *unused: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients that are used."""
        layout: _Layout = ctx.layout
        count = layout.sources + 2 * layout.stages + layout.tensors + 1
        if grad is None:
            return (None,) * (count + 1)
        needs = wanted_gradients(ctx, count)
        saved = ctx.saved_tensors
        sources, depthwise, pointwise, tensors, weights = layout.split(saved[:count])
        need_sources, need_depthwise, need_pointwise, need_tensors, need_weights = layout.split(needs)
        gradients = torch.ops.naslib_native.mixed_node_backward(
            grad.contiguous(memory_format=torch.channels_last),
            _channels_last(sources),
            depthwise,
            pointwise,
            _channels_last(tensors),
            weights,
            layout.geometry,
            list(saved[count : count + layout.stages]),
            list(saved[count + layout.stages :]),
            layout.training,
            need_sources,
            any(need_depthwise) or any(need_pointwise),
            need_tensors,
            need_weights,
        )
        flat = [*gradients[0], *gradients[1], *gradients[2], *gradients[3], gradients[4]]
        return (None, *(value if need else None for value, need in zip(flat, needs, strict=True)))
