"""BANANAS."""

from .optimizer import Bananas as Bananas
