"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
