"""Robust DARTS."""

from .optimizer import RobustDARTSOptimizer as RobustDARTSOptimizer
