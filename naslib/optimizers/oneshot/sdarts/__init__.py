"""SmoothDARTS."""

from .optimizer import SDARTSAdversarialOptimizer as SDARTSAdversarialOptimizer
from .optimizer import SDARTSRandomOptimizer as SDARTSRandomOptimizer
