"""Learning curves: what a training will reach, from its first epochs."""

from .base import CurvePredictor as CurvePredictor
from .early_stopping import EarlyStopping as EarlyStopping
from .extrapolation import ParametricCurveModel as ParametricCurveModel
from .lce import LCEMPredictor as LCEMPredictor
from .lce import LCEPredictor as LCEPredictor
from .lcsvr import SVR_Estimator as SVR_Estimator
from .model import CurveModel as CurveModel
from .model import probability_better as probability_better
from .ridge import RidgeCurveModel as RidgeCurveModel
from .soloss import SoLosspredictor as SoLosspredictor
from .svr import SVRCurveModel as SVRCurveModel
