"""Batch check: whether batches, network and loss go together, asked once, and again only where something failed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError, DataError, NASLibError
from naslib.tasks import Task
from naslib.tasks.criteria import name_of
from naslib.tasks.fields import describe_value
from naslib.tasks.parts_of_batch import SharedRows
from naslib.utils.seeding import rng_restore, rng_snapshot
from naslib.utils.text import shorten

# Inputs on which a network is tried
_TRIED = 4
# A batch, the name of its loader and its number
Origin = tuple[str, int, Any]


class BatchCheck:
    """Compare batches with a task and a network.

    Args:
        task: What is learned.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._outputs: Any = None
        self._shape: tuple[int, ...] | None = None
        self._is_done = False

    def remember(self, batch: Any) -> None:
        """Keep the shape of the inputs of a first batch, with which later ones are compared if something fails."""
        if self._shape is None:
            self._shape = self.task.shape_of(batch)

    @property
    def is_done(self) -> bool:
        """Whether a network was tried."""
        return self._is_done

    def try_network(self, run: Callable[[Any], Any], batch: Any) -> None:
        """Let a network see a few inputs, and raise where its outputs do not fit the targets or the loss.

        Nothing is trained; the global random state stays as it was.

        Args:
            run: Returns the network's outputs on a batch; None where nothing is known of them.
            batch: What `Task.to_device` returned.

        Raises:
            ConfigError: Saying what does not go with what.
        """
        task, random_state = self.task, rng_snapshot()
        state = copy.deepcopy(task.state_dict())
        self.remember(batch)
        self._is_done = True
        if task.input_shape is None:
            task.input_shape = task.shape_of(batch)
        few = _first(batch)
        try:
            with torch.enable_grad():
                outputs = self._outputs_of(run, few)
                if outputs is None:
                    return
                problems = task.output_problems(_as_many(outputs, batch), batch) or self._loss_problems(outputs, few)
        finally:
            rng_restore(random_state)
            if state:
                task.load_state_dict(state)
        if problems:
            raise ConfigError([f"the task {_named(task)} does not fit: {problem}" for problem in problems])
        self._outputs = _as_few(outputs)

    def _outputs_of(self, run: Callable[[Any], Any], few: Any) -> Any:
        try:
            return run(few)
        except NASLibError:
            raise
        except Exception as error:
            inputs = few[0] if isinstance(few, tuple) and few else few
            raise ConfigError(
                f"the network does not take what the training loader yields: inputs are {describe_value(inputs)}, and "
                f"the network fails with: {shorten(_in_one_line(error), 300)}"
            ) from error

    def _loss_problems(self, outputs: Any, few: Any) -> list[str]:
        """Return why loss or scores cannot be computed."""
        task = self.task
        shown = f"outputs are {describe_value(outputs)}"
        if isinstance(few, tuple) and len(few) > 1:
            shown += f", targets {describe_value(few[1])}"
        try:
            loss = task.loss(outputs, few)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            return [f"its loss cannot be computed where {shown}: {shorten(_in_one_line(error), 300)}"]
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            return [f"its loss must be one number, got {describe_value(loss)}; does the criterion reduce it?"]
        try:
            values = task.meter(loss.device)
            values.update(outputs, few, loss)
            measured = values.read()
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            return [f"its scores cannot be measured where {shown}: {shorten(_in_one_line(error), 300)}"]
        if len(measured.values) != len(task.scores):
            return [f"it names {len(task.scores)} scores and measures {len(measured.values)}"]
        return []

    @contextmanager
    def explaining(self, *origins: Origin) -> Iterator[None]:
        """Turn an error inside into one that names the loader and the batch, where a batch is the reason.

        Args:
            *origins: The batches that are used inside.
        """
        try:
            yield
        except Exception as error:
            self.explain(error, *origins)
            raise

    def explain(self, error: Exception, *origins: Origin) -> None:
        """Raise an error that names a batch in the place of another one, where the batch is the reason.

        Raises:
            DataError: Naming the batch.
        """
        if isinstance(error, NASLibError):
            return
        for name, number, batch in origins:
            # what other ranks have of it is not asked for: they may be anywhere by now
            problems = self._problems_of(batch.local if isinstance(batch, SharedRows) else batch)
            if problems:
                raise DataError(
                    f"batch {number} of the {name} loader (counted from 0) does not fit the task {_named(self.task)}: "
                    f"{'; '.join(problems)}"
                ) from error
        error.add_note("; ".join(f"with batch {number} of the {name} loader" for name, number, _ in origins))

    def _problems_of(self, batch: Any) -> list[str]:
        try:
            problems = self.task.batch_problems(batch)
            if not problems and self._outputs is not None:
                problems = self.task.output_problems(_as_many(self._outputs, batch), batch)
            shape = self.task.shape_of(batch)
        except RuntimeError:  # after a failed assertion on an accelerator nothing can be read any more
            return []
        if not problems and self._shape is not None and shape != self._shape:
            problems = [f"its inputs have the shape {shape}, those of the first batch {self._shape}"]
        return problems


def check_first(task: Task, batch: Any, name: str) -> None:
    """Raise where the first batch of a loader is none of a task.

    Args:
        task: The task.
        batch: What `task.to_device` returned.
        name: What messages call the loader.

    Raises:
        DataError: Saying what the batch holds, and what was expected.
    """
    problems = task.batch_problems(batch)
    if problems:
        raise DataError(
            f"the first batch of the {name} loader does not fit the task {_named(task)}: {'; '.join(problems)}"
        )


def _named(task: Task) -> str:
    criterion = getattr(task, "criterion", None)
    return f"{type(task).__name__} with {name_of(criterion)}" if criterion is not None else type(task).__name__


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _first(batch: Any) -> Any:
    """Return the first items of a batch of tensors; any other batch as it is."""
    if isinstance(batch, tuple) and all(isinstance(item, Tensor) and item.dim() for item in batch):
        return tuple(item[:_TRIED] for item in batch)
    return batch


def _as_few(outputs: Any) -> Any:
    return outputs[:1].detach() if isinstance(outputs, Tensor) and outputs.dim() else None


def _as_many(outputs: Any, batch: Any) -> Any:
    """Return outputs as there would be for a whole batch; only their number is right."""
    if not isinstance(outputs, Tensor) or not outputs.dim() or not isinstance(batch, tuple):
        return outputs
    return outputs[:1].detach().expand(len(batch[0]), *outputs.shape[1:])
