"""Learning curves: what a training will reach, from its first epochs."""

from .extrapolation import ParametricCurveModel as ParametricCurveModel
from .model import CurveModel as CurveModel
from .model import probability_better as probability_better
from .ridge import RidgeCurveModel as RidgeCurveModel
from .svr import SVRCurveModel as SVRCurveModel
