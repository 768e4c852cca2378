"""Predictors: what an architecture will reach, from its features, from short trainings, or from one batch of data."""

from naslib.registry.catalogue import PREDICTORS as PREDICTORS
from naslib.registry.catalogue import PROXIES as PROXIES

from .base import Predictor as Predictor
from .proxies.compute import compute_proxy as compute_proxy
from .zerocost import ZeroCost as ZeroCost
