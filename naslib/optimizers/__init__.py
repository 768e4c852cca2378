"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .oneshot.base import OneShotOptimizer as OneShotOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.darts_minus import DARTSMinusOptimizer as DARTSMinusOptimizer
from .oneshot.edge_popup import EdgePopupOptimizer as EdgePopupOptimizer
from .oneshot.fair_darts import FairDARTSOptimizer as FairDARTSOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .oneshot.pc_darts import PCDARTSOptimizer as PCDARTSOptimizer
from .oneshot.reinmax import ReinMaxOptimizer as ReinMaxOptimizer
from .oneshot.sdarts import SDARTSAdversarialOptimizer as SDARTSAdversarialOptimizer
from .oneshot.sdarts import SDARTSRandomOptimizer as SDARTSRandomOptimizer
from .oneshot.snas import SNASOptimizer as SNASOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
