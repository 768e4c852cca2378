"""The core of search spaces: graphs, edges, operations, metrics."""

from .given_weights import pretrained as pretrained
from .graph import EdgeData as EdgeData
from .graph import Graph as Graph
from .query_metrics import Metric as Metric
