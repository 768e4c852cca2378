"""DiscreteOptimizer: ask for trials, tell their results - the template of the black-box searches."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, overload

from naslib.benchmarks.base import metric_of
from naslib.benchmarks.figure import Figure
from naslib.errors import BenchmarkApiMissing, ConfigError, OptimizerStateError
from naslib.history import Objective, State, Trial
from naslib.optimizers.core.costing import check_within, with_costs, within_limits
from naslib.optimizers.core.given_space import require_graph
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.core.random_state import RandomState as RandomState
from naslib.search_spaces.core.codec import Code, Codec, as_random
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.known_codec import within
from naslib.search_spaces.core.query_metrics import Metric, as_dataset_api

from .given import accuracy_named, check_asked, codec_of, known_codes, objective_of, with_result
from .parts import EarlyTermination, build_trial_parts
from .proposal import Proposal as Proposal
from .record import SearchRecord as SearchRecord
from .reporting import ReportingOptimizer


class DiscreteOptimizer(ReportingOptimizer):
    """Search on codes, without a module: `ask` says what to evaluate next, `tell` takes the values.

    Both have two forms. `ask()` returns a code, and `tell(code, value)` its value, larger being better: for loops of
    one's own. `ask(n)` returns up to n trials, and `tell(trial, values)` takes one value per objective; trials have
    numbers, may be told in any order, and may fail. `new_epoch` does both for one architecture.

    The randomness is a generator of the optimizer's own, seeded from numpy's global one when the space is adapted.

    Args:
        fidelity: Epochs of training that the search looks at, -1 for the longest that a benchmark has.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead of `metric`: names of metrics, or of scores of the evaluator. The first
            decides, in its own direction; the others are kept with the trials.
        evaluator: What gives the trials their values: a name, for the Trainer to build it, or an object with
            `objectives` and `evaluate(trial)` (see `naslib.evaluators`). A benchmark if None.
        parts: Keywords by the names of parts; there is `early_termination`.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        record: Incumbent and trajectory.
        rng: The generator.
        objectives: What the values of a trial are; the evaluator's, once there is one.
        termination: What lets trials stop early, None for nothing.

    Raises:
        ConfigError: For an unknown keyword, or a metric that is no accuracy.
    """

    using_step_function = False
    IS_ASYNCHRONOUS = False  # whether a result is of use before earlier ones: on Ray it is then told as it comes
    is_told_by_arrival = False  # set by a search that tells results as they come: no worker is to wait
    # Whether the method weighs all objectives, and so learns nothing of a trial of which one alone is predicted
    weighs_all = False

    def __init__(
        self,
        *,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        parts: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fidelity = fidelity
        self.termination: EarlyTermination | None = build_trial_parts(parts)
        self.metric = accuracy_named(metric)
        self.objective_names = None if objectives is None else [getattr(o, "name", str(o)) for o in objectives]
        self.evaluator = evaluator
        self.objectives: tuple[Objective, ...] = (objective_of(self.metric),)
        self.metrics: tuple[Metric | Figure, ...] = (self.metric,)
        self._metric: Metric | Figure | None = None  # what `new_epoch` asks a benchmark for
        self._minimizes, self.record, self._answers, self.rng = False, SearchRecord(), {}, random.Random()
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
    def propose(self) -> tuple[Code, int | None] | Proposal | None:
        """Return the architecture to evaluate next, and the number of the trial that is its parent.

        Returns:
            A `Proposal` where the method says for how long the architecture is trained; None while the method has
            nothing to ask for until it is told more, never if nothing is pending.
        """

    def _hand_out(self, code: Code) -> None:
        """Take note that a code is asked for alone, without a trial."""

    @overload
    def ask(self) -> Code: ...

    @overload
    def ask(self, n: int) -> list[Trial]: ...

    def ask(self, n: int | None = None) -> Code | list[Trial]:
        """Return what to evaluate next.

        Args:
            n: How many trials at most; None for one code, which `tell(code, value)` goes with.

        Returns:
            The code; or the trials, fewer than n where the method waits for results.

        Raises:
            ConfigError: If n is below one.
            OptimizerStateError: Before `adapt_search_space`, or if a code alone is asked for while the method waits.
        """
        if n is None:
            proposal = self.propose()
            if proposal is None:
                raise OptimizerStateError(f"{type(self).__name__} waits for the trials that are pending: tell them")
            check_within(self, proposal[0])
            self._hand_out(proposal[0])
            return proposal[0]
        if n < 1:
            raise ConfigError(f"ask(n) returns at least one trial; n is {n}")
        trials, record = list[Trial](), self.record
        while len(trials) < n and (proposal := self.propose()) is not None:
            proposal = proposal if isinstance(proposal, Proposal) else Proposal(*proposal)
            trial = proposal.trial(record.asked, self.fidelity)
            check_within(self, trial.code)
            if self.termination is not None:
                trial = self.termination.watched(trial, self.objectives[0], self._share_to_beat(trial))
            record.asked += 1
            record.pending[trial.number] = trial
            trials.append(trial)
        return trials

    def tell(
        self,
        what: Trial | Code,
        values: float | Sequence[float] | None = None,
        *,
        seconds: float = 0.0,
        user: Mapping[str, Any] | None = None,
        state: State = State.COMPLETE,
    ) -> Trial | None:
        """Take the result of a trial, or the value of a code.

        Args:
            what: A trial that `ask(n)` returned, or a code.
            values: One value per objective, in their order and directions; of a code its one value, larger is better.
                None: what the trial itself holds, which has failed if it holds none.
            seconds: What the evaluation took.
            user: What else to keep with the trial.
            state: COMPLETE, PRUNED for values of a trial that was stopped early, or FAILED. Only complete trials
                decide anything; so does a value that is not finite: its trial has failed.

        Returns:
            The trial as it is now; None for a code.

        Raises:
            OptimizerStateError: If the trial is not pending (told already, or of another search), or its architecture
                or task is another one than was asked for.
            ConfigError: If there is not one value per objective; for a code, where the method weighs several.
        """
        if not isinstance(what, Trial):
            self._tell_code(what, values)
            return None
        check_asked(self.record.pending.get(what.number), what)
        trial = with_result(what, values, seconds, user, state)
        if trial.values is not None and len(trial.values) != len(self.objectives):
            names = ", ".join(objective.name for objective in self.objectives)
            raise ConfigError(f"trial {trial.number} has {len(trial.values)} values; the objectives are {names}")
        del self.record.pending[trial.number]
        self.record.seconds += trial.seconds
        self.record.epochs += trial.epochs
        if trial.state is State.COMPLETE and trial.values:
            merits = tuple(o.merit(value) for o, value in zip(self.objectives, trial.values, strict=True))
            self._take(trial, merits[0])
            if len(merits) > 1 and self._compares(trial):
                self.record.add_to_front(trial, merits)
        else:
            self.record.add_without_value(trial)
            self._lose(trial)
            # of a stopped trial the first objective alone is predicted
            has_all = len(self.objectives) == 1 or not self.weighs_all
            if trial.state is State.PRUNED and has_all and "predicted" in trial.user:
                self._learn(trial.code, self.objectives[0].merit(float(trial.user["predicted"])), trial.number)
        if self.termination is not None:
            self.termination.observe(trial)
        return trial

    def _share_to_beat(self, trial: Trial) -> float | None:
        """Return which share of the others a trial must be in lest it be stopped early; None for the best one alone."""
        return None

    def _take(self, trial: Trial, merit: float) -> None:
        """Take note of a complete trial; larger merits are better."""
        if self._compares(trial):
            self.record.add_trial(trial, merit)
        else:
            self.record.evaluations += 1
        pairs = zip(self.objectives, trial.values or (), strict=True)
        self._learn_all(trial.code, tuple(objective.merit(value) for objective, value in pairs), trial.number)

    def _tell_code(self, code: Code, value: Any) -> None:
        if value is None or not math.isfinite(value):
            self.record.add_failed(f"{code} was told the value {value}")
            return
        if self.weighs_all and len(self.objectives) > 1:
            raise ConfigError(
                f"{type(self).__name__} weighs {len(self.objectives)} objectives: ask(n), tell its trials"
            )
        self.record.add(code, value)
        self._learn(code, value, None)

    def pending(self) -> list[Trial]:
        """Return the trials that were asked for and not told yet, in the order of their numbers."""
        found = [self.record.pending[number] for number in sorted(self.record.pending)]
        if self.termination is None:
            return found
        # those of a checkpoint lack their rule
        return [self.termination.watched(trial, self.objectives[0], self._share_to_beat(trial)) for trial in found]

    def recall(self, trials: Iterable[Trial]) -> None:
        """Take the trials that a killed search had begun after its checkpoint, before they are asked for again."""

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        """Update what the method keeps beside the record; larger merits are better."""

    def _learn_all(self, code: Code, merits: tuple[float, ...], number: int | None) -> None:
        """Do so knowing the merits of all objectives; a method for one looks at the first."""
        self._learn(code, merits[0], number)

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
            search_space: A space with a codec, or one that has decisions.
            dataset: Name of the data set in the benchmark; that of the optimizer's config if None.
            scope: Kept; codes cover the whole space.
            dataset_api: The benchmark that evaluates architectures, where no evaluator does.
            **kwargs: `evaluator` replaces that of the constructor; others are accepted for callers of NASLib.

        Raises:
            GraphError: If it is no search space.
            UnsupportedBySpaceError: If the space has nothing to decide.
            BenchmarkApiMissing: Without `dataset_api` and without an evaluator.
            BenchmarkError: If the benchmark lacks a metric on this data set at this fidelity.
        """
        require_graph(search_space)
        name = type(self).__name__
        dataset = dataset if dataset is not None else self.dataset
        codec = codec_of(search_space, name)
        self.evaluator, self._metric = kwargs.get("evaluator", self.evaluator), None
        dataset_api = as_dataset_api(dataset_api)
        if self._asks_the_benchmark():
            if dataset_api is None:
                raise BenchmarkApiMissing(
                    f"{name} evaluates architectures in a benchmark, or by an evaluator such as search.evaluator=train:"
                    " give adapt_search_space a dataset_api, such as "
                    f"naslib.utils.get_dataset_api({search_space.get_type()!r}, {dataset!r})"
                )
            dataset_api = with_costs(self, search_space, dataset_api, dataset)
            known = known_codes(dataset_api, self._metrics_in(dataset_api), self._datasets(dataset), self.fidelity)
            codec = within(codec, known)
            self._take_metrics(codec, dataset_api, dataset)
        elif not isinstance(self.evaluator, str):
            self.use_evaluator(self.evaluator)
        codec = within_limits(self, codec, search_space, dataset_api, dataset)
        self.graph = search_space.clone()
        self.scope = scope if scope is not None else search_space.OPTIMIZER_SCOPE
        self.dataset, self.dataset_api = dataset, dataset_api
        self._codec = codec
        self.record, self._answers, self.rng = SearchRecord(), {}, as_random(None)
        self._reset()
        if self.termination is not None:
            self.termination.begin(codec, self.fidelity if self._asks_the_benchmark() else -1)
        self.adapted()

    def _take_metrics(self, codec: Codec, dataset_api: Any, dataset: str | None) -> None:
        """Settle what the benchmark is asked for, and raise if it does not answer."""
        self.metrics = self._metrics_in(dataset_api)
        self.objectives = tuple(objective_of(metric) for metric in self.metrics)
        probe = codec.random(random.Random(0))
        self._minimizes = not self.objectives[0].maximize
        self._metric = self.metrics[0] if len(self.metrics) == 1 else None
        for name, metric in product(self._datasets(dataset), self.metrics):
            dataset_api.query(probe, metric, name, epoch=self.fidelity)
        if self.termination is not None:
            if not getattr(dataset_api, "is_one_training", False):
                raise ConfigError("search.parts.early_termination looks at learning curves, and this table has none")
            curve = dataset_api.query(probe, self.metrics[0], dataset, epoch=self.fidelity, full_lc=True)
            self.termination.check(len(curve))
            self._metric = None  # `new_epoch` alone does not stop anything

    def _metrics_in(self, dataset_api: Any) -> tuple[Metric | Figure, ...]:
        """Return what a benchmark is asked for."""
        names = self.objective_names
        return (self.metric,) if not names else tuple(metric_of(dataset_api, name) for name in names)

    def use_evaluator(self, evaluator: Any) -> None:
        """Take the objectives of an evaluator, and the fidelity that it evaluates at where it has one.

        Args:
            evaluator: Has `objectives` and `evaluate(trial)`.
        """
        self.check_evaluator(evaluator)
        self.evaluator, self._metric = evaluator, None
        self.objectives = tuple(evaluator.objectives)
        fidelity = getattr(evaluator, "fidelity", None)
        self.fidelity = self.fidelity if fidelity is None else int(fidelity)

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search; nothing is changed.

        Raises:
            ConfigError: If trials are to stop early, and it has no learning curves, or shorter ones than are looked at.
        """
        if self.termination is not None:
            self.termination.check_evaluator(evaluator, self.fidelity)

    def new_epoch(self, epoch: int) -> None:
        """Evaluate one architecture.

        Raises:
            OptimizerStateError: If the evaluator is a name that nobody has built yet.
        """
        if self._metric is None:  # as little is asked here as may be: this is the loop of a search on a table
            self._evaluate_trial()
            return
        proposal = self.propose()
        if proposal is None:
            raise OptimizerStateError(f"{type(self).__name__} waits for the trials that are pending: tell them")
        code = proposal[0]
        check_within(self, code)
        value = self.dataset_api.query(code, self._metric, self.dataset, self.fidelity)
        if self._minimizes:
            value = -value
        record = self.record
        number = record.asked
        record.asked = number + 1
        if value - value:  # NaN or infinite
            why = f"a value is not finite ({value})"
            record.add_failed(f"trial {number}: {why}")
            self._lose(Trial(number, code, self.fidelity, state=State.FAILED, user={"error": why}))
            return
        record.add(code, value)
        self._learn(code, value, number)

    def _evaluate_trial(self) -> None:
        by_table = self._asks_the_benchmark() and self.is_adapted and self.termination is None
        if not by_table and (self.evaluator is None or isinstance(self.evaluator, str)):
            raise OptimizerStateError(
                f"the evaluator {self.evaluator!r} is built by Trainer.search(); in a loop of your own give "
                "adapt_search_space(..., evaluator=...) one of naslib.evaluators"
            )
        trials = self.ask(1)
        if not trials:
            raise OptimizerStateError(f"{type(self).__name__} waits for the trials that are pending: tell them")
        trial = trials[0]
        if by_table:
            query, name = self.dataset_api.query, trial.task or self.dataset
            self.tell(trial, [float(query(trial.code, metric, name, trial.fidelity)) for metric in self.metrics])
            return
        outcome = self.evaluator.evaluate(trial)
        self.tell(trial, outcome.values, seconds=outcome.seconds, user=outcome.user, state=outcome.state)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name: the record as `"model"`, and the random state."""
        found: dict[str, Stateful] = {"model": self.record, "rng": RandomState(self.rng)}
        if self.termination is not None:
            found["early_termination"] = self.termination
        return found
