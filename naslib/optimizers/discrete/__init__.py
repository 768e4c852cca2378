"""Optimizers that search on codes, by asking a benchmark."""

from .re import RegularizedEvolution as RegularizedEvolution
from .rs import RandomSearch as RandomSearch
