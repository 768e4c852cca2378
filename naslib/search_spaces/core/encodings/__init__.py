"""Codes as numbers for predictors: what follows from the decisions of a space and the edges of its cells."""

from .batch import encode_decided as encode_decided
from .batch import first_of as first_of
from .batch import reads_cells as reads_cells
from .fixed_edges import FixedEdges as FixedEdges
from .fixed_edges import NestedGraphs as NestedGraphs
from .fixed_edges import fixed_edges_of as fixed_edges_of
from .graf import graf_names as graf_names
from .layout import CellLayout as CellLayout
from .layout import LayoutEdge as LayoutEdge
from .layout import cells_of as cells_of
