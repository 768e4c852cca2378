"""Abilities: what a search can offer to the parts and options in it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Ability(StrEnum):
    """What a search can offer to the parts and options in it."""

    RELAXATION = "relaxation"  # all decisions are relaxed or drawn together, from the parameters
    MIXTURE = "mixture"  # in the weight step all operations run, summed by weights that come from the parameters
    FIXED_WEIGHTS = "fixed weights"  # those weights are the same whenever they are asked for
    UNIT_SUM = "unit sum"  # those weights sum to 1
    ARCHITECTURE_STEP = "architecture step"  # there is one, and it trains something
    GRADIENT = "gradient"  # it differentiates the loss of the network, so that others may add parameters
    TERM = "term"  # it differentiates what others add to its loss
    OBJECTIVE = "objective"  # it has a loss or a reward that others may change
    VALIDATION_GRADIENT = "validation gradient"  # the weights' gradient of the validation loss is at hand in that step
    CURVATURE = "curvature"  # the validation loss can be differentiated twice in the architecture parameters
    TRAINED_WEIGHTS = "trained weights"  # the weight step trains the operations
    OUTCOME = "outcome"  # an architecture follows from the parameters at any time
    SCORES = "scores"  # candidates and edges are compared by scores in the end
    OPERATIONS = "operations"  # all decisions are among operations; none is a size of elastic layers
    EDGES = "edges"  # all decisions are on edges; none is among the combinations at a node
    MIXED_SIZES = "mixed sizes"  # several values of a size can run at once, summed by weights
    OWN_WEIGHTS = "own weights"  # every candidate has weights of its own; none shares them with others
    FLAT = "flat"  # no decision is inside of a candidate of another
    STRUCTURE = "structure"  # candidates may leave the supernet during the search
    SECOND_ORDER = "second order"  # there is a second-order architecture step
    UNROLLED = "unrolled"  # it is taken
    FORWARD_MODE = "forward mode"  # forwards can be differentiated in forward mode


Reasons = Mapping[Ability, str]
