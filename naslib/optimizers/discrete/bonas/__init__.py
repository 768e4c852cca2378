"""Bayesian optimisation with a graph network and Bayesian linear regression."""

from .optimizer import BONAS as BONAS
