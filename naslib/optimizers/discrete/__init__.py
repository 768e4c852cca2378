"""Optimizers that search on codes, by asking a benchmark."""

from .asha import ASHA as ASHA
from .bohb import BOHB as BOHB
from .hyperband import Hyperband as Hyperband
from .re import RegularizedEvolution as RegularizedEvolution
from .rs import RandomSearch as RandomSearch
from .sh import SuccessiveHalving as SuccessiveHalving
