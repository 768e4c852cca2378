"""Monte Carlo tree search over learned regions of a space."""

from .optimizer import LaMCTS as LaMCTS
