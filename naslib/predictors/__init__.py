"""Predictors: what an architecture will reach, from its features, from short trainings, or from one batch of data."""

from naslib.registry.catalogue import PREDICTORS as PREDICTORS
from naslib.registry.catalogue import PROXIES as PROXIES

from .base import Predictor as Predictor
from .bohamiann import BOHAMIANN as BOHAMIANN
from .boosting import LGBoost as LGBoost
from .boosting import NGBoost as NGBoost
from .boosting import XGBoost as XGBoost
from .dngo import DNGOPredictor as DNGOPredictor
from .ensemble import Ensemble as Ensemble
from .forests import ExtraTreesPredictor as ExtraTreesPredictor
from .forests import GrafPredictor as GrafPredictor
from .forests import RandomForestPredictor as RandomForestPredictor
from .gaussian import GPPredictor as GPPredictor
from .gaussian import SparseGPPredictor as SparseGPPredictor
from .gaussian import VarSparseGPPredictor as VarSparseGPPredictor
from .linear import BayesianLinearRegression as BayesianLinearRegression
from .mlp import BananasPredictor as BananasPredictor
from .mlp import MLPPredictor as MLPPredictor
from .proxies.compute import compute_proxy as compute_proxy
from .weisfeiler_lehman import GPWLPredictor as GPWLPredictor
from .zerocost import ZeroCost as ZeroCost
