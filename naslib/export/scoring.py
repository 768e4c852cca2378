"""Scoring: forms of a network against each other, on the test part and in time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from naslib.hardware.latency import MeasuredLatency, measure_latency
from naslib.tasks import Task
from naslib.training.evaluate import test

from .checks import outputs_of

# Inputs of the training part that ranges are observed on
CALIBRATION = 512


@dataclass(frozen=True)
class FormRow:
    """A form of the network: its file, its score, size and time.

    Attributes:
        file: The name of the file.
        score: The deciding score on the test part; None where there is none to test on.
        size: Bytes of the file.
        latency: Of a batch of one.
    """

    file: str
    score: float | None
    size: int
    latency: MeasuredLatency


class FileNetwork(nn.Module):
    """What runs a file, as a module that a test can take.

    Args:
        run: Called with inputs.
    """

    def __init__(self, run: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self._run = (run,)  # in a tuple, so that its modes are left alone

    def forward(self, x: Tensor) -> Any:
        """Return the outputs: `(n, ...)` in, what the network gives out."""
        found = self._run[0](x.contiguous())
        return found if isinstance(found, Tensor) else outputs_of(found)[0]


def score_of(run: Callable[[Tensor], Any], loader: Iterable[Any] | None, task: Task | None) -> float | None:
    """Return the deciding score of what runs a file on inputs, `(n, ...)`; None without a test part or a task."""
    if loader is None or task is None:
        return None
    return test(FileNetwork(run), loader, task.plain(), torch.device("cpu")).deciding


def form_row(
    path: Path, run: Callable[[Tensor], Any], inputs: Tensor, loader: Iterable[Any] | None, task: Task | None
) -> FormRow:
    """Return what is to say of one form.

    Args:
        path: The file.
        run: Runs it.
        inputs: `(n, ...)`, to measure the time.
        loader: The test part, or None.
        task: What was learned, or None.
    """
    return FormRow(path.name, score_of(run, loader, task), path.stat().st_size, measure_latency(run, inputs))


def calibration_inputs(batches: Any, task: Task | None, limit: int = CALIBRATION) -> list[Tensor]:
    """Return the first inputs of batches, as many as ranges are observed on.

    Args:
        batches: A tensor of inputs `(n, ...)`, or what yields batches.
        task: Reads inputs out of a batch; None where batches are pairs or inputs alone.
        limit: How many inputs.
    """
    if isinstance(batches, Tensor):
        return [part for part in batches[:limit].split(64) if len(part)]
    found, seen = [], 0
    for inputs in itertools.islice(_inputs(batches, task), limit):
        found.append(inputs[: limit - seen].contiguous())
        seen += len(found[-1])
        if seen >= limit:
            break
    return found


def _inputs(batches: Iterable[Any], task: Task | None) -> Iterator[Tensor]:
    for batch in batches:
        if task is not None and not isinstance(batch, Tensor):
            yield task.to_device(batch, torch.device("cpu"))[0]
        else:
            yield batch if isinstance(batch, Tensor) else batch[0]


def as_table(rows: list[FormRow], score_name: str, show: Callable[[float | None], str]) -> str:
    """Return forms as an aligned Markdown table.

    Args:
        rows: The forms.
        score_name: What the score is called.
        show: Writes a score with its unit.
    """
    cells = [["file", f"test {score_name}", "size", "latency"]]
    cells += [[row.file, show(row.score), show_bytes(row.size), str(row.latency)] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
             for row in cells]  # fmt: skip
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def show_bytes(size: int) -> str:
    """Return a number of bytes in kB or MB of 1000."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
