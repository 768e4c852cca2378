"""An optimizer of your own: `python examples/own_optimizer.py --config darts.yaml optimizer=sigmoid_darts`.

Weights of candidates are independent sigmoids here instead of a softmax; everything else is inherited.
"""

import sys

import torch
from torch import nn

from naslib.build import main
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces.core.primitives import MixedOp, mix_outputs


class SigmoidMixedOp(MixedOp):
    """Mix candidates by the sigmoids of `alpha`."""

    def get_weights(self, edge_data):
        return edge_data.alpha

    def process_weights(self, weights):
        return weights.sigmoid()

    def apply_weights(self, x, weights):
        return mix_outputs(self.primitives, x, weights)


@OPTIMIZERS.register("sigmoid_darts")
class SigmoidDARTS(OneShotOptimizer):
    """DARTS with sigmoids.

    Args:
        start: Weight of every candidate before the first step, in (0, 1).
        **kwargs: See `OneShotOptimizer`.
    """

    def __init__(self, start: float = 0.5, **kwargs):  # a keyword here is a key of the section `search` at once
        super().__init__(**kwargs)
        self.start = start

    def add_alphas(self, edge):  # the parent needs no keyword, and has a static method here
        start = torch.tensor(self.start).logit()
        edge.data.set("alpha", nn.Parameter(start.repeat(len(edge.data.op))), shared=True)

    @staticmethod
    def update_ops(edge):
        edge.data.set("op", SigmoidMixedOp(edge.data.op))

    def decision_weights(self, alpha):
        return alpha.detach().sigmoid()


if __name__ == "__main__":
    sys.exit(main())
