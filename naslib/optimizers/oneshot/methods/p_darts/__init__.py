"""P-DARTS."""

from .optimizer import PDARTSOptimizer as PDARTSOptimizer
