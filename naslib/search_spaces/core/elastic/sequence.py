"""ElasticSequential: a chain of blocks whose length is a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError

from .in_force import Mixture, Point, Sizes
from .layer import Elastic, Extracted, checked_mix
from .network import extracted_from
from .sizes import Size


class ElasticSequential(Elastic):
    """Blocks one after the other; a shorter chain has the first of them.

    A mixture is the weighted sum of what comes out of the blocks at which the chains end (there is no weight to mix).
    All of these must have one shape.

    Args:
        blocks: The blocks of the longest chain.
        depth: How many run: a number, a value decision, or what is computed from some; 0 gives the input.

    Raises:
        ConfigError: If the largest depth is not the number of blocks.
    """

    ALWAYS_OUTPUTS: ClassVar[bool] = True

    def __init__(self, blocks: Sequence[nn.Module], depth: int | Size) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.sizes, self.mix = Sizes(0, depth=depth), checked_mix("outputs")
        if self.sizes.box[0] != len(self.blocks):
            raise ConfigError(
                f"there are {len(self.blocks)} blocks, and the depth can be up to {self.sizes.box[0]}: give as many "
                "blocks as the largest depth"
            )

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Run the first blocks.

        Tensors of any shape that the operation takes.
        """
        for block in list(self.blocks)[: sizes[0]]:
            x = block(x)
        return x

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        points, weights = mixture.joint()
        by_depth: dict[int, Any] = {}
        for (depth,), weight in zip(points, weights.unbind(), strict=True):
            by_depth[depth] = by_depth[depth] + weight if depth in by_depth else weight
        total: Any = None
        for depth in range(mixture.box[0] + 1):
            if depth:
                x = self.blocks[depth - 1](x)
            if depth in by_depth:
                weight = by_depth[depth].to(x.dtype)
                total = x * weight if total is None else torch.addcmul(total, x, weight)
        return total

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `nn.Sequential` of the first blocks, without choices in them."""
        return nn.Sequential(*(extracted_from(block, extracted) for block in list(self.blocks)[: sizes[0]]))

    def kept_blocks(self, sizes: Point) -> Iterator[nn.Module]:
        """Yield the blocks that a chain of some length has."""
        yield from list(self.blocks)[: sizes[0]]

    def extra_repr(self) -> str:
        """Return what is printed of the layer."""
        return str(self.sizes)
