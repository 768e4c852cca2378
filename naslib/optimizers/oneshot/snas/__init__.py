"""SNAS."""

from .optimizer import SNASOptimizer as SNASOptimizer
