"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .oneshot.base import OneShotOptimizer as OneShotOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.darts_minus import DARTSMinusOptimizer as DARTSMinusOptimizer
from .oneshot.drnas import DrNASOptimizer as DrNASOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .oneshot.p_darts import PDARTSOptimizer as PDARTSOptimizer
from .oneshot.pc_darts import PCDARTSOptimizer as PCDARTSOptimizer
from .oneshot.sdarts import SDARTSAdversarialOptimizer as SDARTSAdversarialOptimizer
from .oneshot.sdarts import SDARTSRandomOptimizer as SDARTSRandomOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
