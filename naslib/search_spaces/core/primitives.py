"""Operations on edges and their base classes, in one place to import from."""

from __future__ import annotations

from .ops_base import AbstractCombOp as AbstractCombOp
from .ops_base import AbstractPrimitive as AbstractPrimitive
from .ops_base import add_into as add_into
from .ops_base import call_op as call_op
from .ops_base import call_op_shared as call_op_shared
from .ops_base import weighted_sum as weighted_sum
from .ops_basic import Added as Added
from .ops_basic import DropPath as DropPath
from .ops_basic import GlobalAveragePooling as GlobalAveragePooling
from .ops_basic import Identity as Identity
from .ops_basic import Noise as Noise
from .ops_basic import Sequential as Sequential
from .ops_basic import Zero as Zero
from .ops_basic import Zero1x1 as Zero1x1
from .ops_basic import set_drop_path_prob as set_drop_path_prob
from .ops_concat import ConcatOfSome as ConcatOfSome
from .ops_concat import ConcatWithZeros as ConcatWithZeros
from .ops_conv import Concat1x1 as Concat1x1
from .ops_conv import ConvBnReLU as ConvBnReLU
from .ops_conv import DilConv as DilConv
from .ops_conv import FactorizedConv as FactorizedConv
from .ops_conv import FactorizedReduce as FactorizedReduce
from .ops_conv import ReLUConvBN as ReLUConvBN
from .ops_conv import SepConv as SepConv
from .ops_conv import Stem as Stem
from .ops_heads import AuxiliaryHead as AuxiliaryHead
from .ops_heads import DenseHead as DenseHead
from .ops_heads import PooledHead as PooledHead
from .ops_heads import TokenHead as TokenHead
from .ops_mixed import MixedOp as MixedOp
from .ops_mixed import mix_outputs as mix_outputs
from .ops_pool import AvgPool as AvgPool
from .ops_pool import AvgPool1x1 as AvgPool1x1
from .ops_pool import MaxPool as MaxPool
from .ops_pool import MaxPool1x1 as MaxPool1x1
