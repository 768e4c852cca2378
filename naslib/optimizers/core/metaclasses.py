"""MetaOptimizer: what every architecture optimizer is to the Trainer and to the user."""

from __future__ import annotations

import inspect
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from naslib.config.attribute_schedules import schedules_in
from naslib.config.method_defaults import search_section
from naslib.config.schema import SEARCH_KEYS
from naslib.errors import ConfigError, OptimizerStateError, did_you_mean
from naslib.registry.signatures import keywords_through, signatures
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.query_metrics import Metric
from naslib.tasks import Classification, Task
from naslib.utils.meters import count_parameters_in_MB

from .costing import settle_costs
from .following import make_following, merged, parts_of, reason_against

# What `Task.to_device` returns: inputs and targets, unless a task of your own says otherwise
Batch = Any
StepResult = tuple[Tensor, Tensor, Tensor, Tensor]
Statistics = tuple[float | None, float | None, float | None, float | None]


class Stateful(Protocol):
    """Anything that a checkpoint can hold: its state is made of tensors and plain Python values."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take over the state."""


class _OptimizerType(ABCMeta):
    """Accept `Opt(config)` beside `Opt(**config.search)`: the one place where a config is unpacked for an optimizer.

    Keywords may be schedules in place of numbers (`following`).
    """

    @property
    def __signature__(cls) -> inspect.Signature:
        """What a caller passes, in place of the two forms below."""
        parameters = list(inspect.signature(cls.__init__).parameters.values())  # type: ignore[misc]
        return inspect.Signature(parameters[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not (args and isinstance(args[0], Mapping) and "search" in args[0]):
            return make_following(cls, args, kwargs) if schedules_in(kwargs) else super().__call__(*args, **kwargs)
        config, *rest = args
        optimizer = cls(*rest, **{**search_section(config, accepted_keywords(cls)), **kwargs})
        optimizer.dataset = config.get("dataset")
        return optimizer


class MetaOptimizer(metaclass=_OptimizerType):
    """Base of all architecture optimizers.

    Args:
        **kwargs: Keys of the shared search schema that the optimizer does not use; they are ignored.

    Attributes:
        using_step_function: Whether the Trainer feeds batches to `step`; otherwise each epoch evaluates by itself.
        search_space: The space as it was given, where the optimizer keeps it; None before.
        scope: The scopes that were adapted.
        task: What learning means (see `use_task`).
        hardware: Where latencies and energies come from (`search.hardware`).
        limits: Upper bounds by the names of costs (`search.limits`).
        input_shape: Returns the shape of one input, without the batch, for costs that depend on it; the Trainer's.
        data: Folder of the tables; the Trainer's.
        given_task: The task that the optimizer was made with, None where none was given.
        dataset: Name of the data set: the config's, where the optimizer was made from one, until `adapt_search_space`
            is told another.

    Raises:
        ConfigError: For a keyword that is neither the optimizer's own nor in the shared schema.
    """

    using_step_function = True
    # Whether the search network itself is what is found: it is tested as it is, unless a config asks for more
    is_outcome = False
    # Whether the method can leave out architectures beyond `search.limits`
    TAKES_LIMITS: ClassVar[bool] = False
    # Name of the one space that the method takes; "" for any
    OWN_SPACE: ClassVar[str] = ""
    hardware: dict[str, Any]
    limits: dict[str, float]
    network_args: Mapping[str, Any] | None
    search_space: Graph | None = None
    scope: Scope = None
    _graph: Graph | None = None
    # Keywords that can follow a schedule, each with "", and those that cannot with the reason; the parents' count, too
    SCHEDULABLE: ClassVar[Mapping[str, str]] = {}
    # Where else a keyword stands: what holds it, and its name there, or in the groups of a torch optimizer
    HELD_BY: ClassVar[Mapping[str, tuple[str, str]]] = {}
    # Of which groups of that torch optimizer, where not of all: the others have values of their own
    IN_GROUPS: ClassVar[Mapping[str, slice]] = {}

    def __init__(self, **kwargs: Any) -> None:
        own = accepted_keywords(type(self))
        unknown = [key for key in kwargs if key not in SEARCH_KEYS]
        if unknown:
            known = [*own, *sorted(SEARCH_KEYS)]
            name = type(self).__name__
            raise ConfigError([f"{name} has no keyword {key!r}{did_you_mean(key, known)}" for key in unknown])
        settle_costs(self, kwargs)
        self.input_shape: Callable[[], Sequence[int]] | None = None
        self.data: str | None = None
        self.dataset: str | None = None
        self.dataset_api: Any = None
        self.given_task: Task | None = None
        self.task: Task = Classification()
        self.device = torch.device("cpu")

    @property
    def graph(self) -> Graph:
        """The adapted search space.

        Raises:
            OptimizerStateError: Before `adapt_search_space`.
        """
        if self._graph is None:
            raise self._not_adapted()
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def space(self) -> Graph | None:
        """The space as it was given; the adapted one where the optimizer does not keep that; None before."""
        return self._graph if self.search_space is None else self.search_space

    @property
    def is_adapted(self) -> bool:
        """Whether there is a `graph`."""
        return self._graph is not None

    def _not_adapted(self) -> OptimizerStateError:
        return OptimizerStateError(f"call {type(self).__name__}.adapt_search_space(search_space) first")

    def _require_adapted(self) -> None:
        if self._graph is None:
            raise self._not_adapted()

    @abstractmethod
    def adapt_search_space(
        self,
        search_space: Graph,
        dataset: str | None = None,
        scope: Scope = None,
        dataset_api: Any = None,
        **kwargs: Any,
    ) -> None:
        """Prepare a clone of the search space for the search; the space itself is not changed.

        Args:
            search_space: The space.
            dataset: Name of the data set, for benchmark queries; that of the optimizer's config if None.
            scope: Which graphs to adapt; the space's `OPTIMIZER_SCOPE` if None.
            dataset_api: A benchmark, for optimizers or statistics that query one.
            **kwargs: Accepted for callers of NASLib.
        """

    def adapted(self) -> None:
        """Do what a method does once a space was adapted: the last thing that `adapt_search_space` calls.

        Everything is in place by then, the optimizers of weights and architecture parameters included.
        """

    @abstractmethod
    def get_final_architecture(self) -> Graph:
        """Return the architecture found, as a discrete graph; the search state is not changed."""

    @abstractmethod
    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; `"model"` is among the names."""

    @property
    def given_loss(self) -> Any:
        """The loss that the optimizer was made with, None where nobody chose one."""
        return None

    def use_task(self, task: Task) -> None:
        """Search for what does a task best.

        Args:
            task: The task, with its loss.
        """
        self.task = task

    def check_task(self, task: Task) -> None:
        """Raise now if the method cannot search for what does a task best; asked before a run has a folder.

        Args:
            task: The task.
        """

    def check_device(self, device: torch.device) -> None:
        """Raise now if the method cannot search on a device as it is asked to; asked before a run has a folder.

        Args:
            device: Where it will run.
        """

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule, "" where it can.

        A method that reads a keyword under some options alone overrides this.

        Args:
            name: The keyword.
        """
        reason = reason_against(type(self), name)
        changed_by = [of for of, part in parts_of(self).items() if name in part.changes]
        if changed_by:
            return f"the part {changed_by[0]} changes it"
        held_by = merged(type(self), "HELD_BY").get(name)
        if reason or held_by is None or not self.is_adapted:
            return reason
        holder, key = getattr(self, held_by[0], None), held_by[1]
        if holder is None:
            return "nothing is trained that it is of"
        groups = getattr(holder, "param_groups", [{key: None}])
        return "" if any(key in group for group in groups) else f"{type(holder).__name__} has no {key}"

    def follow(self, name: str, value: float) -> None:
        """Set a keyword to the value that its schedule has now.

        Args:
            name: The keyword, one of `SCHEDULABLE`.
            value: Its value; an integer where the keyword is one.
        """
        setattr(self, name, value)
        place, key = merged(type(self), "HELD_BY").get(name, ("", ""))
        holder = getattr(self, place, None) if place else None
        if not isinstance(holder, torch.optim.Optimizer):
            if holder is not None and not isinstance(holder, str | type):  # before a space is adapted, a name
                setattr(holder, key, value)
            return
        for group in holder.param_groups[merged(type(self), "IN_GROUPS").get(name, slice(None))]:
            if key in group:
                group[key] = value

    def expect_steps(self, per_epoch: int | None) -> None:
        """Take note of how many steps an epoch has, None where nobody knows; before the first of them.

        Raises:
            ConfigError: If a schedule needs to know.
        """

    def probe(self, data: Batch) -> Any:
        """Return the outputs of the search network on a batch, changing nothing; None where it has none to show.

        The Trainer compares them with the targets before the first step.
        """
        return None

    def before_training(self) -> None:
        """Prepare for the first epoch (move what is trained to `device`)."""

    def new_epoch(self, epoch: int) -> None:
        """Begin epoch `epoch` (from 0)."""

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update architecture and weights once.

        Args:
            data_train: Inputs and targets for the weights.
            data_val: Inputs and targets for the architecture.

        Returns:
            Detached `(logits_train, logits_val, train_loss, val_loss)`.
        """
        raise NotImplementedError(f"{type(self).__name__} searches without batches")

    def build_scheduler(self, learning_rate_min: float) -> Any:
        """Return the learning-rate schedule of the weights, stepped after each epoch; None leaves it to the Trainer.

        Args:
            learning_rate_min: The smallest rate.
        """
        return None

    @property
    def is_finished(self) -> bool:
        """Whether the search should end after the current epoch, before the epochs it was given are over."""
        return False

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Choose the architecture after the last epoch, where the method has a phase for that; the weights are kept.

        Args:
            train_batches: One pass over the training batches; may be iterated again.
            valid_batches: One pass over the validation batches; may be iterated again.
        """

    def undecided(self) -> str:
        """Return why the search decided nothing, so that its architecture means nothing; "" where it did."""
        return ""

    def after_training(self) -> None:
        """Finish after the last epoch."""

    def get_op_optimizer(self) -> type:
        """Return the class of the optimizer of the operation weights."""
        raise NotImplementedError(f"{type(self).__name__} trains no operation weights")

    def get_model_size(self) -> float:
        """Return the number of parameters of the search network in millions, architecture parameters not counted."""
        return count_parameters_in_MB(self.graph) if self.is_adapted else 0.0

    def train_statistics(self, report_incumbent: bool = True) -> Statistics:
        """Return the queried `(train_acc, valid_acc, test_acc, train_time)` of the architecture found so far.

        Args:
            report_incumbent: Whether to report on the best architecture rather than on the latest.

        Returns:
            None for what there is no benchmark for, or what its table lacks.
        """
        metrics = (Metric.TRAIN_ACCURACY, Metric.VAL_ACCURACY, Metric.TEST_ACCURACY, Metric.TRAIN_TIME)
        if not self._is_queryable():
            return (None, None, None, None)
        architecture = self.get_final_architecture()
        train, valid, test, seconds = (self._query_or_none(architecture, metric) for metric in metrics)
        return train, valid, test, seconds

    def test_statistics(self) -> float | None:
        """Return the queried test accuracy of the discretized graph, None where no benchmark answers for it."""
        if not self._is_queryable():
            return None
        architecture = self.get_final_architecture()
        return float(architecture.query(Metric.TEST_ACCURACY, self.dataset, dataset_api=self.dataset_api))

    def _is_queryable(self) -> bool:
        return self.dataset_api is not None and self.is_adapted and bool(self.graph.QUERYABLE)

    def _query_or_none(self, architecture: Graph, metric: Metric) -> float | None:
        if not self.dataset_api.has(metric, self.dataset):
            return None
        return float(architecture.query(metric, self.dataset, dataset_api=self.dataset_api))


def accepted_keywords(optimizer: type) -> dict[str, inspect.Parameter]:
    """Return the keyword parameters that the constructor of an optimizer class names, its parents' included."""
    return keywords_through(signatures(optimizer))
