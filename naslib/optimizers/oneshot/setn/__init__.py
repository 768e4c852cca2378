"""SETN."""

from .optimizer import SETNOptimizer as SETNOptimizer
