"""Searches that fit a model to what is known and evaluate what it finds promising."""

from .base import ModelBasedSearch as ModelBasedSearch
