"""The registry of optimizers."""

from __future__ import annotations

from naslib.registry import Registry, catalogue

from .core.metaclasses import MetaOptimizer

OPTIMIZERS: Registry[type[MetaOptimizer]] = catalogue.OPTIMIZERS
