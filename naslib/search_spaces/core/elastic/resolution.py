"""AtResolution: a network whose images have a size that is a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .network import extracted_from
from .sizes import Size


class Resize(nn.Module):
    """Bring images to a square size, bilinearly and with antialiasing; those that have it stay what they are.

    Args:
        size: Side of the images.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, c, size, size)`."""
        return resized(x, self.size)

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.size)


def resized(x: Tensor, size: int) -> Tensor:
    """Return images `(n, c, h, w)` as `(n, c, size, size)`."""
    if x.shape[-2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)


class AtResolution(Elastic):
    """Resize images, then run a network.

    Nothing of a network that has run at several sizes can be added up but its outputs: a mixture is the weighted sum of
    them, one forward for each size. The output must not depend in shape on the size (pool before its end).

    Args:
        body: The network.
        resolution: Side of the images: a number, a value decision, or what is computed from some.
    """

    ALWAYS_OUTPUTS: ClassVar[bool] = True

    def __init__(self, body: nn.Module, resolution: int | Size) -> None:
        super().__init__()
        self.body = body
        self.sizes, self.mix = Sizes(resolution=resolution), checked_mix("outputs")

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Run the network at one size.

        `(n, c, h, w)` to what it returns.
        """
        return self.body(resized(x, sizes[0]))

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        points, weights = mixture.joint()
        total: Any = None
        for point, weight in zip(points, weights.unbind(), strict=True):
            y = self.run(x, point)
            term = y * weight.to(y.dtype)
            total = term if total is None else total + term
        return total

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the resizing and the network without choices in it."""
        return nn.Sequential(Resize(sizes[0]), extracted_from(self.body, extracted))

    def kept_blocks(self, sizes: Point) -> Iterator[nn.Module]:
        """Yield the network: every size has all of it."""
        yield self.body

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.sizes)
