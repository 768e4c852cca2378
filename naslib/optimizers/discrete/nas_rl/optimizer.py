"""NASRL: an LSTM that writes architectures of any length, by policy gradient ([Zoph2017nasrl])."""

from __future__ import annotations

from typing import Any

import torch

from naslib.errors import ConfigError
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.discrete.policies.base import Policy
from naslib.optimizers.discrete.policies.experience import Experience
from naslib.optimizers.discrete.policies.factorised import FactorisedPolicy
from naslib.optimizers.discrete.policies.optimizer import Drawn, PolicyOptimizer
from naslib.optimizers.discrete.policies.recurrent import RecurrentPolicy
from naslib.optimizers.discrete.proposal import Proposal
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

from .reward import REWARDS, best_of_last, reward_of


@OPTIMIZERS.register("nas_rl")
class NASRL(PolicyOptimizer):
    """Let a controller write architectures layer by layer, and update it by REINFORCE ([Zoph2017nasrl], section 3).

    The controller is an LSTM of two layers that predicts one decision after another, each a softmax whose word is its
    next input, and which layers a layer reads by anchor points (section 3.3). After m architectures it takes a step
    of Adam along (equation 2 with a baseline)

        1/m sum_k sum_t (R_k - b) grad log P(a_t | a_1 ... a_{t-1})

    where b is the exponential moving average of the rewards before R_k. The gradient is taken when the last of the m
    is told, under the policy as it is then.

    On a space with a depth (`Codec.depth_decision`) the controller does not choose it: it begins with `initial_depth`
    layers, and has `depth_step` more after every `depth_interval` architectures, as far as the space goes. Any other
    space is written in the order of its decisions.

    The paper has 800 replicas (100 controllers of 8 architectures) that update parameters asynchronously; here it is
    `policy_batch` architectures to a gradient and `accumulate` gradients to a step. It does not say the decay of b:
    .95, as in [Zoph2018nasnet].

    Args:
        policy_batch: m, the architectures of a gradient.
        accumulate: Gradients, each under the same parameters, that are added up for a step: 10 in the paper's search
            of recurrent cells, where m is 1.
        reward: `"cube"`, `"inverse_square"` or `"value"`; None by the objective: see `reward_of`.
        reward_constant: c of `inverse_square`, the reward `c / perplexity^2`.
        last_epochs: The value of a trial is the best of so many last epochs, where its learning curve is known
            (`user["curve"]`); else that of its end.
        initial_depth: Layers to begin with; None lets the controller decide the depth.
        depth_step: Layers that are added at a time.
        depth_interval: After how many architectures they are.
        controller: `"lstm"`, or `"factorised"` for decisions that do not depend on each other.
        controller_hidden: Units of each layer of the LSTM.
        controller_layers: Its layers.
        initial_range: Its parameters begin uniform in +- this.
        softmax: See `PolicyOptimizer`.
        anchors: Whether inputs are decided at anchor points, where the space has such decisions; otherwise each is
            a yes or no like any other word.
        arch_learning_rate: Of Adam.
        baseline_decay: Of the moving average.
        correct_bias: Whether that average is corrected for its start (see `RewardBaseline`).
        entropy_weight: Of the entropy of the policy.
        **kwargs: See `PolicyOptimizer`.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = {
        "policy_batch": "",
        "accumulate": "",
        "initial_depth": "it has a schedule of its own, search.depth_step and search.depth_interval",
    }

    def __init__(
        self,
        *,
        policy_batch: int = 8,
        accumulate: int = 1,
        reward: str | None = None,
        reward_constant: float = 80.0,
        last_epochs: int = 5,
        initial_depth: int | None = 6,
        depth_step: int = 2,
        depth_interval: int = 1600,
        controller: str = "lstm",
        controller_hidden: int = 35,
        controller_layers: int = 2,
        initial_range: float = 0.08,
        softmax: str = "role",
        anchors: bool = True,
        arch_learning_rate: float = 6e-4,
        baseline_decay: float = 0.95,
        correct_bias: bool = False,
        entropy_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            controller=controller,
            controller_hidden=controller_hidden,
            softmax=softmax,
            arch_learning_rate=arch_learning_rate,
            baseline_decay=baseline_decay,
            correct_bias=correct_bias,
            entropy_weight=entropy_weight,
            **kwargs,
        )
        counts = {"policy_batch": policy_batch, "accumulate": accumulate, "last_epochs": last_epochs}
        counts |= {"depth_interval": depth_interval, "controller_layers": controller_layers}
        counts |= {} if initial_depth is None else {"initial_depth": initial_depth}
        problems = [f"{name} must be at least 1, got {count}" for name, count in counts.items() if count < 1]
        if depth_step < 0:
            problems.append(f"depth_step must not be negative, got {depth_step}")
        if not initial_range > 0 or not reward_constant > 0:
            problems.append(f"initial_range and reward_constant are positive, got {initial_range}, {reward_constant}")
        if reward is not None and reward not in REWARDS:
            problems.append(f"reward must be one of {', '.join(REWARDS)} or null, not {reward!r}")
        if problems:
            raise ConfigError(problems)
        self.policy_batch, self.accumulate = policy_batch, accumulate
        self.reward, self.reward_constant, self.last_epochs = reward, reward_constant, last_epochs
        self.initial_depth, self.depth_step, self.depth_interval = initial_depth, depth_step, depth_interval
        self.controller_layers, self.initial_range, self.anchors = controller_layers, initial_range, anchors
        self._depths: tuple[int, ...] = ()  # that the space has, where the controller does not choose them
        self._depth_slot = -1
        self._experience = Experience()

    # the depth

    @property
    def depth(self) -> int | None:
        """How many layers the next architecture has; None where that is not scheduled.

        Of the depths of the space it is the largest up to `initial_depth + depth_step * (n // depth_interval)`, n
        being the architectures asked for.
        """
        if not self._depths or self.initial_depth is None:
            return None
        record = self.record
        sampled = max(record.asked, record.evaluations + record.failed)
        wanted = self.initial_depth + self.depth_step * (sampled // self.depth_interval)
        return max(depth for depth in self._depths if depth <= wanted)

    def propose(self) -> tuple[Code, int | None] | Proposal:
        """Return an architecture drawn from the policy, of the depth that it is time for; it has no parent."""
        self._give_depth()
        return super().propose()

    def _give_depth(self) -> None:
        depth = self.depth
        if depth is not None:
            self.policy.given = {self._depth_slot: self._depths.index(depth)}

    # the reward

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search; nothing is changed.

        Raises:
            ConfigError: If the reward does not fit what it measures.
        """
        super().check_evaluator(evaluator)
        reward_of(self.reward, self.reward_constant, evaluator.objectives[0])

    def _take(self, trial: Trial, merit: float) -> None:
        self.record.add_trial(trial, merit)
        curve = trial.user.get("curve")
        best = best_of_last(curve, self.last_epochs, self.objectives[0]) if curve else merit
        self._learn(trial.code, best, trial.number)

    def reinforce(self, drawn: Drawn, reward: float) -> None:
        """Take note of a merit; take a step when there are enough.

        Args:
            drawn: The architecture.
            reward: Its merit, of which `reward_of` makes the reward.
        """
        transform = reward_of(self.reward, self.reward_constant, self.objectives[0])
        rows = self._experience.rows
        rows.append((drawn, self.baseline.advantage(transform(reward))))
        if len(rows) < self.policy_batch * self.accumulate:
            return
        total = torch.stack([self._objective(found, advantage) for found, advantage in rows]).sum()
        self.ascend(total / self.policy_batch)
        rows.clear()

    def _objective(self, drawn: Drawn, advantage: float) -> torch.Tensor:
        found = self.policy.follow(drawn.decided)
        return advantage * found.log_probs.sum() + self.entropy_weight * found.entropies.sum()

    # the controller

    def make_policy(self, steps: Steps) -> Policy:
        """Return a fresh controller, its parameters drawn from the generator of the search."""
        if self.controller != "lstm":
            return FactorisedPolicy(steps, self.rng)
        shape = self.controller_hidden, self.controller_layers, self.initial_range
        return RecurrentPolicy(steps, self.rng, *shape, softmax=self.softmax, anchors=self.anchors)

    def _reset(self) -> None:
        super()._reset()
        self.baseline = RewardBaseline(*self._baseline, previous=True)
        self._experience = Experience()
        if self._asks_the_benchmark():
            reward_of(self.reward, self.reward_constant, self.objectives[0])
        name, self._depths = self.codec.depth_decision(), ()
        if name is None or self.initial_depth is None:
            return
        steps = self.policy.steps
        decision = steps.space.decision(name)
        self._depths = tuple(decision.candidates)
        if min(self._depths) > self.initial_depth:
            raise ConfigError(
                f"search.initial_depth is {self.initial_depth}, and the architectures of {self.codec.name} have "
                f"{min(self._depths)} to {max(self._depths)} layers: take {min(self._depths)}, or null"
            )
        index = steps.space.decisions.index(decision)
        self._depth_slot = next(number for number, slot in enumerate(steps.slots) if slot.decision == index)
        self._give_depth()

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; what waits for the next step beside the policy."""
        return {**super().get_checkpointables(), "experience": self._experience}
