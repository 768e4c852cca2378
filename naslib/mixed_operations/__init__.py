"""Mixed operations for models of one's own: layers that choose among several operations while they are trained."""

from .base import MixedLayer as MixedLayer
from .base import MixedOp as MixedOp
from .base import SumOfOperations as SumOfOperations
from .model import ArchitectureSearchModel as ArchitectureSearchModel
from .model import architecture_summary as architecture_summary
from .model import discretize as discretize
from .model import fixed_architecture as fixed_architecture
from .model import set_stochastic as set_stochastic
from .model import trainable_architecture_variables as trainable_architecture_variables
from .model import trainable_operational_variables as trainable_operational_variables
from .operations import BinaryMaskedMixedOp as BinaryMaskedMixedOp
from .operations import BinaryMixedOp as BinaryMixedOp
from .operations import BinaryMovingAverageMixedOp as BinaryMovingAverageMixedOp
from .operations import BinaryProxylessNASStyleMixedOp as BinaryProxylessNASStyleMixedOp
from .operations import ContinuousMixedOp as ContinuousMixedOp
from .rescaling import rescale_after_steps as rescale_after_steps
from .rescaling import rescaled_step as rescaled_step
