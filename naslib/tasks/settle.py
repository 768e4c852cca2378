"""Settle which task a run has: what was given, what the data set declares, what the loss says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError
from naslib.registry.catalogue import TASKS
from naslib.utils.pytorch_helper import create_criterion

from .class_task import ClassTask
from .classification import Classification
from .criteria import OF_VALUES, is_chosen, is_one_of
from .regression import Regression
from .task import Task


def build_task(name: str, arguments: Mapping[str, Any] | None = None) -> Task:
    """Return a registered task by its name.

    Raises:
        UnknownNameError: If there is none of that name.
        ConfigError: If it does not take the arguments.
    """
    try:
        return TASKS.get(name)(**dict(arguments or {}))
    except TypeError as error:
        raise ConfigError(f"task_args do not fit the task {name!r}: {error}") from error


def task_of_loss(loss: Any) -> Task:
    """Return the task that goes with a loss where nothing else says it: classification unless it is of values."""
    if not is_chosen(loss):
        return Classification()
    criterion = create_criterion(loss)
    kind = Regression if is_one_of(criterion, OF_VALUES) else Classification
    return kind(loss)


def settle_task(task: Task | str | None, loss: Any = None) -> Task:
    """Return a task with the loss that was chosen.

    Args:
        task: A task, the name of one, or None for what the loss says.
        loss: A criterion by name, class or as it is; None for the task's own.

    Raises:
        ConfigError: If they do not go together.
    """
    if task is None:
        return task_of_loss(loss)
    if isinstance(task, str):
        task = build_task(task)
    if not isinstance(task, Task):
        raise ConfigError(f"task must be a naslib.tasks.Task or the name of one, got {task!r}")
    return task if loss is None else task.with_loss(loss)


def with_data(task: Task, info: Any) -> Task:
    """Tell a task what is known of the data set, where the task does not know it yet; return the task.

    Args:
        task: The task.
        info: A `DatasetInfo`, or what has its attributes; None for nothing.
    """
    if info is None:
        return task
    if task.output_size is None:
        task.output_size = getattr(info, "output_size", None) or info.num_classes
    if isinstance(task, ClassTask):
        task.count_classes(getattr(info, "class_counts", ()))
    if task.input_shape is None:
        shape = getattr(info, "input_shape", None)
        task.input_shape = tuple(shape) if shape else (info.in_channels, info.image_size, info.image_size)
    return task
