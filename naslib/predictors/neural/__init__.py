"""Neural predictors on graphs and sequences."""

from .bonas import BonasPredictor as BonasPredictor
from .gcn import GCNClassifier as GCNClassifier
from .gcn import GCNPredictor as GCNPredictor
from .seminas import SemiNASPredictor as SemiNASPredictor
