"""A predictor that is fitted once."""

from .optimizer import BasePredictor as BasePredictor
