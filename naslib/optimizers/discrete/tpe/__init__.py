"""Tree-structured Parzen estimators."""

from .optimizer import TPE as TPE
