"""A stage of a MnasNet-style network: several blocks of one kind, as one operation."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from naslib.search_spaces.core.mobile.blocks import MobileBlock
from naslib.search_spaces.core.mobile.strings import BlockSpec, build_blocks, format_block, spec_of
from naslib.search_spaces.core.ops_basic import Sequential


class StageBlocks(Sequential):
    """The blocks of a stage, one after the other; called by their block string without stride and channels.

    Args:
        *blocks: The blocks.
    """

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.kernel_size = max(block.kernel_size for block in self.blocks)

    @property
    def blocks(self) -> list[MobileBlock]:
        """The blocks."""
        return [block for block in self.op if isinstance(block, MobileBlock)]

    @property
    def get_op_name(self) -> str:
        """The block string without what all alternatives of a stage have in common: `ir_r3_k5_e3_se0.25`.

        An activation other than ReLU is in it.
        """
        return short_name(spec_of(self.blocks))


def short_name(spec: BlockSpec) -> str:
    """Return the block string of a stage without stride and channels."""
    parts = format_block(replace(spec, stride=1, channels=1)).split("_")
    return "_".join(part for part in parts if part not in ("s1", "c1"))


def stage_of(spec: BlockSpec, C_in: int, activation: str, se_style: str, width_mult: float) -> StageBlocks:
    """Return a stage (see `build_blocks`)."""
    return StageBlocks(*build_blocks(spec, C_in, activation, se_style, width_mult))
