"""OMNI: short trainings, zero-cost proxies and the architecture, together in one predictor."""

from .columns import KnownColumns as KnownColumns
from .ngb import OmniNGBPredictor as OmniNGBPredictor
from .seminas import OmniSemiNASPredictor as OmniSemiNASPredictor
from .seminas import omni_seminas as omni_seminas
