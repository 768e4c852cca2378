"""EAS: a controller lets a small trained network grow, and learns from how well what has grown does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from naslib.errors import ConfigError, OptimizerStateError, UnsupportedBySpaceError, did_you_mean
from naslib.history import Objective, State, Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.proposal import Proposal
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.utils.log import get_logger

from .baseline import MeanBaseline
from .controller import MetaController, Step
from .rounds import Rounds
from .widths import growing_of

logger = get_logger(__name__)

REWARDS = ("tan", "value")
# Accuracies from here on count as this one: the tangent has no value at 1
_HIGHEST = 0.999
# Rounds without an architecture that has no value yet, before those that have one are evaluated again
_FRUITLESS = 5
# Failures of the network that all others grow from
_ATTEMPTS = 3


@OPTIMIZERS.register("eas")
class EAS(DiscreteOptimizer):
    """Efficient architecture search by network transformation ([Cai2018eas]).

    The first trial is the network that is started from. Then rounds of `networks` architectures: each begins there and
    takes `wider_steps` steps of the wider actor, then `deeper_steps` of the deeper one (`MetaController`); every trial
    has the first one as its parent, whose weights it continues from where the evaluator lets it
    (`search.evaluator_args.inherit`). An architecture that has a value is not evaluated again in these rounds. When all
    of a round have theirs, one step of Adam along

        (1/n) sum_i (r_i - b) grad log p(steps of network i) + entropy_weight grad H

    with H the mean over steps of their entropies, r_i = tan(accuracy pi / 2) and b the baseline. In the authors'
    code that is `b <- b + .95 (mean r - b)` from 0, updated before it is subtracted, so that the round itself has most
    of the weight; the paper's moving average of decay .95 is `baseline_rate=0.05`.

    Args:
        networks: Networks in a round.
        wider_steps: Steps of the wider actor from the start to each of them.
        deeper_steps: Steps of the deeper actor after these; a step in which all blocks are full is left out.
        start: The architecture to start from, as the space spells it; the smallest one if None.
        rounds_per_start: After so many rounds the best network that has grown becomes the start of those that follow
            (the authors begin a second search by hand); None for one start.
        reward: `"tan"`, of an accuracy in percent; 99.9 % and more count as 99.9 %. `"value"`: the first objective
            itself, larger being better.
        arch_learning_rate: Of Adam, on the parameters of the controller.
        entropy_weight: Of the entropy, which is maximised.
        baseline_rate: In (0, 1]: how much of a round's mean reward the baseline takes.
        controller_hidden: Units of each direction of the encoder.
        controller_embedding: Size of the embeddings.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        controller: The controller (after adapting).
        rounds: What was decided and told.
        baseline: The average of rewards.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = dict.fromkeys(("arch_learning_rate", "entropy_weight", "baseline_rate"), "")
    HELD_BY = {"arch_learning_rate": ("_adam", "lr"), "baseline_rate": ("baseline", "rate")}

    def __init__(
        self,
        *,
        networks: int = 10,
        wider_steps: int = 4,
        deeper_steps: int = 5,
        start: Any = None,
        rounds_per_start: int | None = None,
        reward: str = "tan",
        arch_learning_rate: float = 0.002,
        entropy_weight: float = 1e-5,
        baseline_rate: float = 0.95,
        controller_hidden: int = 50,
        controller_embedding: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        problems = [
            f"{name} must be at least 1, not {value}"
            for name, value in (
                *(("networks", networks), ("rounds_per_start", rounds_per_start)),
                *(("controller_hidden", controller_hidden), ("controller_embedding", controller_embedding)),
            )
            if value is not None and value < 1
        ]
        if min(wider_steps, deeper_steps) < 0 or wider_steps + deeper_steps < 1:
            problems.append(
                f"wider_steps and deeper_steps are at least 0, and one of them more, not {wider_steps}, {deeper_steps}"
            )
        if reward not in REWARDS:
            problems.append(f"reward is {' or '.join(REWARDS)}, not {reward!r}{did_you_mean(str(reward), REWARDS)}")
        if not arch_learning_rate > 0 or entropy_weight < 0:
            problems.append(
                "arch_learning_rate must be positive and entropy_weight not negative, got "
                f"{arch_learning_rate}, {entropy_weight}"
            )
        if not 0 < baseline_rate <= 1:
            problems.append(f"baseline_rate must be in (0, 1], not {baseline_rate}")
        if problems:
            raise ConfigError(problems)
        self.networks, self.wider_steps, self.deeper_steps = networks, wider_steps, deeper_steps
        self.start, self.rounds_per_start, self.reward = start, rounds_per_start, reward
        self.arch_learning_rate, self.entropy_weight = arch_learning_rate, entropy_weight
        self.controller_hidden, self.controller_embedding = controller_hidden, controller_embedding
        self.baseline = MeanBaseline(baseline_rate)
        self.controller: MetaController
        self.rounds: Rounds
        self._adam: torch.optim.Adam

    # asking

    def propose(self) -> Proposal | None:
        """Return an architecture that has grown from the start, or the start; None while a round is not over."""
        if self._codec is None:
            raise OptimizerStateError(f"call {type(self).__name__}.adapt_search_space first")
        rounds = self.rounds
        if not rounds.to_ask and not rounds.asked:
            self._draw_round()
        code = rounds.ask()
        return None if code is None else Proposal(code, rounds.start_trial)

    def _draw_round(self) -> None:
        """Let the networks of a round grow; rounds without a new one are learned from at once."""
        rounds = self.rounds
        for attempt in range(_FRUITLESS + 1):
            paths, codes = self._grown()
            rounds.begin(paths, codes, attempt == _FRUITLESS)
            if rounds.to_ask:
                return
            self._learn_from_round()

    def _grown(self) -> tuple[list[list[Step]], list[Code]]:
        """Return the steps of the networks of a round, and what they end in."""
        codes = [self.rounds.start] * self.networks
        paths: list[list[Step]] = [[] for _ in codes]
        for number in range(self.wider_steps + self.deeper_steps):
            steps: Sequence[Step | None]
            if number < self.wider_steps:
                steps = self.controller.sample_wider(codes, self.rng)
            else:
                steps = self.controller.sample_deeper(codes, self.rng)
            for index, step in enumerate(steps):
                if step is not None:
                    paths[index].append(step)
                    codes[index] = self.controller.grown(codes[index], step)
        return paths, codes

    # being told

    def _tell_code(self, code: Code, value: Any) -> None:
        code = self.codec.canonical(code)
        if code not in self.rounds.asked:
            raise OptimizerStateError(
                f"eas was told a value of {list(code)}, which it did not ask for: its controller learns from what it "
                "has proposed. Ask first, and tell what was asked for once"
            )
        super()._tell_code(code, value)
        if value is None or not math.isfinite(value):
            self._settle(code, None, None)

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self._settle(code, merit, number)

    def _lose(self, trial: Trial) -> None:
        if trial.state is State.PRUNED and "predicted" in trial.user:  # `_learn` is told what was predicted
            return
        self._settle(trial.code, None, trial.number)

    def _settle(self, code: Code, merit: float | None, number: int | None) -> None:
        """Take the value of an architecture, and learn where that was the last one of a round."""
        rounds = self.rounds
        if not rounds.has_begun and merit is None:
            self._start_again(code)
            return
        if not rounds.has_begun:
            rounds.start_trial = number
        if rounds.tell(code, merit, number):
            self._learn_from_round()

    def _start_again(self, code: Code) -> None:
        """Let the start be evaluated again after a failure.

        Raises:
            OptimizerStateError: If it has failed too often.
        """
        rounds = self.rounds
        rounds.failures += 1
        if rounds.failures >= _ATTEMPTS:
            raise OptimizerStateError(
                f"the network that eas starts from has failed {rounds.failures} times ({self.record.last_failure}): no "
                "other one can grow from it"
            )
        rounds.asked.remove(code)
        rounds.to_ask.append(code)

    def _learn_from_round(self) -> None:
        """Take a step of Adam, and go on from the best network where it is time."""
        rounds = self.rounds
        found = [(path, rounds.values[code].merit) for path, code in zip(rounds.paths, rounds.codes, strict=True)]
        pairs = [(path, self._reward(merit)) for path, merit in found if merit is not None]
        if pairs:
            advantages = self.baseline.advantages([reward for _, reward in pairs])
            self.ascend(self.objective([path for path, _ in pairs], advantages))
        rounds.end()
        if self.rounds_per_start is not None and rounds.count % self.rounds_per_start == 0:
            best = rounds.best()
            if best != rounds.start and self._can_grow(best):
                rounds.go_on_from(best)

    def _can_grow(self, code: Code) -> bool:
        growing = self.controller.growing
        can_widen = self.wider_steps > 0 and any(growing.widenable(code))
        return can_widen or (self.deeper_steps > 0 and any(growing.deepenable(code)))

    def _reward(self, merit: float) -> float:
        if self.reward == "value":
            return merit
        return math.tan(min(max(merit / 100, 0.0), _HIGHEST) * math.pi / 2)

    def objective(self, paths: Sequence[Sequence[Step]], advantages: Sequence[float]) -> torch.Tensor:
        """Return what a step of Adam increases, a scalar; see the class.

        Args:
            paths: Steps of each network from the start.
            advantages: Reward less baseline of each.
        """
        codes: list[Code] = []
        weights: list[float] = []
        for path, advantage in zip(paths, advantages, strict=True):
            code = self.rounds.start
            for step in path:
                codes.append(code)
                weights.append(advantage / len(paths))
                code = self.controller.grown(code, step)
        followed = self.controller.follow(codes, [step for path in paths for step in path])
        log_probs = followed.log_probs * followed.log_probs.new_tensor(weights)
        return log_probs.sum() + self.entropy_weight * followed.entropies.mean()

    def ascend(self, objective: torch.Tensor) -> None:
        """Take a step of Adam that increases a scalar."""
        self._adam.zero_grad(set_to_none=True)
        (-objective).backward()
        self._adam.step()

    # beginning

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search.

        Raises:
            ConfigError: If the reward is that of an accuracy, and the first objective is none.
        """
        super().check_evaluator(evaluator)
        self._check_reward(evaluator.objectives[0])

    def use_evaluator(self, evaluator: Any) -> None:
        """Take an evaluator, and say where trials would not begin with their parents' weights; see the parent."""
        super().use_evaluator(evaluator)
        if getattr(evaluator, "inheritance", evaluator) is None:
            logger.warning(
                "eas: every network trains from scratch; search.evaluator_args={inherit: morphism} lets it begin with "
                "the weights of the network that it has grown from"
            )

    def _take_metrics(self, codec: Any, dataset_api: Any, dataset: str | None) -> None:
        super()._take_metrics(codec, dataset_api, dataset)
        self._check_reward(self.objectives[0])

    def _check_reward(self, objective: Objective) -> None:
        if self.reward == "tan" and not objective.is_accuracy:
            raise ConfigError(
                f"search.reward=tan is of an accuracy in percent, and the first objective is {objective.name}: take "
                "search.reward=value"
            )

    def _reset(self) -> None:
        codec = self.codec
        growing = growing_of(codec)
        start = growing.start() if self.start is None else codec.canonical(self.start)
        self.controller = MetaController(growing, self.rng, self.controller_hidden, self.controller_embedding)
        if not self._can_grow(start):
            raise UnsupportedBySpaceError(
                f"the network to start from, {codec.genotype(start)}, cannot grow by {self.wider_steps} wider and "
                f"{self.deeper_steps} deeper steps"
            )
        self._adam = torch.optim.Adam(self.controller.parameters(), lr=self.arch_learning_rate)
        self.baseline = MeanBaseline(self.baseline.rate)
        self.rounds = Rounds(start)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; controller, optimizer, baseline and rounds beside what all have."""
        own: dict[str, Any] = {"controller": self.controller, "controller_optimizer": self._adam}
        return {**super().get_checkpointables(), **own, "baseline": self.baseline, "rounds": self.rounds}
