"""Morphisms: wider and deeper networks that compute what the network before them did."""

from naslib.errors import MorphismError as MorphismError

from .carrying import carry_state as carry_state
from .deepening import Deepenable as Deepenable
from .deepening import Deepening as Deepening
from .deepening import deepen as deepen
from .deepening import deepenable as deepenable
from .deepening import deepened as deepened
from .inheriting import NoiseShares as NoiseShares
from .inheriting import inherit as inherit
from .inheriting import inherited as inherited
from .widening import Widenable as Widenable
from .widening import Widening as Widening
from .widening import widen as widen
from .widening import widenable as widenable
from .widening import widened as widened
