"""One-shot NAS by path dropout."""

from .optimizer import OneShotNASOptimizer as OneShotNASOptimizer
