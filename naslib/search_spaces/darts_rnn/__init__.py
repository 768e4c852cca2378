"""The recurrent cell of DARTS in a language model of words."""

from __future__ import annotations

from .genotype import DARTS_V1 as DARTS_V1
from .genotype import DARTS_V2 as DARTS_V2
from .genotype import ENAS as ENAS
from .genotype import RecurrentGenotype as RecurrentGenotype
from .graph import DartsRNNSearchSpace as DartsRNNSearchSpace
