"""TE-NAS: prune a supernet that is never trained, by its tangent kernel and its linear regions."""

from .optimizer import TENASOptimizer as TENASOptimizer
