"""What operations that read the same tensor can compute once: ReLU, pooling, and pooling with its batch norm.

A plan hands every operation the `SharedWork` of the tensor it reads. Each rewrite is exact: outputs, gradients and
running statistics are those of the operations run one by one.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.kernels import average_pool, depthwise, normalization, pointwise, strided
from naslib.search_spaces.core.kernels.bypassing import count_batch
from naslib.search_spaces.core.kernels.bypassing import is_hooked as is_hooked


@dataclass(frozen=True)
class Passes:
    """Which rewrites a plan applies; `Passes.none()` is the plain reference.

    Attributes:
        share: Compute ReLU, pooling and pooling with non-affine BN once per tensor.
        fold: Let a non-affine BN multiply by the operation's weight, so that its output is not kept for the backward.
        mix: Sum an edge's weighted candidates, and normalise those that end in a non-affine BN, in one function.
        drop_zero: Leave out `Zero` candidates, whose output and gradients are zero.
        accumulate: Sum weighted outputs in place.
        pool: Average by a depthwise convolution where that is faster.
        matmul: Compute 1x1 convolutions as matrix products where that is faster.
        flip: Convolve by the turned kernel in the backward of depthwise convolutions where that is faster.
        tangent: Take forward-mode derivatives of non-affine BN (exact Hessian-vector product) by its backward kernel.
        phases: Take the gradient of dilated depthwise kernels by the parity of the pixels where that is faster.
        subsample: Convolve every second pixel without dilation where dilation and stride are 2.
        native: Run depthwise candidates and their sum in the compiled kernels of `naslib.native`; off unless asked for,
            so that no result depends on a compiler being there.
        checkpoint: Keep of each cell only its inputs, and compute the rest again in the backward.
    """

    share: bool = True
    fold: bool = True
    mix: bool = True
    drop_zero: bool = True
    accumulate: bool = True
    pool: bool = True
    matmul: bool = True
    flip: bool = True
    tangent: bool = True
    phases: bool = True
    subsample: bool = True
    native: bool = False
    checkpoint: bool = False

    @classmethod
    def none(cls) -> Passes:
        """Return the passes of the plain reference: all off."""
        return cls(**{entry.name: False for entry in fields(cls)})

    def names(self) -> list[str]:
        """Return the names of the passes that are on."""
        return [entry.name for entry in fields(self) if getattr(self, entry.name)]


@dataclass(slots=True)
class SharedWork:
    """Results computed from one tensor in one forward, by what computed them.

    Attributes:
        passes: Which rewrites are on.
        results: Key of a stateless module -> its output; or what else several edges compute from the tensor, by a key.
        guarded: Whether all that read the outputs leave them as they are, as in a plan (`in_place`).
    """

    passes: Passes = field(default_factory=Passes)
    results: dict[Hashable, Any] = field(default_factory=dict)
    guarded: bool = False

    def apply(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return `module(x)`, computed once for all stateless modules of the same kind and settings.

        Tensors of any shape that the operation takes.
        """
        key = _key(module)
        if key is None or is_hooked(module):
            return module(x)
        if key not in self.results or not self.passes.share:
            convolves = self.passes.pool and average_pool.accepts(module, x)
            self.results[key] = average_pool.average_pool(x) if convolves else module(x)
        return self.results[key]

    def convolve(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return `module(x)` for a convolution, or for anything else in a chain of operations.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        if self.passes.matmul and pointwise.accepts(module, x) and not is_hooked(module):
            return pointwise.pointwise(x, module.weight)  # type: ignore[arg-type]
        if type(module) is nn.Conv2d and not is_hooked(module):
            return self._convolve(module, x)
        return self.norm(module, x)

    def _convolve(self, module: nn.Conv2d, x: Tensor) -> Tensor:
        passes = self.passes
        if module.groups > 1:
            if (passes.flip or passes.phases) and depthwise.accepts(module, x):
                rewrites = depthwise.Rewrites(passes.flip, passes.phases)
                return depthwise.depthwise(x, module.weight, module.dilation, rewrites)  # type: ignore[arg-type]
            if passes.subsample and depthwise.accepts_subsampled(module, x):
                rewrites = depthwise.Rewrites(passes.flip, passes.phases)
                return depthwise.subsampled(x, module.weight, module.padding, rewrites)  # type: ignore[arg-type]
        return strided.convolve(module, x)

    def norm(self, norm: nn.Module, x: Tensor) -> Tensor:
        """Return `norm(x)` for a BN, or for anything else.

        `(n, c, h, w)` in and out.
        """
        if self.passes.tangent and normalization.accepts(norm, x) and not is_hooked(norm):
            return normalization.normalized(x, norm.eps)  # type: ignore[arg-type]
        return norm(x) if type(norm) is nn.BatchNorm2d else strided.call(norm, x)

    def normalize(self, norm: nn.BatchNorm2d, x: Tensor, source: nn.Module) -> Tensor:
        """Return `norm(x)` for an `x` that the stateless `source` gave, computed once for equal non-affine BNs.

        `(n, c, h, w)` in and out.

        The running statistics of each BN are updated as if it had run.
        """
        key = _key(source)
        if not self.passes.share or key is None or norm.affine or not norm.training or is_hooked(norm):
            return self.norm(norm, x)
        shared = ("batch_norm", key, norm.eps)
        if shared not in self.results:
            self.results[shared] = self.norm(norm, x)
        elif norm.track_running_stats:
            _update_statistics(norm, x)
        return self.results[shared]


def scaled_batch_norm(norm: Any, x: Tensor, weight: Tensor, work: SharedWork) -> Tensor:
    """Return `norm(x) * weight` for a scalar `weight`, by the BN's own multiplication where it has none of its own.

    Args:
        norm: A BatchNorm2d.
        x: `(n, c, h, w)`.
        weight: A scalar.
        work: Says whether to fold.
    """
    plain = not isinstance(norm, nn.BatchNorm2d) or norm.affine or norm.momentum is None or is_hooked(norm)
    if plain or not work.passes.fold or normalization.accepts(norm, x):
        return work.norm(norm, x) * weight
    tracking = norm.training and norm.track_running_stats
    if tracking:
        count_batch(norm)
    keeps = tracking or not norm.training
    mean: Tensor | None = norm.running_mean if keeps else None
    var: Tensor | None = norm.running_var if keeps else None
    # a copy, not an expanded scalar: the backward of a channels-last BN is wrong for a weight of stride 0 (torch 2.15)
    scale = weight.expand(x.shape[1]).clone(memory_format=torch.contiguous_format)
    return F.batch_norm(x, mean, var, scale, None, norm.training or mean is None, norm.momentum, norm.eps)


def _update_statistics(norm: nn.BatchNorm2d, x: Tensor) -> None:
    """Update the running statistics as a training forward would, without normalising."""
    count_batch(norm)
    count: Any = norm.num_batches_tracked
    momentum = norm.momentum if norm.momentum is not None else 1.0 / float(count)  # None: the cumulative average
    with torch.no_grad():
        torch.batch_norm_update_stats(x, norm.running_mean, norm.running_var, momentum)


def _key(module: nn.Module) -> Hashable | None:
    """Return what a module computes if it is stateless and of a kind we know, else None."""
    kind = type(module)
    if kind is nn.ReLU:
        return "relu"
    if kind is nn.MaxPool2d:
        return ("max_pool", module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
    if kind is nn.AvgPool2d:
        return ("avg_pool", module.kernel_size, module.stride, module.padding, module.count_include_pad)
    return None
