"""Local search."""

from .optimizer import LocalSearch as LocalSearch
