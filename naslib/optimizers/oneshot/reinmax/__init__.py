"""ReinMax."""

from .optimizer import ReinMaxOptimizer as ReinMaxOptimizer
from .optimizer import ReinMaxRelaxation as ReinMaxRelaxation
