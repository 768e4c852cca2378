"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .oneshot.base import OneShotOptimizer as OneShotOptimizer
from .oneshot.binary import BinaryMaskedOptimizer as BinaryMaskedOptimizer
from .oneshot.binary import BinaryMovingAverageOptimizer as BinaryMovingAverageOptimizer
from .oneshot.binary import BinaryOptimizer as BinaryOptimizer
from .oneshot.binary import BinaryProxylessStyleOptimizer as BinaryProxylessStyleOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.darts_minus import DARTSMinusOptimizer as DARTSMinusOptimizer
from .oneshot.darts_plus import DARTSPlusOptimizer as DARTSPlusOptimizer
from .oneshot.darts_pt import DARTSPTOptimizer as DARTSPTOptimizer
from .oneshot.drnas import DrNASOptimizer as DrNASOptimizer
from .oneshot.enas import ENASOptimizer as ENASOptimizer
from .oneshot.fair_darts import FairDARTSOptimizer as FairDARTSOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .oneshot.mixed_op import MixedOpOptimizer as MixedOpOptimizer
from .oneshot.oles import OLESOptimizer as OLESOptimizer
from .oneshot.pc_darts import PCDARTSOptimizer as PCDARTSOptimizer
from .oneshot.proxylessnas import ProxylessNASOptimizer as ProxylessNASOptimizer
from .oneshot.robust_darts import RobustDARTSOptimizer as RobustDARTSOptimizer
from .oneshot.sdarts import SDARTSAdversarialOptimizer as SDARTSAdversarialOptimizer
from .oneshot.sdarts import SDARTSRandomOptimizer as SDARTSRandomOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
