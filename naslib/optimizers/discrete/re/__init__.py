"""Regularized evolution."""

from .optimizer import RegularizedEvolution as RegularizedEvolution
