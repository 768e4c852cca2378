"""The neural predictor."""

from .optimizer import NeuralPredictorSearch as NeuralPredictorSearch
