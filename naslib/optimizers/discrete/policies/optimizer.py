"""PolicyOptimizer: the template of searches that move a distribution over architectures by their rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.proposal import Proposal
from naslib.optimizers.discrete.steps import ATTEMPTS, Steps
from naslib.optimizers.discrete.variation import known
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.restricted_codec import RestrictedCodec

from .base import Policy
from .drawn import Drawn as Drawn
from .drawn import DrawnTrials, drawn_of
from .factorised import FactorisedPolicy
from .recurrent import SOFTMAXES, RecurrentPolicy

CONTROLLERS = ("factorised", "lstm")


class PolicyOptimizer(DiscreteOptimizer):
    """Draw architectures from a policy, and make those more likely that are better than what came before.

    Any space with decisions will do: see `Steps` for what a word is. The reward is the first objective, larger being
    better; an accuracy is in percent. The answer is the best architecture seen, not the most likely one. Architectures
    that the constraints of a space exclude are drawn again; this is not counted in their probabilities.

    Args:
        controller: `"factorised"`, each decision by itself, or `"lstm"`, each after those before it.
        controller_hidden: Units of the LSTM.
        softmax: What predictions of the LSTM have scores and embeddings in common: `"shared"`, those of the same
            candidates, `"role"`, those that are also called alike, or `"own"`, none.
        arch_learning_rate: Of Adam, on the parameters of the policy.
        baseline_decay: In [0, 1): how much of the moving average of rewards is kept.
        correct_bias: Whether that average is corrected for its start (see `RewardBaseline`).
        entropy_weight: Of the entropy of the policy, which is maximised; 0 for none.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        policy: The distribution (after adapting).
        baseline: The moving average.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = dict.fromkeys(("arch_learning_rate", "baseline_decay", "entropy_weight"), "")
    HELD_BY = {"arch_learning_rate": ("_adam", "lr"), "baseline_decay": ("baseline", "decay")}

    def __init__(
        self,
        *,
        controller: str = "factorised",
        controller_hidden: int = 100,
        softmax: str = "shared",
        arch_learning_rate: float = 0.01,
        baseline_decay: float = 0.9,
        correct_bias: bool = True,
        entropy_weight: float = 0.0,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        problems = []
        if controller not in CONTROLLERS:
            hint = did_you_mean(str(controller), CONTROLLERS)
            problems.append(f"controller must be one of {', '.join(CONTROLLERS)}, not {controller!r}{hint}")
        if softmax not in SOFTMAXES:
            hint = did_you_mean(str(softmax), SOFTMAXES)
            problems.append(f"softmax must be one of {', '.join(SOFTMAXES)}, not {softmax!r}{hint}")
        if controller_hidden < 1 or not arch_learning_rate > 0:
            problems.append(
                "controller_hidden and arch_learning_rate must be positive, got "
                f"{controller_hidden}, {arch_learning_rate}"
            )
        if entropy_weight < 0:
            problems.append(f"entropy_weight must not be negative, got {entropy_weight}")
        if problems:
            raise ConfigError(problems)
        self.controller, self.controller_hidden, self.softmax = controller, controller_hidden, softmax
        self.arch_learning_rate, self.entropy_weight = arch_learning_rate, entropy_weight
        self._baseline = baseline_decay, correct_bias
        self.baseline = RewardBaseline(*self._baseline)
        self.policy: Policy
        self._adam: torch.optim.Adam
        self._drawn = DrawnTrials()
        self._told: Drawn | None = None  # what was drawn for the code that is told now

    @abstractmethod
    def reinforce(self, drawn: Drawn, reward: float) -> None:
        """Update the policy, or take note of the reward for a later update."""

    def propose(self) -> tuple[Code, int | None] | Proposal:
        """Return an architecture drawn from the policy; it has no parent."""
        return self.draw(), None

    def draw(self) -> Code:
        """Return an architecture drawn from the policy for the trial that is asked for next.

        Raises:
            UnsupportedBySpaceError: If the constraints of the space refuse whatever is drawn.
        """
        codec, space = self.codec, self.policy.steps.space
        for _ in range(ATTEMPTS):
            found = self.policy.sample(self.rng)
            try:
                decided = space.canonical(found.code)
                code = known(codec, decided, self.rng)
                break
            except ArchitectureError:  # a cell that is none: draw again
                continue
        else:
            raise UnsupportedBySpaceError(f"the constraints of the space refused {ATTEMPTS} draws of the policy")
        pending, drawn = self.record.pending, self._drawn.by_number
        for number in [number for number in drawn if number not in pending]:  # of trials that have failed
            del drawn[number]
        # another one was taken where the codec does not have it: its words are not those that were drawn
        whole: Codec[Any] = codec
        while isinstance(whole, RestrictedCodec):
            whole = whole.codec
        is_own = code == whole.from_decisions(decided)
        drawn[self.record.asked] = drawn_of(found) if is_own else self._under_policy(code)
        return code

    def _hand_out(self, code: Code) -> None:
        self._drawn.hand_out(code, self.record.asked)

    def _tell_code(self, code: Code, value: Any) -> None:
        self._told = self._drawn.take(self.codec.canonical(code))
        super()._tell_code(code, value)

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        drawn = self._told if number is None else self._drawn.by_number.pop(number, None)
        self.reinforce(drawn or self._under_policy(code), merit)

    @torch.no_grad()
    def _under_policy(self, code: Code) -> Drawn:
        return drawn_of(self.policy.follow(self.codec.to_decisions(code)))

    def ascend(self, objective: torch.Tensor) -> None:
        """Take a step of Adam that increases a scalar."""
        self._adam.zero_grad(set_to_none=True)
        (-objective).backward()
        self._adam.step()

    def _reset(self) -> None:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self.policy = self.make_policy(Steps(space, self.codec.decision_order()))
        self._adam = torch.optim.Adam(self.policy.parameters(), lr=self.arch_learning_rate)
        self.baseline = RewardBaseline(*self._baseline)
        self._drawn = DrawnTrials()

    def adapted(self) -> None:
        """Do what the parent does, once it is known that the space has architectures that the policy can draw.

        Raises:
            UnsupportedBySpaceError: If its constraints refuse whatever is drawn.
        """
        policy = self.policy
        policy.steps.check_draws(lambda rng: policy.sample(rng).code, type(self).__name__, self.codec.name)
        super().adapted()

    def make_policy(self, steps: Steps) -> Policy:
        """Return a fresh policy, its parameters drawn from the generator of the search."""
        if self.controller == "lstm":
            return RecurrentPolicy(steps, self.rng, self.controller_hidden, softmax=self.softmax)
        return FactorisedPolicy(steps, self.rng)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; policy, optimizer, baseline and draws beside what all searches have."""
        own: dict[str, Any] = {"policy": self.policy, "policy_optimizer": self._adam}
        return {**super().get_checkpointables(), **own, "baseline": self.baseline, "drawn": self._drawn}
