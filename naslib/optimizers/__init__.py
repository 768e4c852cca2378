"""Optimizers: what searches a graph."""

from naslib.optimizers.oneshot.methods.binary import BinaryMaskedOptimizer as BinaryMaskedOptimizer
from naslib.optimizers.oneshot.methods.binary import BinaryMovingAverageOptimizer as BinaryMovingAverageOptimizer
from naslib.optimizers.oneshot.methods.binary import BinaryOptimizer as BinaryOptimizer
from naslib.optimizers.oneshot.methods.binary import BinaryProxylessStyleOptimizer as BinaryProxylessStyleOptimizer
from naslib.optimizers.oneshot.methods.darts import DARTSOptimizer as DARTSOptimizer
from naslib.optimizers.oneshot.methods.darts_minus import DARTSMinusOptimizer as DARTSMinusOptimizer
from naslib.optimizers.oneshot.methods.darts_plus import DARTSPlusOptimizer as DARTSPlusOptimizer
from naslib.optimizers.oneshot.methods.darts_pt import DARTSPTOptimizer as DARTSPTOptimizer
from naslib.optimizers.oneshot.methods.drnas import DrNASOptimizer as DrNASOptimizer
from naslib.optimizers.oneshot.methods.edge_popup import EdgePopupOptimizer as EdgePopupOptimizer
from naslib.optimizers.oneshot.methods.enas import ENASOptimizer as ENASOptimizer
from naslib.optimizers.oneshot.methods.fair_darts import FairDARTSOptimizer as FairDARTSOptimizer
from naslib.optimizers.oneshot.methods.fair_nas import FairNASOptimizer as FairNASOptimizer
from naslib.optimizers.oneshot.methods.gdas import GDASOptimizer as GDASOptimizer
from naslib.optimizers.oneshot.methods.gsparsity import GSparseOptimizer as GSparseOptimizer
from naslib.optimizers.oneshot.methods.lambda_darts import LambdaDARTSOptimizer as LambdaDARTSOptimizer
from naslib.optimizers.oneshot.methods.mixed_op import MixedOpOptimizer as MixedOpOptimizer
from naslib.optimizers.oneshot.methods.oles import OLESOptimizer as OLESOptimizer
from naslib.optimizers.oneshot.methods.oneshot_train import OneShotNASOptimizer as OneShotNASOptimizer
from naslib.optimizers.oneshot.methods.p_darts import PDARTSOptimizer as PDARTSOptimizer
from naslib.optimizers.oneshot.methods.pc_darts import PCDARTSOptimizer as PCDARTSOptimizer
from naslib.optimizers.oneshot.methods.proxylessnas import ProxylessNASOptimizer as ProxylessNASOptimizer
from naslib.optimizers.oneshot.methods.reinmax import ReinMaxOptimizer as ReinMaxOptimizer
from naslib.optimizers.oneshot.methods.robust_darts import RobustDARTSOptimizer as RobustDARTSOptimizer
from naslib.optimizers.oneshot.methods.rs_ws import RandomNASOptimizer as RandomNASOptimizer
from naslib.optimizers.oneshot.methods.sdarts import SDARTSAdversarialOptimizer as SDARTSAdversarialOptimizer
from naslib.optimizers.oneshot.methods.sdarts import SDARTSRandomOptimizer as SDARTSRandomOptimizer
from naslib.optimizers.oneshot.methods.setn import SETNOptimizer as SETNOptimizer
from naslib.optimizers.oneshot.methods.snas import SNASOptimizer as SNASOptimizer
from naslib.optimizers.oneshot.methods.spos import SPOSOptimizer as SPOSOptimizer
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer as OneShotOptimizer

from .core.metaclasses import MetaOptimizer as MetaOptimizer
from .discrete import RandomSearch as RandomSearch
from .discrete import RegularizedEvolution as RegularizedEvolution
from .registry import OPTIMIZERS as OPTIMIZERS
