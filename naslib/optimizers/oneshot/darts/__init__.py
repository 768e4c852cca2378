"""DARTS."""

from .optimizer import DARTSMixedOp as DARTSMixedOp
from .optimizer import DARTSOptimizer as DARTSOptimizer
from .optimizer import SoftmaxRelaxation as SoftmaxRelaxation
