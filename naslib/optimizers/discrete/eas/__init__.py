"""EAS: a controller that lets a network grow."""

from .optimizer import EAS as EAS
