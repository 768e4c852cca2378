"""FairDARTS."""

from .optimizer import FairDARTSOptimizer as FairDARTSOptimizer
