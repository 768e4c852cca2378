"""Optimizers that search on codes, by asking a benchmark."""

from .asha import ASHA as ASHA
from .bananas import Bananas as Bananas
from .bohb import BOHB as BOHB
from .bp import BasePredictor as BasePredictor
from .hyperband import Hyperband as Hyperband
from .ls import LocalSearch as LocalSearch
from .npenas import Npenas as Npenas
from .re import RegularizedEvolution as RegularizedEvolution
from .rs import RandomSearch as RandomSearch
from .sh import SuccessiveHalving as SuccessiveHalving
