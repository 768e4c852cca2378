"""ReinforceController: policy gradient on the decisions of a space, as in the code of NAS-Bench-201."""

from __future__ import annotations

from naslib.optimizers.discrete.policies.optimizer import Drawn, PolicyOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("reinforce")
class ReinforceController(PolicyOptimizer):
    """Update the policy after every architecture ([Williams1992reinforce]; [Dong2020nasbench201] for the protocol).

    A step of Adam along `(r - b) grad log p(architecture)`, plus `entropy_weight` times the gradient of the entropy of
    its distributions; r is the reward and b the average, updated before it is subtracted. The defaults are those of the
    code of NATS-Bench: each decision by itself, learning rate .01, average of decay .9 with its bias corrected. Where
    several trials are evaluated at a time, the gradient is that of the policy as it is when the reward comes.
    """

    def reinforce(self, drawn: Drawn, reward: float) -> None:
        """Take one step."""
        advantage = self.baseline.advantage(reward)
        found = self.policy.follow(drawn.decided)
        objective = advantage * found.log_probs.sum()
        if self.entropy_weight:
            objective = objective + self.entropy_weight * found.entropies.sum()
        self.ascend(objective)
