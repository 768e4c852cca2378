"""NSGA-II."""

from .optimizer import NSGA2 as NSGA2
