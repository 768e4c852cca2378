"""DARTS+."""

from .optimizer import DARTSPlusOptimizer as DARTSPlusOptimizer
