"""ENAS."""

from .choices import Choices as Choices
from .choices import choices_of as choices_of
from .controller import Controller as Controller
from .controller import Rollout as Rollout
from .optimizer import ENASOptimizer as ENASOptimizer
from .optimizer import PathRelaxation as PathRelaxation
