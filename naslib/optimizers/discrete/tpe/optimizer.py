"""TPE: tree-structured Parzen estimators ([Bergstra2011tpe]), by Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.variation import known
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.extras import require

from .distributions import Distributions

# Suggestions that the constraints of a space may refuse
_ATTEMPTS = 100


def share_of_good(n: int) -> int:
    """Return how many of n architectures count as good: a tenth, and at most 25."""
    return min(math.ceil(0.1 * n), 25)


class Observations:
    """What the estimator knows, as a checkpoint holds it: the study of Optuna is made of it anew.

    Attributes:
        rows: Architectures as codes of the decision space, and their merits, in the order in which they were told.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Code, tuple[float, ...]]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"rows": [[list(code), list(merits)] for code, merits in self.rows]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.rows = [(tuple(code), tuple(map(float, merits))) for code, merits in state_dict["rows"]]


@OPTIMIZERS.register("tpe")
class TPE(DiscreteOptimizer):
    """Draw what is likely among good architectures and unlikely among the others, by Optuna's `TPESampler`.

    Decisions are parameters of a study (`Distributions`), suggested one after another, so that conditions hold. Every
    architecture has a sampler of its own, whose seed is drawn from the search's generator; with the architectures told
    so far it is all there is to know, so that a resumed search goes on exactly. Several objectives are those of the
    study. Trials that are pending are not considered. What is observed stays in memory and in checkpoints.

    Args:
        n_startup: Random architectures to begin with.
        n_candidates: Drawn by the estimator, of which the best is taken.
        multivariate: Whether decisions are estimated together, those that are always made or depend on one condition as
            a group, or each by itself.
        unique: Whether an architecture that was told already is drawn again, a few times.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Raises:
        ConfigError: For an unknown keyword, a value out of its range, or if Optuna is not installed.
    """

    IS_ASYNCHRONOUS = True

    weighs_all = True

    SCHEDULABLE = {"n_candidates": ""}

    def __init__(
        self,
        *,
        n_startup: int = 10,
        n_candidates: int = 24,
        multivariate: bool = True,
        unique: bool = True,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        if n_startup < 1 or n_candidates < 1:
            raise ConfigError(f"n_startup and n_candidates must be at least 1, got {n_startup}, {n_candidates}")
        self.n_startup, self.n_candidates = n_startup, n_candidates
        self.multivariate, self.unique = multivariate, unique
        self._optuna = require("optuna", "tpe")
        self.observations = Observations()
        self._distributions: Distributions
        self._study: Any = None
        self._n_added = 0
        self._seen: set[Code] = set()

    def propose(self) -> tuple[Code, int | None]:
        """Return what a sampler of Optuna suggests after what it was told; it has no parent."""
        codec = self.codec
        space = self._distributions.space
        with _quietly(self._optuna):
            self._catch_up()
            found: Code | None = None
            for attempt in range(_ATTEMPTS):
                try:
                    decided = space.canonical(self._suggested())
                    found = known(codec, decided, self.rng)
                except ArchitectureError:
                    continue
                if not self.unique or decided not in self._seen or attempt >= 10:
                    break
        if found is None:
            raise UnsupportedBySpaceError(f"the constraints of the space refused {_ATTEMPTS} suggestions of tpe")
        return found, None

    def _suggested(self) -> Code:
        optuna = self._optuna
        self._study.sampler = optuna.samplers.TPESampler(
            seed=self.rng.getrandbits(32),
            n_startup_trials=self.n_startup,
            n_ei_candidates=self.n_candidates,
            multivariate=self.multivariate,
            group=self.multivariate,
            gamma=share_of_good,
            constant_liar=False,
        )
        trial = self._study.ask()
        code = self._distributions.suggest(trial)
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)  # told by `_catch_up` when there are values
        return code

    def _catch_up(self) -> None:
        """Tell the study what it does not know yet."""
        optuna, rows = self._optuna, self.observations.rows
        if self._study is None or self._n_added > len(rows):
            directions = ["maximize"] * len(self.objectives)
            sampler = optuna.samplers.RandomSampler(seed=0)  # never asked
            self._study = optuna.create_study(directions=directions, sampler=sampler)
            self._n_added, self._seen = 0, set()
        for code, merits in rows[self._n_added :]:
            values, kinds = self._distributions.parameters_of(code)
            self._study.add_trial(optuna.trial.create_trial(params=values, distributions=kinds, values=list(merits)))
            self._seen.add(code)
        self._n_added = len(rows)

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self._learn_all(code, (merit,), number)

    def _learn_all(self, code: Code, merits: tuple[float, ...], number: int | None) -> None:
        self.observations.rows.append((self.codec.to_decisions(code), merits))

    def _reset(self) -> None:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self._distributions = Distributions(Steps(space), self._optuna)
        self.observations, self._study = Observations(), None

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; what was observed beside the record and the random state."""
        self._study = None  # is made anew of what is observed by then
        return {**super().get_checkpointables(), "observations": self.observations}


@contextmanager
def _quietly(optuna: Any) -> Iterator[None]:
    """Keep Optuna from announcing studies, and that some of its options are new."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
