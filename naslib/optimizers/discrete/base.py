"""DiscreteOptimizer: ask for a code, tell its result - the template of the black-box searches."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from naslib.benchmarks.base import as_metric
from naslib.errors import (
    BenchmarkApiMissing,
    ConfigError,
    OptimizerStateError,
    UnsupportedBySpaceError,
)
from naslib.optimizers.core.metaclasses import MetaOptimizer, Stateful, Statistics
from naslib.optimizers.core.random_state import RandomState as RandomState
from naslib.search_spaces.core.codec import Code, Codec, as_random
from naslib.search_spaces.core.query_metrics import Metric, as_dataset_api

if TYPE_CHECKING:
    from naslib.search_spaces.core.graph import Graph, Scope

_OBJECTIVES = (Metric.TRAIN_ACCURACY, Metric.VAL_ACCURACY, Metric.TEST_ACCURACY)


class SearchRecord:
    """What a search has seen, in a size that grows only when the incumbent changes.

    Attributes:
        evaluations: Number of architectures told.
        latest: The architecture told last.
        incumbent: The best one so far; of equals the first.
        incumbent_value: Its value.
        lowest: The smallest value so far.
        trajectory: `(evaluations, value, code)` at every change of the incumbent.
    """

    def __init__(self) -> None:
        self.evaluations = 0
        self.latest: Code | None = None
        self.incumbent: Code | None = None
        self.incumbent_value = float("-inf")
        self.lowest = float("inf")
        self.trajectory: list[tuple[int, float, Code]] = []

    def add(self, code: Code, value: float) -> None:
        """Take note of an evaluated architecture."""
        self.evaluations += 1
        self.latest = code
        if value < self.lowest:
            self.lowest = value
        if value > self.incumbent_value:
            self.incumbent, self.incumbent_value = code, value
            self.trajectory.append((self.evaluations, value, code))

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "evaluations": self.evaluations,
            "latest": None if self.latest is None else list(self.latest),
            "lowest": self.lowest,
            "trajectory": [[n, value, list(code)] for n, value, code in self.trajectory],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        latest = state_dict["latest"]
        self.evaluations = int(state_dict["evaluations"])
        self.lowest = float(state_dict.get("lowest", float("-inf")))  # of an older checkpoint it is not known
        self.latest = None if latest is None else tuple(latest)
        self.trajectory = [(int(n), float(value), tuple(code)) for n, value, code in state_dict["trajectory"]]
        _, self.incumbent_value, self.incumbent = self.trajectory[-1] if self.trajectory else (0, float("-inf"), None)


class DiscreteOptimizer(MetaOptimizer):
    """Search on codes: every epoch evaluates one architecture in a benchmark, and no module is built before the end.

    The randomness is a generator of the optimizer's own, seeded from numpy's global one when the space is adapted.

    Args:
        fidelity: Epochs of the benchmark's training schedule that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        record: Incumbent and trajectory.
        rng: The generator.

    Raises:
        ConfigError: For an unknown keyword, or a metric that is no accuracy.
    """

    using_step_function = False

    def __init__(self, *, fidelity: int = 200, metric: Metric | str = Metric.VAL_ACCURACY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fidelity = fidelity
        self.metric = as_metric(metric)
        if self.metric not in _OBJECTIVES:
            raise ConfigError(f"a search maximises one of {', '.join(m.name for m in _OBJECTIVES)}, not {metric!r}")
        self.record = SearchRecord()
        self.rng = random.Random()
        self._codec: Codec | None = None

    @property
    def codec(self) -> Codec:
        """The codec of the adapted space.

        Raises:
            OptimizerStateError: Before `adapt_search_space`.
        """
        if self._codec is None:
            raise OptimizerStateError(f"call {type(self).__name__}.adapt_search_space first")
        return self._codec

    @abstractmethod
    def ask(self) -> Code:
        """Return the architecture to evaluate next."""

    def tell(self, code: Code, value: float) -> None:
        """Take note of the value of an architecture; larger is better."""
        self.record.add(code, value)
        self._learn(code, value)

    def _learn(self, code: Code, value: float) -> None:
        """Update what the method keeps beside the record."""

    def _reset(self) -> None:
        """Forget what the method keeps beside the record."""

    def adapt_search_space(
        self,
        search_space: Graph,
        dataset: str | None = None,
        scope: Scope = None,
        dataset_api: Any = None,
        **kwargs: Any,
    ) -> None:
        """Begin a search on the codes of a space; the space itself is not changed.

        Args:
            search_space: A space with a codec.
            dataset: Name of the data set in the benchmark; that of the optimizer's config if None.
            scope: Kept; codes cover the whole space.
            dataset_api: The benchmark that evaluates architectures.
            **kwargs: Accepted for callers of NASLib.

        Raises:
            UnsupportedBySpaceError: If the space has no codec.
            BenchmarkApiMissing: Without `dataset_api`.
            BenchmarkError: If the benchmark lacks the metric on this data set at this fidelity.
        """
        name = type(self).__name__
        dataset = dataset if dataset is not None else self.dataset
        if search_space.codec is None:
            raise UnsupportedBySpaceError(f"{name} searches on codes, and {type(search_space).__name__} has no codec")
        if dataset_api is None:
            raise BenchmarkApiMissing(
                f"{name} evaluates architectures in a benchmark: give adapt_search_space a dataset_api, such as "
                f"naslib.utils.get_dataset_api({search_space.get_type()!r}, {dataset!r})"
            )
        codec = search_space.codec
        dataset_api = as_dataset_api(dataset_api)
        dataset_api.query(
            codec.random(random.Random(0)), self.metric, dataset, epoch=self.fidelity
        )  # raises, or answers
        self.graph = search_space.clone()
        self.scope = scope if scope is not None else search_space.OPTIMIZER_SCOPE
        self.dataset, self.dataset_api = dataset, dataset_api
        self._codec = codec
        self.record = SearchRecord()
        self.rng = as_random(None)
        self._reset()
        self.adapted()

    def new_epoch(self, epoch: int) -> None:
        """Evaluate one architecture."""
        code = self.ask()
        self.tell(code, self.dataset_api.query(code, self.metric, self.dataset, self.fidelity))

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

    def undecided(self) -> str:
        """Return why the search decided nothing: all architectures that it evaluated have one value."""
        record = self.record
        if record.evaluations < 2 or record.lowest < record.incumbent_value:
            return ""
        return (
            f"all {record.evaluations} decisions are tied: every architecture evaluated has the value "
            f"{record.incumbent_value:g}, so that the first one was taken"
        )

    def get_model_size(self) -> float:
        """Return the parameters of the best architecture in millions as the benchmark says; 0 where it does not."""
        return (self._ask_benchmark(Metric.PARAMETERS) if self.record.incumbent is not None else None) or 0.0

    def train_statistics(self, report_incumbent: bool = True) -> Statistics:
        """Return the queried `(train_acc, valid_acc, test_acc, train_time)` of the architecture found so far.

        The test accuracy is that of the longest schedule, the others belong to the fidelity of the search.

        Args:
            report_incumbent: Whether to report on the best architecture rather than on the latest.

        Raises:
            OptimizerStateError: If nothing has been evaluated.
        """
        return (
            self._ask_benchmark(Metric.TRAIN_ACCURACY, self.fidelity, report_incumbent),
            self._ask_benchmark(Metric.VAL_ACCURACY, self.fidelity, report_incumbent),
            self._ask_benchmark(Metric.TEST_ACCURACY, -1, report_incumbent),
            self._ask_benchmark(Metric.TRAIN_TIME, self.fidelity, report_incumbent),
        )

    def test_statistics(self) -> float | None:
        """Return the queried test accuracy of the best architecture, None where the benchmark has none."""
        return self._ask_benchmark(Metric.TEST_ACCURACY)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name: the record as `"model"`, and the random state."""
        return {"model": self.record, "rng": RandomState(self.rng)}

    def _ask_benchmark(self, metric: Metric, epoch: int = -1, report_incumbent: bool = True) -> float | None:
        code = self._code_to_report(report_incumbent)
        if not self.dataset_api.has(metric, self.dataset, epoch):
            return None
        return float(self.dataset_api.query(code, metric, self.dataset, epoch))

    def _code_to_report(self, report_incumbent: bool) -> Code:
        code = self.record.incumbent if report_incumbent else self.record.latest
        if code is None:
            raise OptimizerStateError(f"{type(self).__name__} has not evaluated an architecture yet")
        return code
