"""Parts: ingredients that any optimizer with architecture gradients can be given, by class or from YAML."""

from naslib.optimizers.oneshot.supernet.part import PARTS as PARTS
from naslib.optimizers.oneshot.supernet.part import Part as Part
from naslib.optimizers.oneshot.supernet.part import build_parts as build_parts

from .auxiliary_skip import AuxiliarySkip as AuxiliarySkip
from .auxiliary_skip import AuxiliarySkipConnections as AuxiliarySkipConnections
from .cost import Cost as Cost
from .drop_path import SearchDropPath as SearchDropPath
from .early_stopping import EarlyStopping as EarlyStopping
from .edge_normalization import EdgeNormalization as EdgeNormalization
from .edge_normalization import WeightedEdges as WeightedEdges
from .latency import Latency as Latency
from .layer_alignment import LayerAlignment as LayerAlignment
from .operation_early_stopping import OperationEarlyStopping as OperationEarlyStopping
from .partial_channels import PartialChannelConnections as PartialChannelConnections
from .partial_channels import PartialChannels as PartialChannels
from .perturbation import Perturbation as Perturbation
from .perturbation_selection import PerturbationSelection as PerturbationSelection
from .progressive_shrinking import ProgressiveShrinking as ProgressiveShrinking
from .warm_up import WarmUp as WarmUp
from .zero_one_loss import ZeroOneLoss as ZeroOneLoss
