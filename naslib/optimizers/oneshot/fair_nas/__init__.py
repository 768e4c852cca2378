"""FairNAS."""

from .optimizer import FairNASOptimizer as FairNASOptimizer
