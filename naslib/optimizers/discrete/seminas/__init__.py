"""Semi-supervised neural architecture search."""

from .optimizer import SemiNAS as SemiNAS
