"""MetAdapt: a block whose architecture adapts to each task of a few examples."""

from .optimizer import MetAdaptOptimizer as MetAdaptOptimizer
