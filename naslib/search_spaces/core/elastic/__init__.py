"""Layers whose size is a decision: slices of one weight, mixed or run one by one, and extracted at the end."""

from .attention import ElasticMultiheadAttention as ElasticMultiheadAttention
from .attention import SelfAttention as SelfAttention
from .conv import ElasticConv2d as ElasticConv2d
from .entangle import entangle as entangle
from .entangle import entangle_edges as entangle_edges
from .entangled import EntangledCandidate as EntangledCandidate
from .from_layer import elastic as elastic
from .in_force import Sizes as Sizes
from .layer import Elastic as Elastic
from .linear import Constant as Constant
from .linear import ElasticEmbedding as ElasticEmbedding
from .linear import ElasticLinear as ElasticLinear
from .linear import ElasticParameter as ElasticParameter
from .network import count_parameters as count_parameters
from .network import elastic_layers as elastic_layers
from .network import expected_parameters as expected_parameters
from .network import extract as extract
from .network import index_assignment as index_assignment
from .network import recalibrate as recalibrate
from .network import set_mixing as set_mixing
from .network import values_in as values_in
from .norm import ElasticBatchNorm2d as ElasticBatchNorm2d
from .norm import ElasticLayerNorm as ElasticLayerNorm
from .sequence import ElasticSequential as ElasticSequential
from .sizes import Size as Size
from .sizes import Value as Value
