"""Elastic batch norm and layer norm."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.search_spaces.core.batch_norm import count_batch

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .sizes import Size
from .weights import Axes, coefficients, padded, sliced


class ElasticBatchNorm2d(Elastic, nn.BatchNorm2d):
    """Batch norm of a number of channels that is a decision; smaller ones have the first channels of all it keeps.

    Running statistics are kept per channel, and those of a channel are of whatever passed it: of all sizes that were
    trained. A slice is to be evaluated after `recalibrate`, as weight-sharing methods do, or normalise by the batch.

    Each channel is normalised by itself, so mixing the weights, mixing the outputs, and multiplying the output by what
    the weights of the sizes that have the channel sum up to are the same: one normalisation serves all sizes.

    Args:
        num_features: Number of channels: a number, a value decision, or what is computed from some.
        eps: Added to the variance.
        momentum: Of the running statistics; None for the cumulative average.
        affine: Whether there are weight and bias.
        track_running_stats: Whether running statistics are kept.
        mix: See `Elastic`; both are the same here.
    """

    SLICES: ClassVar[dict[str, Axes]] = {name: {0: 0} for name in ("weight", "bias", "running_mean", "running_var")}
    INPUT: ClassVar[tuple[int, int] | None] = (1, 0)

    def __init__(
        self,
        num_features: int | Size,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        mix: str = "weights",
    ) -> None:
        sizes = Sizes(num_features=num_features)
        super().__init__(sizes.box[0], eps, momentum, affine, track_running_stats)
        self.sizes, self.mix = sizes, checked_mix(mix)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Normalise the first channels.

        `(n, c, h, w)` in and out.
        """
        return self.normalize(x, self.slice_of("weight", sizes), self.slice_of("bias", sizes))

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Normalise, and multiply each channel by the weights of the sizes that have it.

        `(n, c, h, w)` in and out.
        """
        weight, bias = self.slice_of("weight", mixture.box), self.slice_of("bias", mixture.box)
        like = torch.ones(mixture.box, device=x.device, dtype=x.dtype) if weight is None else weight
        share: Tensor | None = None
        for group in mixture.groups:
            if group.weights is not None:
                of_group = coefficients(like, group, {0: 0})
                share = of_group if share is None else share * of_group
        if share is None:
            return self.normalize(x, weight, bias)
        if weight is not None:
            return self.normalize(x, weight * share, bias * share)  # type: ignore[operator]
        return self.normalize(x, None, None) * share.view(-1, 1, 1)

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        return self.run_mixed(x, mixture)

    def normalize(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """Normalise the channels of `x`, and apply a weight and a bias of as many entries.

        `(n, c, h, w)` in and out, weight and bias `(c,)`.
        """
        updates = self.training and self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        if updates and self.num_batches_tracked is not None:
            count_batch(self)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        mean = var = None
        if self.running_mean is not None and (updates or not self.training):
            channels = x.shape[1]  # views: what the kernel writes arrives in the buffers
            mean, var = self.running_mean[:channels], self.running_var[:channels]  # type: ignore[index]
        return F.batch_norm(x, mean, var, weight, bias, self.training or mean is None, momentum, self.eps)

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.BatchNorm2d` of some sizes, with their running statistics."""
        tracks = self.running_mean is not None
        with torch.device("meta"):
            norm = nn.BatchNorm2d(sizes[0], self.eps, self.momentum, self.affine, tracks)
        if self.affine:
            norm.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
            norm.bias = self.kept("bias", sizes, extracted)  # type: ignore[assignment]
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            full: Any = getattr(self, name)
            if full is not None:
                setattr(norm, name, full.clone() if full.dim() == 0 else sliced(full, sizes).clone())
        return norm

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{self.sizes}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


class ElasticLayerNorm(Elastic, nn.LayerNorm):
    """Layer norm over the last axis, whose length is a decision; smaller ones have the first entries.

    The statistics depend on the size, so a weighted sum of slices is no layer norm: sizes are always mixed by their
    outputs, each normalised by its own statistics. A mixture with all its weight on one size is that size exactly.

    Args:
        normalized_shape: Length of the last axis: a number, a value decision, or what is computed from some.
        eps: Added to the variance.
        elementwise_affine: Whether there is a weight.
        bias: Whether there is a bias as well.
        mix: Accepted as in other layers; it makes no difference.
    """

    SLICES: ClassVar[dict[str, Axes]] = {"weight": {0: 0}, "bias": {0: 0}}
    OUTPUT: ClassVar[tuple[int, int]] = (-1, 0)
    INPUT: ClassVar[tuple[int, int] | None] = (-1, 0)
    ALWAYS_OUTPUTS: ClassVar[bool] = True

    def __init__(
        self,
        normalized_shape: int | Size,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        mix: str = "weights",
    ) -> None:
        sizes = Sizes(normalized_shape=normalized_shape)
        super().__init__(sizes.box[0], eps, elementwise_affine, bias)
        self.sizes, self.mix = sizes, checked_mix(mix)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Normalise the first entries.

        `(..., width)` in and out.
        """
        return F.layer_norm(x, sizes, self.slice_of("weight", sizes), self.slice_of("bias", sizes), self.eps)

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Return the weighted sum of the normalised slices; the affine parameters are weighted rather than outputs."""
        if not self.elementwise_affine:
            return super()._mix_outputs(x, mixture)
        points, row = mixture.joint()
        total: Tensor | None = None
        for sizes, share in sorted(zip(points, row.to(x.dtype).unbind(), strict=True), key=lambda pair: pair[0]):
            weight, bias = (None if part is None else part[: sizes[0]] * share for part in (self.weight, self.bias))
            y = F.layer_norm(x.narrow(-1, 0, sizes[0]), sizes, weight, bias, self.eps)
            total = y if total is None else y + padded(total, -1, sizes[0])
        if total is None:
            raise GraphError("a mixture needs at least one size")
        return padded(total, -1, mixture.box[0])

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.LayerNorm` of some sizes."""
        with torch.device("meta"):
            norm = nn.LayerNorm(sizes, self.eps, self.elementwise_affine, self.bias is not None)
        norm.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        norm.bias = self.kept("bias", sizes, extracted)  # type: ignore[assignment]
        return norm

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return f"{self.sizes}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
