"""AZNASSearch: evolution by the sum of the logarithms of ranks among all that was seen ([Lee2024aznas])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.predictors.proxies.votes import log_rank_sum
from naslib.search_spaces.core.codec import Code


class RankedHistory:
    """All architectures with their merits, each of which larger is better, in the order in which they were told."""

    def __init__(self) -> None:
        self.codes: list[Code] = []
        self.merits: list[tuple[float, ...]] = []
        self.numbers: list[int | None] = []
        self.ended: list[bool] = []
        self._ranked: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, code: Code, merits: tuple[float, ...], number: int | None, ended: bool = True) -> None:
        """Take note of an architecture, with the number of its trial; not `ended` where its merits are predictions."""
        self.codes.append(code)
        self.merits.append(merits)
        self.numbers.append(number)
        self.ended.append(ended)
        self._ranked = None

    def scores(self) -> np.ndarray:
        """Return `sum_k log(rank_k / n)` of all n, `(n,)` float64: a new architecture changes those before it."""
        if self._ranked is None:
            self._ranked = log_rank_sum(np.array(self.merits))
        return self._ranked

    def best(self, n: int) -> np.ndarray:
        """Return the places of the n with the largest scores, the best first; of equals the first told."""
        return np.argsort(-self.scores(), kind="stable")[:n]

    def found(self) -> int:
        """Return the place of the best of those that ended."""
        return int(np.argmax(np.where(self.ended, self.scores(), -np.inf)))

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rows = zip(self.codes, self.merits, self.numbers, self.ended, strict=True)
        return {"rows": [[list(code), list(merits), number, ended] for code, merits, number, ended in rows]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        rows = state_dict["rows"]
        self.codes = [tuple(code) for code, *_ in rows]
        self.merits = [tuple(map(float, merits)) for _, merits, *_ in rows]
        self.numbers = [number for _, _, number, _ in rows]
        self.ended = [ended for *_, ended in rows]
        self._ranked = None


@OPTIMIZERS.register("az_nas")
class AZNASSearch(DiscreteOptimizer):
    """Evolve by several scores at once, ranked among everything seen so far ([Lee2024aznas], Sec. 3.3, and code).

    The score of an architecture is the sum over objectives of `log(rank / n)` among the n that were told, the best of
    them having rank n: one bad rank is not made up for by others. All ranks are taken anew whenever one is told. The
    first `n_initial` architectures are random; then a parent is drawn uniformly, of all while fewer than
    `population_size` are known, else of the best of that number, and its mutation is evaluated. Nothing dies. What is
    found is the architecture with the largest score in the end.

    The objectives are any: the four parts of the proxy `az_nas` by `evaluator: proxy`, or figures of a table. With one
    objective it is a greedy evolution.

    Args:
        population_size: How many of the best are parents (512 in the authors' code).
        n_initial: Random architectures at the beginning.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        seen: All architectures and their merits.

    Raises:
        ConfigError: For an unknown keyword, or a size below one.
    """

    SCHEDULABLE = {"population_size": ""}
    weighs_all = True

    def __init__(
        self,
        *,
        population_size: int = 512,
        n_initial: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"population_size": population_size, "n_initial": n_initial}
        problems = [f"{key} must be at least 1, not {size}" for key, size in sizes.items() if size < 1]
        if problems:
            raise ConfigError(problems)
        self.population_size, self.n_initial = population_size, n_initial
        self.seen = RankedHistory()

    def propose(self) -> tuple[Code, int | None]:
        """Return a random architecture at first, then a mutation of one of the best."""
        seen, codec, rng = self.seen, self.codec, self.rng
        if not len(seen) or len(seen) + len(self.record.pending) < self.n_initial:
            return codec.random(rng), None
        parent = int(rng.random() * min(len(seen), self.population_size))
        if len(seen) > self.population_size:
            parent = int(seen.best(self.population_size)[parent])
        return codec.mutate(seen.codes[parent], rng), seen.numbers[parent]

    def undecided(self) -> str:
        """Return why the search decided nothing: all architectures that it evaluated are equal in every score."""
        if len(self.seen) < 2 or len(set(self.seen.merits)) > 1:
            return ""
        return f"all {len(self.seen)} decisions are tied: every architecture evaluated has the same values"

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; what was seen beside the record and the random state."""
        return {**super().get_checkpointables(), "seen": self.seen}

    def _take(self, trial: Trial, merit: float) -> None:
        record, seen = self.record, self.seen
        record.decides(trial.fidelity)
        record.note(trial.code, merit)
        pairs = zip(self.objectives, trial.values or (), strict=True)
        seen.add(trial.code, tuple(objective.merit(value) for objective, value in pairs), trial.number)
        best = seen.found()
        values = tuple(o.merit(m) for o, m in zip(self.objectives, seen.merits[best], strict=True))
        record.choose(seen.codes[best], values, seen.merits[best][0], seen.numbers[best])

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        # a trial that was stopped early is told with a number and the predicted end of its curve
        self.seen.add(code, (merit,), number, ended=self.termination is None or number is None)

    def _reset(self) -> None:
        self.seen = RankedHistory()
