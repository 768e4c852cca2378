"""Neural architecture optimization."""

from .optimizer import NAO as NAO
