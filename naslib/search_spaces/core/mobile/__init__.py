"""Blocks of mobile networks, the strings that describe them, and chains of layers that choose among them."""

from __future__ import annotations

from .blocks import ConvBlock as ConvBlock
from .blocks import DepthwiseSeparable as DepthwiseSeparable
from .blocks import EdgeResidual as EdgeResidual
from .blocks import MBConv as MBConv
from .blocks import MobileBlock as MobileBlock
from .blocks import Skip as Skip
from .layers import ChannelShuffle as ChannelShuffle
from .layers import MobileHead as MobileHead
from .layers import MobileStem as MobileStem
from .layers import SqueezeExcite as SqueezeExcite
from .layers import make_divisible as make_divisible
from .strings import BlockSpec as BlockSpec
from .strings import build_blocks as build_blocks
from .strings import expand_alternatives as expand_alternatives
from .strings import format_block as format_block
from .strings import parse_block as parse_block
