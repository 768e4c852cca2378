"""ReportingOptimizer: what a search on codes says of what it has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.errors import OptimizerStateError
from naslib.hardware.limits import CostLimits
from naslib.history import Objective, Trial
from naslib.optimizers.core.metaclasses import MetaOptimizer, Statistics
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.meters import count_parameters_in_MB
from naslib.utils.seeding import rng_restore, rng_snapshot

from .record import SearchRecord


class ReportingOptimizer(MetaOptimizer):
    """Report the best architecture of a record: as a graph, and in numbers of a benchmark or of the evaluator.

    Attributes:
        record: Incumbent and trajectory.
        objectives: What the values of a trial are.
        evaluator: What gives trials their values; None or `"table"` for a benchmark.
        fidelity: Epochs of training that the search looks at.
        tasks: The data sets of a search of several, that of the run first; fewer than two for one alone.
    """

    TAKES_LIMITS = True
    # Says what is beyond `limits`; None without any
    judge: CostLimits | None = None
    tasks: tuple[str, ...] = ()
    record: SearchRecord
    objectives: Sequence[Objective]
    evaluator: Any
    fidelity: int
    # What the benchmark said last, and of which architecture
    _answers: dict[tuple[Metric, int, bool], tuple[Code, Any, str | None, float | None]]

    def _asks_the_benchmark(self) -> bool:
        return self.evaluator is None or self.evaluator == "table"

    def get_final_architecture(self) -> Graph:
        """Return the best architecture seen, as a discrete graph with fresh weights.

        Raises:
            OptimizerStateError: If nothing has been evaluated.
        """
        graph = self.graph.clone()
        graph.set_spec(self._code_to_report(report_incumbent=True))
        if graph.instantiate_model:
            graph.prepare_evaluation()
            graph.parse()
        return graph

    def _datasets(self, dataset: str | None) -> Sequence[str | None]:
        """Return the data sets on which architectures are evaluated, given that of the run."""
        return (dataset,)

    def _compares(self, trial: Trial) -> bool:
        """Return whether the values of a trial compare with those of the record."""
        return True

    def _lose(self, trial: Trial) -> None:
        """Take note, beside the record, of a trial that has failed or was stopped early."""

    def found_by_task(self) -> dict[str, dict[str, Any]] | None:
        """Return what a search of several tasks found for each: count, best, best_values, code; None for one task."""
        return None

    def found_by_device(self) -> dict[str, dict[str, Any]] | None:
        """Return what a search for several devices found for each: learned, members, reference_point and more; or None.

        `members` and whatever else is a list of dicts with a `code` are given genotypes in `summary.json`.
        """
        return None

    def undecided(self) -> str:
        """Return why the search decided nothing: all architectures that it evaluated have one value."""
        record = self.record
        if record.evaluations < 2 or record.lowest < record.incumbent_value:
            return ""
        return (
            f"all {record.evaluations} decisions are tied: every architecture evaluated has the value "
            f"{self.objectives[0].merit(record.incumbent_value):g}, so that the first one was taken"
        )

    def get_model_size(self) -> float:
        """Return the parameters of the best architecture in millions: as the benchmark says, or counted; 0 for none."""
        if self.record.incumbent is None or not self.is_adapted:
            return 0.0
        if self._asks_the_benchmark():
            return self._ask_benchmark(Metric.PARAMETERS) or 0.0
        random_state = rng_snapshot()
        size = count_parameters_in_MB(self.get_final_architecture())
        rng_restore(random_state)
        return size

    def train_statistics(self, report_incumbent: bool = True) -> Statistics:
        """Return the `(train_acc, valid_acc, test_acc, train_time)` of the architecture found so far.

        Those of a benchmark are queried: the test accuracy of the longest schedule, the others of the fidelity that the
        best architecture was evaluated at. An evaluator says the validation accuracy alone, where its first objective
        is one.

        Args:
            report_incumbent: Whether to report on the best architecture rather than on the latest.

        Raises:
            OptimizerStateError: If a benchmark is to be asked, and nothing has been evaluated.
        """
        if not self._asks_the_benchmark():
            first, value = self.objectives[0], self.record.incumbent_value
            is_accuracy = first.is_accuracy and self.record.incumbent is not None
            return (None, value if is_accuracy and report_incumbent else None, None, None)
        reached = self.record.incumbent_fidelity if report_incumbent else None
        fidelity = self.fidelity if reached is None else reached
        return (
            self._ask_benchmark(Metric.TRAIN_ACCURACY, fidelity, report_incumbent),
            self._ask_benchmark(Metric.VAL_ACCURACY, fidelity, report_incumbent),
            self._ask_benchmark(Metric.TEST_ACCURACY, -1, report_incumbent),
            self._ask_benchmark(Metric.TRAIN_TIME, fidelity, report_incumbent),
        )

    def test_statistics(self) -> float | None:
        """Return the queried test accuracy of the best architecture, None where no benchmark has one."""
        if not self._asks_the_benchmark():
            return None
        return self._ask_benchmark(Metric.TEST_ACCURACY)

    def _ask_benchmark(self, metric: Metric, epoch: int = -1, report_incumbent: bool = True) -> float | None:
        code = self._code_to_report(report_incumbent)
        key, api, dataset = (metric, epoch, report_incumbent), self.dataset_api, self.dataset
        known = self._answers.get(key)
        # an incumbent is asked about after every evaluation
        if known is not None and known[0] is code and known[1] is api and known[2] == dataset:
            return known[3]
        answer = float(api.query(code, metric, dataset, epoch)) if api.has(metric, dataset, epoch) else None
        self._answers[key] = code, api, dataset, answer
        return answer

    def _code_to_report(self, report_incumbent: bool) -> Code:
        code = self.record.incumbent if report_incumbent else self.record.latest
        if code is None:
            failed = self.record.failed
            why = f": all {failed} trials have failed; the last, {self.record.last_failure}" if failed else " yet"
            raise OptimizerStateError(f"{type(self).__name__} has not evaluated an architecture{why}")
        return code
