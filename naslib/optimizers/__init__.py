"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .oneshot.base import OneShotOptimizer as OneShotOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.darts_plus import DARTSPlusOptimizer as DARTSPlusOptimizer
from .oneshot.darts_pt import DARTSPTOptimizer as DARTSPTOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .oneshot.gsparsity import GSparseOptimizer as GSparseOptimizer
from .oneshot.lambda_darts import LambdaDARTSOptimizer as LambdaDARTSOptimizer
from .oneshot.oles import OLESOptimizer as OLESOptimizer
from .oneshot.robust_darts import RobustDARTSOptimizer as RobustDARTSOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
