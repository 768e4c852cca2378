"""ENAS."""

from .controller import Controller as Controller
from .controller import Rollout as Rollout
from .controller_space import ControllerSpace as ControllerSpace
from .controller_space import controller_space_of as controller_space_of
from .optimizer import ENASOptimizer as ENASOptimizer
from .optimizer import PathRelaxation as PathRelaxation
