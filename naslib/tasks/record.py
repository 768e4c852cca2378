"""Record: a task as plain values, from which it is made again to predict."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from naslib.errors import CheckpointError

from .criteria import name_of
from .task import Task


def describe_task(task: Task) -> dict[str, Any]:
    """Return where the class of a task is, what it was made with as far as that is plain values, and its loss in words.

    Args:
        task: The task.
    """
    cls = type(task)
    return {
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "arguments": task.arguments(),
        "output_size": task.output_size,
        "loss": name_of(task.criterion) if hasattr(task, "criterion") else None,
        "scores": [{"name": s.name, "maximize": s.maximize, "unit": s.unit} for s in task.scores],
    }


def rebuild_task(record: Mapping[str, Any] | None) -> Task | None:
    """Return the task of a record; None for None.

    Raises:
        CheckpointError: If its class cannot be imported, or does not take its arguments.
    """
    if record is None:
        return None
    module, _, name = str(record["class"]).partition(":")
    hint = "give load_network(..., task=...) a task of its kind"
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        task: Task = found(**record["arguments"])
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the network was trained for the task {record['class']}: {error}; {hint}") from error
    task.output_size = record["output_size"]
    return task
