"""Choices for the layers of any module: what a person marks, and the graphs that they become in a space."""

from .graphs import ChoiceGraph as ChoiceGraph
from .graphs import InputGraph as InputGraph
from .graphs import LayerGraph as LayerGraph
from .marks import InputChoice as InputChoice
from .marks import LayerChoice as LayerChoice
from .marks import RepeatChoice as RepeatChoice
from .marks import ValueChoice as ValueChoice
from .settle import plain_module as plain_module
from .settle import settled as settled
