"""BOHB."""

from .optimizer import BOHB as BOHB
