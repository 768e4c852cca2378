"""Search by binary gates: few operations run, some are evaluated."""

from .optimizer import BinaryMaskedOptimizer as BinaryMaskedOptimizer
from .optimizer import BinaryMovingAverageOptimizer as BinaryMovingAverageOptimizer
from .optimizer import BinaryOptimizer as BinaryOptimizer
from .optimizer import BinaryProxylessStyleOptimizer as BinaryProxylessStyleOptimizer
