"""Random search with weight sharing."""

from .optimizer import RandomNASOptimizer as RandomNASOptimizer
