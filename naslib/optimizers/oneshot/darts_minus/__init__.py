"""DARTS-."""

from .optimizer import DARTSMinusOptimizer as DARTSMinusOptimizer
