"""PausedTrainings: where trainings ended that may go on."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from naslib.history import Trial
from naslib.utils.log import get_logger

logger = get_logger(__name__)

FOLDER_NAME = "paused"
# What comes of reading a file that was cut off or is something else
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError)


class PausedTrainings:
    """Files of trainings that ended below the highest fidelity; a training that is not here is made anew.

    Several processes may use one folder. A file is written whole or not at all.

    Args:
        folder: Where they are; made when it is needed.
        keep: How many files there are at most: the oldest make room.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 64) -> None:
        self.folder, self.keep = Path(folder), keep

    def _path(self, trial: Trial, epochs: int) -> Path:
        return self.folder / f"{trial.root}-{epochs}.pth"

    def save(self, trial: Trial, state: Mapping[str, Any]) -> None:
        """Keep where a trial ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(trial, trial.fidelity)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        torch.save({"code": list(trial.code), "seed": trial.seed, "state": dict(state)}, temporary)
        temporary.replace(path)
        self._make_room()

    def load(self, trial: Trial, device: torch.device) -> dict[str, Any] | None:
        """Return where the trial ended that this one continues; None where that is not known (any more)."""
        path = self._path(trial, trial.from_epoch)
        try:
            found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            if (found["code"], found["seed"]) != (list(trial.code), trial.seed):
                raise ValueError("it is of another trial")
            state: dict[str, Any] = found["state"]
        except FileNotFoundError:
            return None
        except _UNREADABLE as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning("%s cannot be used (%s): trial %d is trained from its beginning", path, reason, trial.number)
            return None
        return state

    def drop(self, trial: Trial) -> None:
        """Remove where the trial ended that this one continues."""
        if trial.from_epoch:
            self._path(trial, trial.from_epoch).unlink(missing_ok=True)

    def _make_room(self) -> None:
        found = []
        for path in self.folder.glob("*.pth"):
            try:
                found.append((path.stat().st_mtime_ns, path))
            except FileNotFoundError:  # another process was faster
                continue
        for _, path in sorted(found)[: max(0, len(found) - self.keep)]:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
