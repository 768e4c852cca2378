"""Parts: ingredients that any optimizer with architecture gradients can be given, by class or from YAML."""

from .base import PARTS as PARTS
from .base import Part as Part
from .base import build_parts as build_parts
from .drop_path import SearchDropPath as SearchDropPath
from .early_stopping import EarlyStopping as EarlyStopping
from .layer_alignment import LayerAlignment as LayerAlignment
from .operation_early_stopping import OperationEarlyStopping as OperationEarlyStopping
from .perturbation_selection import PerturbationSelection as PerturbationSelection
from .warm_up import WarmUp as WarmUp
