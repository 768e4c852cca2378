"""DARTS-PT."""

from .optimizer import DARTSPTOptimizer as DARTSPTOptimizer
