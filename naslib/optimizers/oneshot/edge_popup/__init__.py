"""edge-popup."""

from .optimizer import EdgePopupOptimizer as EdgePopupOptimizer
