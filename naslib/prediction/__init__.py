"""Predictions of a trained network on files: pictures, arrays, sequences, texts."""

from .forecast import Failure as Failure
from .forecast import predict_files as predict_files
