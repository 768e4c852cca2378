"""Lambda-DARTS."""

from .optimizer import LambdaDARTSOptimizer as LambdaDARTSOptimizer
