"""Comparison: what several methods reach over many seeds, with curves, a table, and tests of ranks."""

from .curves import Curve as Curve
from .curves import anytime as anytime
from .curves import band as band
from .ranking import Comparison as Comparison
from .ranking import MethodRow as MethodRow
from .runs import RunResult as RunResult
from .runs import read_run as read_run
