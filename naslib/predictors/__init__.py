"""Predictors: what an architecture will reach, from its features, from short trainings, or from one batch of data."""

from naslib.registry.catalogue import PREDICTORS as PREDICTORS
from naslib.registry.catalogue import PROXIES as PROXIES

from .base import Predictor as Predictor
from .curves import EarlyStopping as EarlyStopping
from .curves import LCEMPredictor as LCEMPredictor
from .curves import LCEPredictor as LCEPredictor
from .curves import SoLosspredictor as SoLosspredictor
from .curves import SVR_Estimator as SVR_Estimator
from .neural import BonasPredictor as BonasPredictor
from .neural import GCNPredictor as GCNPredictor
from .neural import SemiNASPredictor as SemiNASPredictor
from .omni import OmniNGBPredictor as OmniNGBPredictor
from .omni import OmniSemiNASPredictor as OmniSemiNASPredictor
from .oneshot import OneShotPredictor as OneShotPredictor
from .proxies.compute import compute_proxy as compute_proxy
from .zerocost import ZeroCost as ZeroCost
