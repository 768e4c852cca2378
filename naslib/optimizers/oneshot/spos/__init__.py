"""Single path one-shot."""

from .optimizer import SPOSOptimizer as SPOSOptimizer
