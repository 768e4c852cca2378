"""The registry of optimizers."""

from naslib.registry.catalogue import OPTIMIZERS as OPTIMIZERS
