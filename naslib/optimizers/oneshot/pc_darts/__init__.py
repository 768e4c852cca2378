"""PC-DARTS."""

from .optimizer import PCDARTSOptimizer as PCDARTSOptimizer
