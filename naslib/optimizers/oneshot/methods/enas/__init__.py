"""ENAS."""

from .controller import Controller as Controller
from .controller_space import ControllerSpace as ControllerSpace
from .optimizer import ENASOptimizer as ENASOptimizer
from .optimizer import PathRelaxation as PathRelaxation
from .reading import controller_space_of as controller_space_of
from .walk import Rollout as Rollout
