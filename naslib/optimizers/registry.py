"""The registry of optimizers."""

from __future__ import annotations

from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.registry import Registry

OPTIMIZERS: Registry[type[MetaOptimizer]] = Registry("optimizer")
