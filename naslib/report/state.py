"""How far a run has come, and the command lines that go on with it or repeat it."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path

from naslib.config.config import Config
from naslib.errors import RunFolderError
from naslib.utils.lock import check_unlocked

from .reading import SavedRun

# Levels of folders below out_dir: space, data set, optimizer, seed
_LEVELS = 4


class RunStage(Enum):
    """How far a run has come."""

    FINISHED = "finished"
    SEARCHED = "its search is complete, and what it found has not been evaluated"
    RETRAINING = "its search is complete, its retraining is not"
    SEARCHING = "its search is not complete"
    BEGUN = "it was begun, and has recorded nothing yet"
    UNKNOWN = "its summary cannot be read, so how far it came is not known"


def stage_of(run: SavedRun) -> RunStage:
    """Return how far a run has come."""
    if any(trouble.startswith("summary.json") for trouble in run.troubles):
        return RunStage.UNKNOWN
    if run.summary:
        # summaries of earlier versions have no mode, and are written at the end
        if run.mode is not None or "evaluation_mode" not in run.summary:
            return RunStage.FINISHED
        return RunStage.RETRAINING if run.retraining or _has_weights(run.folder / "eval") else RunStage.SEARCHED
    if run.searched or run.trials or _has_weights(run.folder / "search"):
        return RunStage.SEARCHING
    return RunStage.RETRAINING if run.retraining or _has_weights(run.folder / "eval") else RunStage.BEGUN


def _has_weights(folder: Path) -> bool:
    return folder.is_dir() and next(folder.glob("*.pth"), None) is not None


def is_held(run: SavedRun) -> bool:
    """Say whether another process works on the run now."""
    try:
        check_unlocked(run.folder)
    except RunFolderError:
        return True
    return False


def command_line(run: SavedRun, *options: str, elsewhere: bool = False) -> str | None:
    """Return the command that runs the config of a run again.

    Args:
        run: The run.
        *options: Further words.
        elsewhere: Whether it goes to another folder, which the words name; else to the folder of the run.

    Returns:
        None where the command does not lead there: the folder was renamed, there is no config, or a script ran it with
        what its config does not say.
    """
    if run.is_scripted or not run.config:
        return None
    words = ["naslib", "--config", str(run.folder / "config.yaml"), *options]
    if not elsewhere:
        place = _out_dir(run)
        if place is None:
            return None
        words += place
    return shlex.join(words)


def _out_dir(run: SavedRun) -> list[str] | None:
    """Return the words that send a command to the folder of a run, none where its config does; None for no such."""
    config = Config(run.config)
    try:
        save = Path(config.save)
    except (KeyError, TypeError):
        return None
    here = run.folder.resolve()
    if save.resolve() == here:
        return []
    if save.parts[-_LEVELS:] != here.parts[-_LEVELS:]:
        return None
    above = run.folder if len(run.folder.parents) >= _LEVELS else here
    return [f"out_dir={above.parents[_LEVELS - 1]}"]
