"""SMASH: a hypernetwork writes the weights of a random network of memory banks in every step."""

from .optimizer import SMASHOptimizer as SMASHOptimizer
