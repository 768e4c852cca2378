"""GSparsity."""

from .optimizer import GSparseMixedOp as GSparseMixedOp
from .optimizer import GSparseOptimizer as GSparseOptimizer
from .prox_sgd import ProxSGD as ProxSGD
