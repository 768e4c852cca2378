"""Latency of operations on a device: tables, how they are measured, and fits to published measurements."""

from .builder import measure_table as measure_table
from .fit import FittedTable as FittedTable
from .fit import fit_choices as fit_choices
from .fit import fit_fbnet as fit_fbnet
from .fit import fit_nasbench201 as fit_nasbench201
from .keys import layer_key as layer_key
from .keys import operation_key as operation_key
from .table import LatencyTable as LatencyTable
from .table import read_table as read_table
from .trace import TracedEdge as TracedEdge
from .trace import trace_candidates as trace_candidates
