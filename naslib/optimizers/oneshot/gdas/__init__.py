"""GDAS."""

from .optimizer import GDASMixedOp as GDASMixedOp
from .optimizer import GDASOptimizer as GDASOptimizer
from .optimizer import GumbelRelaxation as GumbelRelaxation
