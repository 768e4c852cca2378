"""History: the search trajectory, and its JSON file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from naslib.tasks import Score
from naslib.utils.attrdict import AttrDict
from naslib.utils.distributed import is_main
from naslib.utils.files import atomic_write_json

from .plain import number_or_none

SERIES = (
    "train_acc",
    "train_loss",
    "valid_acc",
    "valid_loss",
    "test_acc",
    "test_loss",
    "runtime",
    "train_time",
    "arch_eval",
)
_LIGHT = ("train_acc", "valid_acc", "test_acc", "runtime", "train_time", "params")
# Writing the file may take this share of the time of a search, so that a search on a table stays fast.
_SHARE = 0.05


class SearchHistory:
    """What a search measured, one entry per epoch (per evaluation for a black-box search).

    The series of accuracies hold None where the task has none; scores that it has besides have series of their own,
    `train_rmse` and `valid_rmse` for a score `rmse`.

    Args:
        params: Size of the search network in millions.
        scores: Those of the task.

    Attributes:
        trajectory: `search_trajectory`: a list per series and the model size `params` in millions.
    """

    def __init__(self, params: float = 0.0, scores: Sequence[Score] = ()) -> None:
        self._series = (*SERIES, *(f"{split}_{key}" for key in _own_keys(scores) for split in ("train", "valid")))
        self.trajectory = AttrDict({key: [] for key in self._series} | {"params": params})
        self._lists: list[list[Any]] = [self.trajectory[key] for key in self._series]

    def __len__(self) -> int:
        return len(self.trajectory["runtime"])

    def append(self, **values: Any) -> None:
        """Add one epoch; a series that is not given, NaN and infinities become None."""
        for key, series in zip(self._series, self._lists, strict=True):
            series.append(number_or_none(values.get(key)))

    def append_row(self, row: tuple[Any, ...]) -> None:
        """Add one epoch given in the order of `SERIES` (the fast way, for searches on a table)."""
        for series, value in zip(self._lists, row, strict=True):
            series.append(value if type(value) is float and value - value == 0.0 else number_or_none(value))

    def state_dict(self) -> dict[str, Any]:
        """Return the history; series are double tensors with NaN for None."""
        series = {key: _pack(values) for key, values in zip(self._series, self._lists, strict=True)}
        return {**series, "params": self.trajectory["params"]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the history of a checkpoint."""
        for key in (name for name in state if name not in self._series and name != "params"):
            self._series = (*self._series, key)  # a score that the task of the checkpoint has
            self._lists.append(self.trajectory.setdefault(key, []))
        for key, series in zip(self._series, self._lists, strict=True):
            series[:] = _unpack(state[key])
        self.trajectory["params"] = state["params"]

    def light(self) -> dict[str, Any]:
        """Return the lightweight form."""
        return {key: self.trajectory[key] for key in _LIGHT}


class HistoryFile:
    """`errors.json`, rewritten now and then.

    Args:
        path: The file.
        history: What to write.
        config: Written along in the lightweight form.
        lightweight: Whether to write `[config, {...}]` with fewer series.
    """

    def __init__(self, path: Path, history: SearchHistory, config: Any = None, lightweight: bool = False) -> None:
        self.path = path
        self.history = history
        self.config = config
        self.lightweight = lightweight
        self._due = 0.0

    def write(self) -> None:
        """Write the file now; of several ranks rank 0 does."""
        if not is_main():
            return
        start = time.monotonic()
        content = [self.config, self.history.light()] if self.lightweight else dict(self.history.trajectory)
        atomic_write_json(self.path, content, indent=None)
        end = time.monotonic()
        self._due = end + max(1.0, (end - start) / _SHARE)

    def write_if_due(self) -> None:
        """Write the file unless that was done less than a second ago (more where writing is slow)."""
        if time.monotonic() >= self._due:
            self.write()


def _own_keys(scores: Sequence[Score]) -> list[str]:
    """Return the scores that have series of their own; a file of accuracies has never had the best five."""
    return [score.key for score in scores if score.name not in ("accuracy", "top5")]


def _pack(values: list[float | None]) -> torch.Tensor:
    return torch.tensor([float("nan") if value is None else value for value in values], dtype=torch.float64)


def _unpack(values: torch.Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
