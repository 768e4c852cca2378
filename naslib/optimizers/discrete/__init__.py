"""Optimizers that search on codes, by asking a benchmark."""

from .bananas import Bananas as Bananas
from .bp import BasePredictor as BasePredictor
from .ls import LocalSearch as LocalSearch
from .npenas import Npenas as Npenas
from .re import RegularizedEvolution as RegularizedEvolution
from .rs import RandomSearch as RandomSearch
