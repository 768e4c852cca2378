"""TableEvaluator: values from a benchmark, and its simulated clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.benchmarks.base import metric_of
from naslib.benchmarks.figure import Figure
from naslib.errors import BenchmarkError, ConfigError
from naslib.hardware.benchmark import CostBenchmark
from naslib.history import Objective, Outcome, State, Trial
from naslib.search_spaces.core.query_metrics import Metric, as_dataset_api

from .base import Evaluator, ShouldStop, never


class TableEvaluator(Evaluator):
    """Ask a benchmark.

    The seconds of a trial are those that its training took when the table was made; 0 for all trials if they are not
    known of every architecture that has the first metric.

    Args:
        dataset_api: The benchmark.
        dataset: Name of the data set in it.
        metrics: What to ask for (`Metric` or names); the first decides.
        fidelity: Epochs of training at which it is asked, -1 for the longest.

    Raises:
        ConfigError: If no metric is named.
        BenchmarkError: For an unknown metric, or something that is no benchmark.
    """

    def __init__(
        self,
        dataset_api: Any,
        dataset: str | None,
        metrics: Sequence[Metric | Figure | str] = (Metric.VAL_ACCURACY,),
        fidelity: int = -1,
    ) -> None:
        if not metrics:
            raise ConfigError("a table is asked for at least one metric")
        self.dataset_api, self.dataset, self.fidelity = as_dataset_api(dataset_api), dataset, fidelity
        self.metrics = tuple(metric_of(self.dataset_api, metric) for metric in metrics)
        self.objectives = tuple(Objective(m.name, m.maximize, m.unit) for m in self.metrics)
        self.can_continue = self.has_curves = bool(getattr(self.dataset_api, "is_one_training", False))
        self.tells_time = self._tells_time()
        self._costs = self.dataset_api.costs if isinstance(self.dataset_api, CostBenchmark) else None
        # what is measured for a trial is kept for a search that goes on
        self.is_instant = self._costs is None or all(cost.is_known for cost in self._costs.by_name.values())

    def _tells_time(self) -> bool:
        """Say whether the seconds of training are known of every architecture that has the first metric."""
        has, known = (getattr(self.dataset_api, name, None) for name in ("has", "known_codes"))
        if has is None:
            return False
        is_there = bool(has(Metric.TRAIN_TIME, self.dataset, self.fidelity))
        if known is None:
            return is_there
        try:
            of_time = known(Metric.TRAIN_TIME, self.dataset, self.fidelity)
            asked = known(self.metrics[0], self.dataset, self.fidelity)
        except BenchmarkError:
            return False
        if of_time is None:
            return is_there
        return asked is not None and set(asked) <= set(of_time)

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Return what the table says.

        Raises:
            BenchmarkError: If it says nothing; so it does for every trial.
        """
        if trial.stopping is not None or trial.from_epoch:
            return self._along_the_curve(trial)
        query, code, epochs = self.dataset_api.query, trial.code, trial.fidelity
        values = tuple(float(query(code, metric, self.dataset, epochs)) for metric in self.metrics)
        seconds = float(query(code, Metric.TRAIN_TIME, self.dataset, epochs)) if self.tells_time else 0.0
        return Outcome(values, seconds, {} if self._costs is None else self._costs.user())

    def _along_the_curve(self, trial: Trial) -> Outcome:
        """Return what the table says of a trial that continues another one, or may be stopped early."""
        query, code, reached = self.dataset_api.query, trial.code, trial.fidelity
        user: dict[str, Any] = {}
        state = State.COMPLETE
        if trial.stopping is not None:
            curve = [float(value) for value in query(code, self.metrics[0], self.dataset, reached, True)]
            for epoch in range(trial.from_epoch + 1, len(curve)):
                why = trial.stopping(curve[:epoch])
                if why is not None:
                    state, reached, user = State.PRUNED, epoch, {**why, "epochs": epoch}
                    break
            else:
                reached = len(curve)
            user["curve"] = curve[:reached]
        at = trial.fidelity if state is State.COMPLETE else reached
        values = tuple(float(query(code, metric, self.dataset, at)) for metric in self.metrics)
        seconds = self._seconds(code, at) - (self._seconds(code, trial.from_epoch) if trial.from_epoch else 0.0)
        return Outcome(values, seconds, user, state)

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator; where costs come from is part of it."""
        return {**super().describe(), **({} if self._costs is None else {"costs": self._costs.describe()})}

    def _seconds(self, code: Any, epochs: int) -> float:
        return float(self.dataset_api.query(code, Metric.TRAIN_TIME, self.dataset, epochs)) if self.tells_time else 0.0
