"""Hyperband."""

from .optimizer import Hyperband as Hyperband
