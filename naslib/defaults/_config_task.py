"""The task of a run: what was given to the Trainer or the optimizer, what the config and the data set say."""

from __future__ import annotations

from typing import Any

from naslib.config.schema import SEARCH_KEYS
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Task, build_task, settle_task, with_data
from naslib.tasks.criteria import is_chosen


def config_task(config: Any, optimizer: Any, given: Any = None, info: Any = None) -> Task:
    """Return the task of a run, with the loss that was chosen.

    In this order: what the Trainer was given, what the optimizer was made with, `task` of the config, what the data set
    declares (classification unless it says otherwise), what goes with the loss. The loss is the one that was chosen,
    else the one that the search space has (`get_loss_fn`), else the task's own.

    Args:
        config: The config.
        optimizer: The optimizer.
        given: What the Trainer was given: a task, the name of one, or None.
        info: The data set (`DatasetInfo`), None where nothing is known of it.

    Raises:
        ConfigError: If the task and the loss do not go together.
    """
    loss = _chosen_loss(config, optimizer)
    task = given if given is not None else optimizer.given_task
    if task is None and config.get("task") is not None:
        task = config.task if isinstance(config.task, Task) else build_task(config.task, config.get("task_args"))
    if task is None and info is not None:
        task = build_task(getattr(info, "task", None) or "classification", config.get("task_args"))
    if loss is None and _lacks_loss(config, task, info):
        loss = "BCEWithLogitsLoss"
    space = optimizer.space  # None before it is adapted
    if loss is None and space is not None and not _is_given(optimizer, given) and has_own_loss(space):
        loss = space.get_loss_fn()
    return with_data(settle_task(task, loss), info)


def _chosen_loss(config: Any, optimizer: Any) -> Any:
    """Return the loss that somebody chose, None for the task's own."""
    if optimizer.given_loss is not None:
        return None if optimizer.given_task is not None else optimizer.given_loss
    loss, given = config.search.get("loss_criteria"), vars(config).get("given", ())
    # a file with all keys is the echo of a run: its defaults were not somebody's wish
    is_asked = "search.loss_criteria" in given and not all(f"search.{key}" in given for key in SEARCH_KEYS)
    return loss if is_asked or is_chosen(loss) else None


def _lacks_loss(config: Any, task: Any, info: Any) -> bool:
    """Return whether a data set of many labels meets a task that was made for one class, as nobody said otherwise."""
    many = getattr(info, "multi_label", False) and isinstance(task, Classification) and not task.multi_label
    return many and "loss" not in (config.get("task_args") or {})


def evaluation_task(task: Task, config: Any, optimizer: Any, architecture: Any, given: Any = None) -> Task:
    """Return the task of the retraining: that of the search, or with another loss.

    Another loss is `evaluation.loss_criteria`, or where nobody chose any, that of the architecture (`get_loss_fn`).

    Args:
        task: That of the search.
        config: The config.
        optimizer: The optimizer.
        architecture: What is trained.
        given: What the Trainer was given.
    """
    loss = config.evaluation.get("loss_criteria")
    if loss is None and not _is_given(optimizer, given) and _chosen_loss(config, optimizer) is None:
        loss = architecture.get_loss_fn() if has_own_loss(architecture) else None
    return task if loss is None else task.with_loss(loss)


def has_own_loss(graph: Any) -> bool:
    """Return whether a graph has a loss of its own (`get_loss_fn`, of its class or set on it)."""
    found = getattr(graph, "get_loss_fn", None)
    return isinstance(graph, Graph) and getattr(found, "__func__", None) is not Graph.get_loss_fn


def _is_given(optimizer: Any, given: Any) -> bool:
    return isinstance(given, Task) or optimizer.given_task is not None
