"""Optimizers: what searches a graph."""

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .oneshot.base import OneShotOptimizer as OneShotOptimizer
from .oneshot.darts import DARTSOptimizer as DARTSOptimizer
from .oneshot.fair_nas import FairNASOptimizer as FairNASOptimizer
from .oneshot.gdas import GDASOptimizer as GDASOptimizer
from .oneshot.oneshot_train import OneShotNASOptimizer as OneShotNASOptimizer
from .oneshot.rs_ws import RandomNASOptimizer as RandomNASOptimizer
from .oneshot.setn import SETNOptimizer as SETNOptimizer
from .oneshot.spos import SPOSOptimizer as SPOSOptimizer
from .registry import OPTIMIZERS as OPTIMIZERS
