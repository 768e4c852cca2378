"""ElasticShortcut: the identity where channels stay as many, a 1x1 convolution where they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .norm import ElasticBatchNorm2d
from .sizes import Size
from .weights import Axes, padded

_OUT, _IN = range(2)


class ElasticShortcut(Elastic):
    """The identity where input and output have equally many channels, else a 1x1 convolution and batch norm.

    Among the sizes of a mixture are both. With `"weights"` it is the input, each channel multiplied by what the weights
    of the equal sizes that have it sum up to, and one convolution with what is left of the weights, whose batch norm
    normalises once and multiplies each channel by the weights of the unequal sizes that have it (as
    `ElasticBatchNorm2d` does). With `"outputs"` every pair of sizes runs.

    Args:
        inputs: Number of input channels: a number, a value decision, or what is computed from some.
        outputs: Number of output channels, likewise.
        mix: See `Elastic`.

    Raises:
        ConfigError: If they are always equal: then nothing is needed.
    """

    SLICES: ClassVar[dict[str, Axes]] = {"weight": {0: _OUT, 1: _IN}}
    INPUT: ClassVar[tuple[int, int] | None] = (1, _IN)

    def __init__(self, inputs: int | Size, outputs: int | Size, mix: str = "weights") -> None:
        super().__init__()
        self.sizes, self.mix = Sizes(outputs=outputs, inputs=inputs), checked_mix(mix)
        if all(out == into for out, into in self.sizes.points()):
            raise ConfigError(f"{inputs} input and {outputs} output channels are always equal: use the identity")
        self.weight = nn.Parameter(torch.empty(*self.sizes.box, 1, 1))
        self.bn = ElasticBatchNorm2d(outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of the convolution anew."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Apply the shortcut of some sizes.

        `(n, c_in, h, w)` to `(n, c_out, h, w)`.
        """
        if sizes[_OUT] == sizes[_IN]:
            return x
        y = F.conv2d(x, self.slice_of("weight", sizes))  # type: ignore[arg-type]
        return self.bn.run(y, sizes[:1])

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Apply the mixture: the input times the weights of equal sizes, and one convolution.

        `(n, c_in, h, w)` to `(n, c_out, h, w)`.
        """
        points, weights = mixture.joint()
        out, into = mixture.box
        has_out, has_in = _has(points, _OUT, out, x), _has(points, _IN, into, x)
        is_equal = torch.tensor([point[_OUT] == point[_IN] for point in points], device=x.device)
        weights = weights.to(x.dtype)
        kept, converted = weights * is_equal, weights * ~is_equal
        least = min(out, into)
        same = x[:, :least] * (kept @ has_out[:, :least]).view(-1, 1, 1)
        box: Any = self.slice_of("weight", mixture.box)
        coefficients = torch.einsum("p,po,pi->oi", converted, has_out, has_in)
        y = F.conv2d(x, box * coefficients[..., None, None])
        share = converted @ has_out
        bn = self.bn
        if bn.weight is None:
            return padded(same, 1, out) + bn.run(y, (out,)) * share.view(-1, 1, 1)
        weight, bias = bn.slice_of("weight", (out,)), bn.slice_of("bias", (out,))
        return padded(same, 1, out) + bn.normalize(y, weight * share, bias * share)  # type: ignore[operator]

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the identity, or a convolution and batch norm."""
        if sizes[_OUT] == sizes[_IN]:
            return nn.Identity()
        with torch.device("meta"):
            conv = nn.Conv2d(sizes[_IN], sizes[_OUT], 1, bias=False)
        conv.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        return nn.Sequential(conv, self.bn.plain(sizes[:1], extracted))

    def parameter_shapes(self, sizes: Point) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Yield what `extract` keeps at some sizes; nothing of the identity."""
        if sizes[_OUT] != sizes[_IN]:
            yield from super().parameter_shapes(sizes)
            yield from self.bn.parameter_shapes(sizes[:1])

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.sizes)


def _has(points: list[Point], dim: int, channels: int, like: Tensor) -> Tensor:
    """Return which channels each of some sizes has, `(n_points, channels)` zeros and ones."""
    numbers = torch.tensor([point[dim] for point in points], device=like.device)
    return (torch.arange(channels, device=like.device) < numbers.unsqueeze(1)).to(like.dtype)
