"""MultiFidelityOptimizer: train many architectures for few epochs, and those that do well for more."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, overload

from naslib.errors import ConfigError, OptimizerStateError
from naslib.history import Trial
from naslib.optimizers.discrete.base import DiscreteOptimizer, Proposal
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.query_metrics import Metric

from .levels import checked_levels, geometric_levels


class MultiFidelityOptimizer(DiscreteOptimizer):
    """Search in which every trial has one of several fidelities (epochs of training).

    A trial that is promoted is a new trial of the same architecture at the next level; its `parent` is the one below.
    Where the evaluator can, it goes on from there and costs only the epochs that are added. The incumbent is the best
    at the highest level that a trial has reached; values of different levels are never compared.

    Args:
        fidelity: Epochs of the highest level; those of the evaluator, where one says how long it trains.
        min_fidelity: Fewest epochs of the lowest level.
        eta: Ratio of the levels, and one of so many trials is promoted.
        fidelities: The levels themselves, ascending, in place of the three above: for a table that has some only.
        warm_start: Whether a promoted trial goes on where the one below ended. None: wherever that is possible.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; the first decides. See `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        levels: The fidelities, ascending.
        is_warm: Whether promoted trials go on where they ended.

    Raises:
        ConfigError: For an unknown keyword, or levels that are none.
    """

    def __init__(
        self,
        *,
        fidelity: int = 200,
        min_fidelity: int = 1,
        eta: int = 3,
        fidelities: Sequence[int] | None = None,
        warm_start: bool | None = None,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        self.min_fidelity, self.eta, self.warm_start = min_fidelity, eta, warm_start
        self.fidelities = None if fidelities is None else checked_levels(fidelities)
        self.is_warm = bool(warm_start)
        self.levels = self._levels_up_to(max(fidelity, min_fidelity))
        self._asked: dict[Code, deque[Trial]] = {}

    def _levels_up_to(self, maximum: int) -> tuple[int, ...]:
        if self.fidelities is not None:
            if self.eta < 2:
                raise ConfigError(f"search.eta must be at least 2, not {self.eta}")
            return self.fidelities
        return geometric_levels(self.min_fidelity, maximum, self.eta)

    def _settle(self, maximum: int) -> tuple[int, ...]:
        """Return the levels for a longest training of so many epochs.

        Raises:
            ConfigError: If there are none.
        """
        if maximum == -1 and self.fidelities is None:
            raise ConfigError(
                f"{type(self).__name__} divides the longest training: say how many epochs it has (search.fidelity of a "
                "table, search.evaluator_args.epochs of training), or name search.fidelities"
            )
        levels = self._levels_up_to(maximum)
        if self.fidelities is not None and maximum not in (-1, levels[-1]):
            raise ConfigError(
                f"search.fidelities end with {levels[-1]} epochs, and the longest training has {maximum} "
                "(search.fidelity of a table, search.evaluator_args.epochs of training): make them equal"
            )
        return levels

    # what is evaluated, and how

    def _take_metrics(self, codec: Codec, dataset_api: Any, dataset: str | None) -> None:
        """Settle the levels too, and raise if the benchmark does not know one."""
        self.levels = self._settle(self.fidelity)
        super()._take_metrics(codec, dataset_api, dataset)
        probe = codec.random(random.Random(0))
        for level in self.levels:
            for metric in self.metrics:
                dataset_api.query(probe, metric, dataset, epoch=level)
        self._settle_warmth(bool(getattr(dataset_api, "is_one_training", False)), "this table has no learning curves")

    def use_evaluator(self, evaluator: Any) -> None:
        """Take objectives and longest training of an evaluator.

        Raises:
            ConfigError: If it does not train for as many epochs as the search wants, or cannot go on with a training.
        """
        super().use_evaluator(evaluator)
        self.levels = self._settle(self.fidelity)
        self._settle_warmth(_can_continue(evaluator), f"{type(evaluator).__name__} begins every training anew")

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search; nothing is changed.

        Raises:
            ConfigError: See `use_evaluator`.
        """
        super().check_evaluator(evaluator)
        self._settle(int(getattr(evaluator, "fidelity", self.fidelity)))
        if self.warm_start and not _can_continue(evaluator):
            raise ConfigError(f"search.warm_start: {type(evaluator).__name__} begins every training anew")

    def _settle_warmth(self, is_possible: bool, why_not: str) -> None:
        if self.warm_start and not is_possible:
            raise ConfigError(f"search.warm_start: {why_not}, so that a training cannot go on where one ended")
        self.is_warm = is_possible if self.warm_start is None else self.warm_start

    # asking and telling

    @abstractmethod
    def propose(self) -> Proposal:
        """Return what the trial of number `record.asked` is; to be called by `ask` alone, which makes that trial."""

    def sample(self) -> Code:
        """Return a new architecture for the lowest level of a bracket."""
        return self.codec.random(self.rng)

    def _promotion(self, trial: Trial, level: int) -> Proposal:
        """Return a trial at a higher level."""
        return Proposal(trial.code, trial.number, level, trial if self.is_warm else None)

    @overload
    def ask(self) -> Code: ...

    @overload
    def ask(self, n: int) -> list[Trial]: ...

    def ask(self, n: int | None = None) -> Code | list[Trial]:
        """Return what to evaluate next; see `DiscreteOptimizer.ask`.

        `ask()` returns the code of a pending trial, whose fidelity is that of the last one in `pending()`.
        """
        if n is not None:
            return super().ask(n)
        (trial,) = super().ask(1)
        self._asked.setdefault(trial.code, deque()).append(trial)
        return trial.code

    def _share_to_beat(self, trial: Trial) -> float | None:
        return None if trial.fidelity == self.levels[-1] else 1 / self.eta

    def _tell_code(self, code: Code, value: Any) -> None:
        """Tell the trial that the code was asked for with; one that was not asked for is of the highest level."""
        waiting = self._asked.get(code)
        is_value = value is not None and math.isfinite(value)
        if not waiting:
            if is_value:
                self.record.decides(self.levels[-1])
            super()._tell_code(code, value)
            return
        trial = waiting.popleft()
        if not waiting:
            del self._asked[code]
        self.tell(trial, None if not is_value else value if self.objectives[0].maximize else -value)

    def new_epoch(self, epoch: int) -> None:
        """Evaluate one trial.

        Raises:
            OptimizerStateError: If the evaluator is a name that nobody has built yet.
        """
        if not self._asks_the_benchmark() or self.termination is not None:
            super().new_epoch(epoch)
            return
        if self.dataset_api is None:
            raise OptimizerStateError(f"call {type(self).__name__}.adapt_search_space first")
        (trial,) = self.ask(1)
        query, dataset = self.dataset_api.query, self.dataset
        self.tell(trial, [float(query(trial.code, metric, dataset, trial.fidelity)) for metric in self.metrics])

    def _reset(self) -> None:
        self._asked = {}


def _can_continue(evaluator: Any) -> bool:
    return bool(getattr(evaluator, "can_continue", False))
