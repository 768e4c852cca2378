"""Genetic CNN."""

from .optimizer import GeneticCNN as GeneticCNN
