"""Model-based search for a front."""

from .optimizer import ParetoSearch as ParetoSearch
