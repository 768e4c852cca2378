"""Search spaces."""

from __future__ import annotations

from .nasbench201.graph import NasBench201SearchSpace as NasBench201SearchSpace
from .nasbench301.graph import NasBench301SearchSpace as NasBench301SearchSpace
from .nni_zoo.darts_space import DartsCellSearchSpace as DartsCellSearchSpace
from .nni_zoo.macro_space import ENASMacroSearchSpace as ENASMacroSearchSpace
from .nni_zoo.micro_space import ENASMicroSearchSpace as ENASMicroSearchSpace
from .registry import SEARCH_SPACES as SEARCH_SPACES
from .registry import get_search_space as get_search_space
from .simple_cell.graph import SimpleCellSearchSpace as SimpleCellSearchSpace
from .simple_sequence.graph import SimpleSequenceSearchSpace as SimpleSequenceSearchSpace
