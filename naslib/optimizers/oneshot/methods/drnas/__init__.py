"""DrNAS."""

from .optimizer import DirichletRelaxation as DirichletRelaxation
from .optimizer import DrNASOptimizer as DrNASOptimizer
