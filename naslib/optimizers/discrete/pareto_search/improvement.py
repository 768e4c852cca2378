"""How much a front gains by a point: where these functions were first; they are for all searches of several objectives.

See `naslib.optimizers.discrete.model_based.improvement`.
"""

from naslib.optimizers.discrete.model_based.improvement import non_dominated as non_dominated
from naslib.optimizers.discrete.model_based.improvement import scalarised as scalarised
from naslib.optimizers.discrete.model_based.improvement import volume_gains as volume_gains
