"""Checkpoints: written atomically, read back without running code, never silently of another run."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from naslib.errors import CheckpointError
from naslib.utils.files import atomic_write, atomic_write_text
from naslib.utils.log import get_logger

from .plain import to_plain

LAST = "last_checkpoint"
FINAL = "model_final.pth"
_NAME = re.compile(r"model_(?P<epoch>\d{7,})(?:_step(?P<step>\d{7,}))?\.pth")

logger = get_logger(__name__)


class DamagedCheckpoint(CheckpointError):
    """A checkpoint file that cannot be read to its end."""


class Position(NamedTuple):
    """Where a run stands: `epoch` epochs are complete, and `step` steps of the next."""

    epoch: int
    step: int


class CheckpointManager:
    """Write, prune and read the checkpoints of one phase of a run.

    Args:
        folder: `<save>/search` or `<save>/eval`; made when the first checkpoint is written.
        keep_last: How many of the newest checkpoints stay, whatever they are. Those at the end of an epoch, and the
            final one, stay always.
    """

    def __init__(self, folder: str | Path, keep_last: int = 2) -> None:
        self.folder = Path(folder)
        self.keep_last = keep_last

    def save_epoch(self, state: Mapping[str, Any], epoch: int) -> Path:
        """Write the checkpoint at the end of `epoch` (counted from 0)."""
        return self._save(state, f"model_{epoch:07d}.pth")

    def save_step(self, state: Mapping[str, Any], epoch: int, step: int) -> Path:
        """Write the checkpoint after `step` steps of `epoch`."""
        return self._save(state, f"model_{epoch:07d}_step{step:07d}.pth")

    def save_final(self, state: Mapping[str, Any]) -> Path:
        """Write the checkpoint of the finished phase."""
        return self._save(state, FINAL)

    def _save(self, state: Mapping[str, Any], name: str) -> Path:
        path = self.folder / name
        plain = to_plain(state)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Into memory first: torch's file writer answers a full disk with an error of its own while it closes.
            buffer = io.BytesIO()
            torch.save(plain, buffer)
            atomic_write(path, lambda file: _write_all(file, buffer.getbuffer()))
            atomic_write_text(self.folder / LAST, name)
        except (OSError, RuntimeError) as error:
            newest = self.newest()
            kept = f"{newest.name} is intact" if newest else "there is none before it"
            reason = getattr(error, "strerror", None) or str(error)
            raise CheckpointError(
                f"cannot write the checkpoint {path}: {reason}. Of the earlier checkpoints {kept}; "
                "make room (or make the folder writable) and continue with --resume"
            ) from error
        self._prune()
        return path

    def _prune(self) -> None:
        """Remove old mid-epoch checkpoints, and what a killed process left half written."""
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        written = sorted(self._numbered(), key=_position_of)
        for path in written[: -self.keep_last] if self.keep_last else written:
            if _is_step(path):
                path.unlink(missing_ok=True)

    def _numbered(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]

    def newest(self) -> Path | None:
        """Return what `last_checkpoint` names, or else the newest file; None if there is none."""
        return next(iter(self.candidates()), None)

    def candidates(self) -> list[Path]:
        """Return all checkpoints, the newest first."""
        files = self._numbered()
        if (self.folder / FINAL).is_file():
            files.append(self.folder / FINAL)
        files.sort(key=lambda path: (path.stat().st_mtime_ns, _position_of(path)), reverse=True)
        named = self._named_as_last()
        if named in files:
            files.remove(named)
            files.insert(0, named)
        return files

    def _named_as_last(self) -> Path:
        try:
            return self.folder / (self.folder / LAST).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return self.folder / FINAL


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read one checkpoint.

    Raises:
        DamagedCheckpoint: If it cannot be read to its end.
        CheckpointError: If it is missing, or not a checkpoint of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}{_what_is_there(path.parent)}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises anything from EOFError to RuntimeError
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedCheckpoint(f"cannot read the checkpoint {path}, it may be truncated: {first_line}") from error
    if not isinstance(state, dict) or "run" not in state or "model" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of naslib (no 'model' and 'run' in it)")
    return state


def read_newest(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """Read the checkpoint at `path`; where it is damaged, the one before it, and say so.

    Args:
        path: A checkpoint, or a folder of checkpoints.

    Raises:
        CheckpointError: If none can be read.
    """
    path = Path(path)
    if path.is_dir():
        manager = CheckpointManager(path)
        newest = manager.newest()
        if newest is None:
            raise CheckpointError(f"there is no checkpoint in {path}")
        path = newest
    try:
        return path, read_checkpoint(path)
    except DamagedCheckpoint as error:
        return _read_previous(path, error)


def _read_previous(path: Path, error: DamagedCheckpoint) -> tuple[Path, dict[str, Any]]:
    problems = [str(error)]
    for candidate in CheckpointManager(path.parent).candidates():
        if candidate == path:
            continue
        try:
            state = read_checkpoint(candidate)
        except DamagedCheckpoint as another:
            problems.append(str(another))
            continue
        logger.warning("%s; falling back to the previous one, %s", problems[0], candidate.name)
        return candidate, state
    raise CheckpointError("; ".join([*problems, "and no other checkpoint is there to fall back to"])) from error


def get_last_checkpoint(config: Any, search: bool = True) -> str:
    """Return the path of the newest checkpoint of a run, "" where there is none.

    Args:
        config: The run's config; its `save` is the run folder.
        search: True for the search, False for the evaluation.
    """
    newest = CheckpointManager(Path(config.save) / ("search" if search else "eval")).newest()
    return str(newest) if newest else ""


def _write_all(file: Any, data: memoryview) -> None:
    file.write(data)


def _is_step(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    return bool(match and match["step"])


def _position_of(path: Path) -> Position:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return Position(10**9, 0)
    return Position(int(match["epoch"]), int(match["step"])) if match["step"] else Position(int(match["epoch"]) + 1, 0)


def _what_is_there(folder: Path) -> str:
    names = sorted(path.name for path in CheckpointManager(folder).candidates()) if folder.is_dir() else []
    return f"; {folder} has {', '.join(names)}" if names else ""
