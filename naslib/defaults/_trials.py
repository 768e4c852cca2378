"""What a Trainer makes for a search that evaluates trials: evaluator, executor, history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from naslib.errors import ConfigError
from naslib.evaluators import (
    EVALUATORS,
    Evaluator,
    Executor,
    SerialExecutor,
    TableEvaluator,
    TasksEvaluator,
    TrainEvaluator,
    TrainingOfTrials,
    TrialSearch,
    WithCosts,
)
from naslib.evaluators.inheritance import FOLDER_NAME as WEIGHTS
from naslib.evaluators.named_executors import make_executor
from naslib.evaluators.paused import FOLDER_NAME, PausedTrainings
from naslib.evaluators.with_costs import split_objectives
from naslib.history import FILE_NAME, SqliteHistory
from naslib.optimizers.core.costing import costs_of
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.tasks import Task
from naslib.training.environment import check_fingerprint
from naslib.training.loaders import image_shape
from naslib.training.plain import to_plain
from naslib.utils.log import get_logger

logger = get_logger(__name__)

# Returns (train, valid, test) of a data set; of the run's own for None
Loaders = Callable[[str | None], tuple[Any, Any, Any]]


def is_table(optimizer: DiscreteOptimizer) -> bool:
    """Say whether a benchmark gives the trials their values."""
    return optimizer.evaluator is None or optimizer.evaluator == "table"


def build_evaluator(
    optimizer: DiscreteOptimizer,
    config: Any,
    loaders: Loaders,
    task: Callable[[], Task],
    device: torch.device,
    channels_last: bool,
) -> Evaluator:
    """Return the evaluator of a search: that of the optimizer, or the one that its name says.

    Args:
        optimizer: The method, adapted.
        config: The config.
        loaders: Returns (train, valid, test) of a data set; asked only where batches are needed.
        task: Returns what learning means; asked once the batches are there.
        device: Where networks are trained.
        channels_last: Memory format of images.

    Raises:
        ConfigError: If it cannot be built.
        DataError: If it needs data that is not there.
    """
    tasks = optimizer.tasks
    if is_table(optimizer):
        return _of_tasks(tasks, lambda name: _table(optimizer, name or optimizer.dataset, config.search))
    if not isinstance(optimizer.evaluator, str):
        return _counted(optimizer.evaluator, optimizer, config.search)

    def trained(name: str | None) -> Evaluator:
        return _by_name(optimizer, config, partial(loaders, name), task, device, channels_last)

    return _of_tasks(tasks, trained)


def _of_tasks(tasks: Sequence[str], make: Callable[[str | None], Evaluator]) -> Evaluator:
    """Return one evaluator for a search of one task, or what hands on the trials of several."""
    return make(None) if len(tasks) < 2 else TasksEvaluator({name: make(name) for name in tasks})


def _table(optimizer: DiscreteOptimizer, dataset: str | None, search: Any) -> Evaluator:
    table = TableEvaluator(optimizer.dataset_api, dataset, optimizer.metrics, optimizer.fidelity)
    in_seconds = search.get("budget") is not None and search.get("budget_unit", "seconds") == "seconds"
    if in_seconds and not table.tells_time:
        raise ConfigError(
            "search.budget counts the seconds of training, and this table does not tell them: "
            "search.budget_unit=epochs counts the epochs"
        )
    return _counted(table, optimizer, search)


def _by_name(
    optimizer: DiscreteOptimizer,
    config: Any,
    loaders: Callable[[], tuple[Any, Any, Any]],
    task: Callable[[], Task],
    device: torch.device,
    channels_last: bool,
) -> Evaluator:
    search = config.search
    kind = EVALUATORS.get(optimizer.evaluator)
    train, valid, _ = loaders() if kind.needs_batches else (None, None, None)
    how = how_to_train(search, str(device), channels_last)
    seed = int(config.get("seed", 0))
    names, costs = split_objectives(optimizer.objective_names, kind.own_costs)
    learned = task() if kind.needs_batches else None
    given = dict(search.get("evaluator_args") or {})
    built: Evaluator = kind(optimizer.graph, train, valid, how, learned, names, seed, **given)
    if costs:

        def shape() -> Sequence[int]:
            if valid is not None or optimizer.input_shape is None:
                return image_shape(valid if valid is not None else train, learned)
            return optimizer.input_shape()

        found = costs_of(optimizer, optimizer.graph, dataset=optimizer.dataset, input_shape=shape).costs(costs)
        built = WithCosts(built, found, optimizer.objective_names or ())
    return _counted(built, optimizer, search)


def _counted(evaluator: Evaluator, optimizer: DiscreteOptimizer, search: Any) -> Evaluator:
    """Return an evaluator of whose trials a budget of epochs can be spent.

    Raises:
        ConfigError: If the search has such a budget, and no trial says for how many epochs it trains.
    """
    in_epochs = search.get("budget") is not None and search.get("budget_unit") == "epochs"
    tells = (evaluator.fidelity or 0) > 0 or getattr(optimizer, "fidelities", None)
    if in_epochs and not tells:
        raise ConfigError(
            f"search.budget counts epochs of training, and {type(evaluator).__name__} has no number of them "
            f"(fidelity {evaluator.fidelity}): the search would never end. Say how many epochs a table has "
            "(search.fidelity), or count seconds or search.epochs"
        )
    return evaluator


def how_to_train(search: Any, device: str, channels_last: bool) -> TrainingOfTrials:
    """Return how the networks of trials are trained: as the section `search` says."""
    own = {field.name for field in fields(TrainingOfTrials)} - {"device", "channels_last"}
    given = {key: value for key, value in search.items() if key in own}
    return TrainingOfTrials(**given, device=device, channels_last=channels_last)


def build_executor(config: Any, evaluator: Evaluator) -> Executor:
    """Return what runs the evaluations: this process, others, or a cluster."""
    search = config.search
    workers, name = int(search.get("workers", 1)), search.get("executor")
    elsewhere = workers > 1 or name in ("process", "ray")
    if evaluator.carries_state and elsewhere:
        raise ConfigError(
            f"search.workers: {type(evaluator).__name__} changes with every trial, and evaluates one after the other "
            "in this process: leave search.workers and search.executor out"
        )
    if evaluator.is_instant and workers >= 1:
        if elsewhere:
            kind, said = type(evaluator).__name__, f"search.workers={workers}, search.executor={name}"
            logger.warning("%s: without effect, as %s answers at once, in this process", said, kind)
        return SerialExecutor(evaluator)
    return make_executor(evaluator, name, workers, config.get("threads", "auto"), search.get("executor_args"))


def is_told_by_arrival(config: Any, optimizer: DiscreteOptimizer) -> bool:
    """Say whether results are told as they come: where the config says so, or Ray runs a method that waits for none."""
    tell = config.search.get("tell")
    if tell is None:
        return config.search.get("executor") == "ray" and optimizer.IS_ASYNCHRONOUS
    return bool(tell == "by_arrival")


def open_history(folder: Path, about: dict[str, Any], evaluator: Evaluator) -> tuple[SqliteHistory, int]:
    """Return the history of a run folder, new or to be gone on with, and the seed of the run that it is of.

    Raises:
        CheckpointError: If it is of another search.
        HistoryError: If it cannot be used.
    """
    history = SqliteHistory(folder / FILE_NAME)
    present = to_plain({**about, **evaluator.describe()})
    before, seed = history.about, int(present.pop("seed"))
    if before:
        seed = int(before.pop("seed"))
        check_fingerprint(before, present, history.path)
    else:
        history.describe(evaluator.objectives, {**present, "seed": seed})
    return history, seed


@contextmanager
def paused_in(folder: Path, evaluator: Evaluator) -> Iterator[None]:
    """Let an evaluator that trains keep in a run folder where trainings ended that may go on, until the search ends."""
    evaluator = evaluator.inner if isinstance(evaluator, WithCosts) else evaluator
    if not isinstance(evaluator, TrainEvaluator):
        yield
        return
    evaluator.paused = PausedTrainings(folder / FOLDER_NAME)
    if evaluator.inheritance is not None:  # stays after the search: the networks of trials are what it has found
        evaluator.inheritance.keep_in(folder / WEIGHTS)
    yield
    evaluator.paused.clear()  # not after an interruption: then they are wanted


@contextmanager
def trial_search(
    optimizer: DiscreteOptimizer, config: Any, folder: Path, about: dict[str, Any], evaluator: Evaluator
) -> Iterator[TrialSearch]:
    """Yield a search with its executor and its history, which are closed afterwards.

    Args:
        optimizer: The method; its state is that of the checkpoint that is continued.
        config: The config.
        folder: The run folder.
        about: What must be the same for a history to be of this search, and its seed.
        evaluator: What gives the trials their values.
    """
    if not is_table(optimizer):
        optimizer.use_evaluator(evaluator)
    with ExitStack() as stack, paused_in(folder, evaluator):
        history, seed = open_history(folder, about, evaluator)
        stack.enter_context(history)
        search = TrialSearch(
            optimizer,
            stack.enter_context(build_executor(config, evaluator)),
            history,
            seed=seed,
            epochs=int(config.search.epochs),
            budget=config.search.get("budget"),
            budget_unit=config.search.get("budget_unit", "seconds"),
            is_instant=evaluator.is_instant,
            carries_state=evaluator.carries_state,
            by_arrival=is_told_by_arrival(config, optimizer),
        )
        stack.callback(search.flush)
        yield search
