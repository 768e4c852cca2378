"""OLES."""

from .optimizer import OLESOptimizer as OLESOptimizer
