"""What predictors are made of: networks on graphs and sequences."""

from .graph_networks import DirectedGraphConvolution as DirectedGraphConvolution
from .graph_networks import DirectedGraphNetwork as DirectedGraphNetwork
from .graph_networks import GlobalNodeNetwork as GlobalNodeNetwork
from .sequence_model import SequenceModel as SequenceModel
