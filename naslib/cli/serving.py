"""Which search spaces have a head for a task and read a kind of data: known before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence

from naslib.errors import ConfigError
from naslib.registry.catalogue import DATASET_TASKS, SEARCH_SPACES, TASKS

# Tasks of ours, those that build on another one first
OURS = ("segmentation", "language_modelling", "sequence_classification", "regression", "classification")
# What each kind of data is called in messages
_KINDS = {"image": "images", "sequence": "sequences", "tokens": "tokens"}


def declared_task(dataset: str, arguments: dict[str, object]) -> tuple[str | None, str | None]:
    """Return task and kind of a data set as far as its name says it: None where only its files do.

    Args:
        dataset: The name, or a path.
        arguments: Its keywords.
    """
    key = str(dataset).lower()
    task, kind = DATASET_TASKS.get(key, (None, None))
    if isinstance(arguments.get("task"), str):  # of an .npz file
        task, kind = str(arguments["task"]), None
    return task, kind


def check_serves(space: str, task: str | None, kind: str | None, dataset: str = "") -> None:
    """Raise where a search space has no head for a task, or does not read a kind of data.

    A space says so by `TASKS` and `INPUTS`; of one that says nothing, or a task of a user's own, nothing is known here.

    Args:
        space: The name of the space.
        task: The name of the task; None where it is not known yet.
        kind: `"image"`, `"sequence"` or `"tokens"`; None likewise.
        dataset: What has the task, for the message.

    Raises:
        ConfigError: With the spaces that can.
    """
    if _serves(space, task, kind):
        return
    others = [name for name in SEARCH_SPACES if _serves(name, task, kind)]
    what = f"{task} on {_KINDS.get(kind, kind)}" if kind and task else str(task or _KINDS.get(kind or "", kind))
    reads = [_KINDS[name] for name in _constant(space, "INPUTS") or ()]
    serves = ", ".join(_constant(space, "TASKS") or ())
    raise ConfigError(
        f"search_space: {space!r} has no head for {what}" + (f", the task of {dataset!r}" if dataset else "") + "; it "
        f"serves {serves} on {' and '.join(reads) or 'images'}; for {what} there is: {', '.join(others) or 'none yet'}"
    )


def kind_of_task(task: str, kind: str | None = None) -> str:
    """Return the task of ours whose head serves a registered one (`HEAD`), or that it builds on; else its own name.

    Args:
        task: The name.
        kind: Of the data, where it is known: a class of sequences needs another head than one of images.
    """
    if task in OURS or task not in TASKS:
        return task
    head = getattr(TASKS.get(task), "HEAD", None)
    if isinstance(head, str):
        return head if kind in (None, "image") else f"sequence_{head}"
    classes = {TASKS.get(name): name for name in OURS}
    return next((classes[base] for base in TASKS.get(task).__mro__ if base in classes), task)


def _serves(space: str, task: str | None, kind: str | None) -> bool:
    tasks, inputs = _constant(space, "TASKS"), _constant(space, "INPUTS")
    known = task is None or tasks is None or task not in OURS or task in tasks
    return known and (kind is None or inputs is None or kind in inputs)


def _constant(space: str, name: str) -> Sequence[str] | None:
    value = SEARCH_SPACES.constant(space, name)
    return value if isinstance(value, list | tuple) else None
