"""The core of search spaces: graphs, edges, operations, metrics."""

from .graph import EdgeData as EdgeData
from .graph import Graph as Graph
from .query_metrics import Metric as Metric
