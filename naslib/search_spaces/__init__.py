"""Search spaces."""

from __future__ import annotations

from .nasbench201.graph import NasBench201SearchSpace as NasBench201SearchSpace
from .nasbench301.graph import NasBench301SearchSpace as NasBench301SearchSpace
from .own_module.graph import ModuleSearchSpace as ModuleSearchSpace
from .registry import SEARCH_SPACES as SEARCH_SPACES
from .registry import get_search_space as get_search_space
from .simple_cell.graph import SimpleCellSearchSpace as SimpleCellSearchSpace
from .simple_sequence.graph import SimpleSequenceSearchSpace as SimpleSequenceSearchSpace
