"""QLearning: tabular Q-learning with experience replay over the decisions of a space ([Baker2017metaqnn])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.steps import ATTEMPTS, Steps
from naslib.optimizers.discrete.variation import known
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

from .table import QTable, StateAction

# Share of random words, and for how many architectures: 2,700 in all
SCHEDULE: tuple[tuple[float, int], ...] = (
    (1.0, 1500),
    (0.9, 100),
    (0.8, 100),
    (0.7, 100),
    (0.6, 150),
    (0.5, 150),
    (0.4, 150),
    (0.3, 150),
    (0.2, 150),
    (0.1, 150),
)
# Draws of an architecture that is new
_ATTEMPTS = 200


def epsilon_at(schedule: Sequence[Sequence[float]], models: int, length: int | None = None) -> float:
    """Return the share of random words when so many architectures were asked for.

    Args:
        schedule: Pairs of a share and a number of architectures; the last share lasts.
        models: Number of architectures.
        length: Stretches the schedule to so many architectures; None leaves it as it is.
    """
    stretch = 1.0 if length is None else length / sum(count for _, count in schedule)
    end = 0.0
    for epsilon, count in schedule:
        end += count * stretch
        if models < end:
            return float(epsilon)
    return float(schedule[-1][0])


class RewardMemory:
    """The architectures that have values, each once, with the latest reward.

    Attributes:
        rewards: By code, in the order in which they were told first.
    """

    def __init__(self) -> None:
        self.rewards: dict[Code, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"rewards": [[list(code), reward] for code, reward in self.rewards.items()]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.rewards = {tuple(code): float(reward) for code, reward in state_dict["rewards"]}


@OPTIMIZERS.register("q_learning")
class QLearning(DiscreteOptimizer):
    """Learn what each word of an architecture is worth, and draw architectures epsilon-greedily ([Baker2017metaqnn]).

    The words of an architecture are its decisions in their order (`Steps`). A state is the slot of a word and the
    `state_words` words before it, as the state of MetaQNN is a layer at a depth. After every reward, `replays`
    architectures are drawn with replacement from all that have one, and each moves the values of its words, the last
    first: `Q(s, u) <- (1 - a) Q(s, u) + a (r + g max Q(s', .))`, r being the reward at the last word and 0 before it.
    An architecture that was evaluated already is not asked for again: it teaches once more what it is known to reach,
    and another one is drawn.

    Args:
        q_rate: a, in (0, 1].
        discount: g, in [0, 1].
        replays: Architectures replayed per reward: 128 in the authors' program, 100 in the paper.
        initial_value: Of Q. A percentage is a reward in [0, 1], so that .5 is an accuracy of 50 %.
        state_words: Words before a slot that its state has; 0 for none.
        epsilon_schedule: Pairs of the share of random words and the number of new architectures that it lasts; the
            last one goes on. The paper's if None, 2,700 architectures.
        schedule_length: Stretches the schedule to so many architectures; None leaves it as it is.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        table: The values of words.
        experience: Architectures with their rewards.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = {"q_rate": "", "discount": "", "replays": ""}

    def __init__(
        self,
        *,
        q_rate: float = 0.01,
        discount: float = 1.0,
        replays: int = 128,
        initial_value: float = 0.5,
        state_words: int = 1,
        epsilon_schedule: Sequence[Sequence[float]] | None = None,
        schedule_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        problems = []
        if not 0 < q_rate <= 1:
            problems.append(f"q_rate must be in (0, 1], not {q_rate}")
        if not 0 <= discount <= 1:
            problems.append(f"discount must be in [0, 1], not {discount}")
        if replays < 1 or state_words < 0:
            problems.append(f"replays must be at least 1 and state_words not negative, got {replays}, {state_words}")
        if schedule_length is not None and schedule_length < 1:
            problems.append(f"schedule_length must be at least 1, not {schedule_length}")
        schedule = SCHEDULE if epsilon_schedule is None else tuple(tuple(entry) for entry in epsilon_schedule)
        if not schedule or not all(len(e) == 2 and 0 <= e[0] <= 1 and e[1] > 0 for e in schedule):
            problems.append(
                "epsilon_schedule has pairs of a share in [0, 1] and a number of architectures above 0, such as "
                f"[[1.0, 50], [0.1, 50]]; it is {epsilon_schedule!r}"
            )
        if problems:
            raise ConfigError(problems)
        self.q_rate, self.discount, self.replays = q_rate, discount, replays
        self.initial_value, self.state_words = initial_value, state_words
        self.epsilon_schedule, self.schedule_length = schedule, schedule_length
        self.table: QTable
        self.experience = RewardMemory()
        self._paths: dict[Code, list[StateAction]] = {}

    @property
    def epsilon(self) -> float:
        """The share of random words in the next architecture."""
        models = len(self.experience.rewards) + len(self.record.pending)
        return epsilon_at(self.epsilon_schedule, models, self.schedule_length)

    def propose(self) -> tuple[Code, None]:
        """Return an architecture drawn by the values of words, a new one if some draws give any; it has no parent."""
        codec, rng, epsilon = self.codec, self.rng, self.epsilon
        pending = {trial.code for trial in self.record.pending.values()}
        found: Code | None = None
        repeats = refused = 0
        while repeats < _ATTEMPTS and refused < ATTEMPTS:
            try:
                decided = self.table.steps.space.canonical(self.table.sample(epsilon, rng))
            except ArchitectureError:  # of the constraints: draw again
                refused += 1
                continue
            found = known(codec, decided, rng)
            if found in self.experience.rewards:
                self._replay()
            elif found not in pending:
                break
            repeats += 1
        if found is None:
            raise UnsupportedBySpaceError(f"the constraints of the space refused {ATTEMPTS} draws of the words")
        return found, None

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        if not self.codec.is_valid(code):
            raise ArchitectureError(f"{code} is no architecture of {self.codec.name}: no word of it can learn")
        self.experience.rewards[code] = merit / 100 if self.objectives[0].unit == "%" else merit
        self._replay()

    def _replay(self) -> None:
        """Update the values by architectures drawn from the experience, with replacement."""
        rewards, rng = self.experience.rewards, self.rng
        codes = list(rewards)
        for _ in range(self.replays):
            code = codes[int(rng.random() * len(codes))]
            self.table.update(self._path(code), rewards[code], self.q_rate, self.discount)

    def _path(self, code: Code) -> list[StateAction]:
        if code not in self._paths:
            self._paths[code] = self.table.trajectory(self.codec.to_decisions(code))
        return self._paths[code]

    def _reset(self) -> None:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self.table = QTable(Steps(space), self.state_words, self.initial_value)
        self.experience, self._paths = RewardMemory(), {}

    def adapted(self) -> None:
        """Do what the parent does, once it is known that the space has architectures that words can be drawn of.

        Raises:
            UnsupportedBySpaceError: If its constraints refuse whatever is drawn.
        """
        table = self.table
        table.steps.check_draws(lambda rng: table.sample(1.0, rng), type(self).__name__, self.codec.name)
        super().adapted()

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; values and experience beside the record and the random state."""
        own: dict[str, Stateful] = {"q_values": self.table, "experience": self.experience}
        return {**super().get_checkpointables(), **own}
