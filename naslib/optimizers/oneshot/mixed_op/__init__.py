"""Search by any strategy."""

from .optimizer import MixedOpOptimizer as MixedOpOptimizer
