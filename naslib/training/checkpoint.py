"""Checkpoints: written atomically, read back without running code, never silently of another run."""

from __future__ import annotations

import functools
import io
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

from naslib.errors import CheckpointError
from naslib.utils.distributed import on_main
from naslib.utils.files import atomic_write, atomic_write_text
from naslib.utils.log import get_logger
from naslib.utils.text import listed, shorten

from .plain import all_finite, has_nan, to_plain

LAST = "last_checkpoint"
FINAL = "model_final.pth"
# What else than the model is trained, by its usual names; a removed candidate's parameter may be -inf, none is NaN.
_TRAINED = ("architectural_weights", "arch_optimizer", "op_optimizer", "optimizer")
_NAME = re.compile(r"model_(?P<epoch>\d{7,})(?:_step(?P<step>\d{7,}))?\.pth")

logger = get_logger(__name__)


class DamagedCheckpoint(CheckpointError):
    """A checkpoint file that cannot be read to its end, or whose content is not what was written."""


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
            buffer = serialize(plain)
            atomic_write(path, lambda file: _write_all(file, buffer.getbuffer()))
            atomic_write_text(self.folder / LAST, name)
        except (OSError, RuntimeError) as error:
            kept = self.describe_good(" is intact", "there is none before it")
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
        """Return what `last_checkpoint` names, or else the newest file; None if there is none.

        A `last_checkpoint` that does not name the newest file is warned of.
        """
        found = self.candidates()
        if not found:
            return None
        named, problem = self._named_as_last()
        newest = max(found, key=_age)
        if problem:
            logger.warning("%s %s; taking the newest checkpoint, %s", self.folder / LAST, problem, found[0].name)
        elif named != newest:
            logger.warning("%s names %s though %s is newer; following it", self.folder / LAST, named.name, newest.name)
        return found[0]

    def newest_good(self) -> Path | None:
        """Return the newest checkpoint that can be read and is finite, None if there is none (reads files)."""
        for path in self.candidates():
            try:
                state = read_checkpoint(path)
            except CheckpointError:
                continue
            if not what_is_not_finite(state):
                return path
        return None

    def describe_good(self, known: str = "", none: str = "none") -> str:
        """Return the path of `newest_good` followed by `known`, or `none`, for the message of an error."""
        found = self.newest_good()
        return f"{found}{known}" if found else none

    def candidates(self) -> list[Path]:
        """Return all checkpoints, the newest first."""
        files = self._numbered()
        if (self.folder / FINAL).is_file():
            files.append(self.folder / FINAL)
        files.sort(key=_age, reverse=True)
        named, _ = self._named_as_last()
        if named in files:
            files.remove(named)
            files.insert(0, named)
        return files

    def _named_as_last(self) -> tuple[Path, str]:
        """Return what `last_checkpoint` names, and what is wrong with that ("" if nothing)."""
        try:
            text = (self.folder / LAST).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self.folder / FINAL, "is missing"
        except (OSError, UnicodeDecodeError):
            return self.folder / FINAL, "is damaged"
        if text != FINAL and _NAME.fullmatch(text) is None:
            return self.folder / FINAL, f"is damaged (it reads {shorten(text, 40)!r})"
        named = self.folder / text
        return named, "" if named.is_file() else f"names {text}, which is not there"


def serialize(plain: Any) -> io.BytesIO:
    """Return what `torch.save` writes, with checksums, whatever the process has chosen otherwise."""
    buffer = io.BytesIO()
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)
    try:
        torch.save(plain, buffer)
    finally:
        torch.serialization.set_crc32_options(before)
    return buffer


def load_verified(path: Path) -> Any:
    """Read what `torch.save` wrote, after comparing all of it with the checksums it was written with.

    Runs no code of the file. torch itself looks at no checksum: a flipped bit would be loaded without a word.

    Raises:
        DamagedCheckpoint: If the file cannot be read to its end, or a checksum differs.
        CheckpointError: If it is whole, but holds something else than tensors and plain values.
    """
    with _reading(path), path.open("rb") as file:
        _compare_checksums(file, path)
        file.seek(0)
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:  # intact, and yet refused: written by something else
            raise CheckpointError(f"{path} is not a checkpoint of naslib: {_first_line(error)}") from error
        except (MemoryError, OSError):
            raise
        except Exception as error:  # records of the archive that only torch looks at
            raise DamagedCheckpoint(f"cannot read the checkpoint {path}: {_first_line(error)}") from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DamagedCheckpoint(f"cannot read the checkpoint {path}: {error.strerror or error}") from error


def _compare_checksums(file: BinaryIO, path: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (MemoryError, OSError):
        raise
    except Exception as error:  # damage to the archive's own records raises anything from BadZipFile to struct.error
        raise DamagedCheckpoint(
            f"cannot read the checkpoint {path}, it is truncated or damaged: {_first_line(error)}"
        ) from error
    if broken is not None:
        raise DamagedCheckpoint(f"the checkpoint {path} is damaged: the content of {broken} differs from its checksum")


def _first_line(error: BaseException) -> str:
    return shorten((str(error) or type(error).__name__).splitlines()[0], 160)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read one checkpoint, and compare it with its checksums.

    Raises:
        DamagedCheckpoint: If it cannot be read to its end, or is not what was written.
        CheckpointError: If it is missing, or not a checkpoint of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}{_what_is_there(path.parent)}")
    state = load_verified(path)
    if not isinstance(state, dict) or "run" not in state or "model" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of naslib (no 'model' and 'run' in it)")
    return state


def what_is_not_finite(state: Mapping[str, Any]) -> str:
    """Return which trained part of a checkpoint holds NaN (or, among the weights, infinity), "" if none does."""
    if not all_finite(state["model"]):
        return "weights"
    return next((name.replace("_", " ") for name in _TRAINED if has_nan(state.get(name))), "")


def read_newest(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """Read the checkpoint at `path`; where it is damaged, the one before it, and say so.

    Args:
        path: A checkpoint, or a folder of checkpoints.

    Raises:
        DamagedCheckpoint: If none can be read.
        CheckpointError: If there is none, or it is not one of ours.
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


def read_on_all_ranks(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return what `read_newest` returns on rank 0, on every rank; its errors are raised on all of them."""
    return on_main(functools.partial(read_newest, path))


def _read_previous(path: Path, error: DamagedCheckpoint) -> tuple[Path, dict[str, Any]]:
    """Read the newest checkpoint before a damaged one; if there is none, one after it."""
    found = CheckpointManager(path.parent).candidates()
    place = found.index(path) if path in found else -1
    problems = [str(error)]
    for candidate in [*found[place + 1 :], *reversed(found[: max(place, 0)])]:
        try:
            state = read_checkpoint(candidate)
        except DamagedCheckpoint as another:
            problems.append(str(another))
            continue
        logger.warning("%s; falling back to the previous one, %s", "; ".join(problems), candidate.name)
        return candidate, state
    raise DamagedCheckpoint(
        f"{listed(problems, 3)}, and no other checkpoint is there to fall back to; start anew with --overwrite"
    ) from error


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


def _age(path: Path) -> tuple[int, Position]:
    return path.stat().st_mtime_ns, _position_of(path)


def _what_is_there(folder: Path) -> str:
    names = [path.name for path in CheckpointManager(folder).candidates()] if folder.is_dir() else []
    return f"; {folder} has {listed(names)}" if names else ""
