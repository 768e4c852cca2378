"""What a run came to, read from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naslib.errors import HistoryError, RunFolderError
from naslib.history import FILE_NAME, Objective
from naslib.history.load import Trials, load


@dataclass(frozen=True)
class RunResult:
    """One run of one method.

    Attributes:
        method: Name of the method.
        seed: Seed of the run.
        folder: Its run folder.
        score: What the architecture that was found reached, on the part of the data that the search never saw.
        objective: What the search itself looked at, the first of several; None of a method that evaluates no trials.
        value: The best value of it.
        evaluations: Number of trials that are over.
        seconds: What they took, simulated where a table says it; of other methods the seconds of the search.
        params: Parameters of the network in millions, None where they are not known.
        trials: The trials, in the order of their numbers.
        is_queried: Whether the score is what a table says, of the very networks that were searched.
    """

    method: str
    seed: int
    folder: Path
    score: float
    objective: Objective | None
    value: float | None
    evaluations: int
    seconds: float
    params: float | None
    trials: Trials
    is_queried: bool = False


def read_run(folder: str | Path, method: str) -> RunResult:
    """Return what a finished run came to.

    Args:
        folder: The run folder.
        method: What it is called in the comparison.

    Raises:
        RunFolderError: If the run has no result yet.
    """
    path = Path(folder) / "summary.json"
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    if summary.get("score") is None:
        raise RunFolderError(f"the run in {folder} has no score: what it found has not been evaluated")
    trials = trials_of(Path(folder))
    best = trials.best()
    objective = trials.objectives[0] if trials.objectives else None
    seconds = sum(trial.seconds for trial in trials if trial.state.is_over)
    return RunResult(
        method,
        int(summary["seed"]),
        Path(folder),
        float(summary["score"]),
        objective,
        best.values[0] if best is not None and best.values else None,
        sum(trial.state.is_over for trial in trials) or int(summary.get("search_evaluations") or 0),
        seconds if trials else float(summary["search_seconds"]),
        summary.get("params_millions"),
        trials,
        summary.get("evaluation_mode") == "query",
    )


def is_finished(folder: str | Path) -> bool:
    """Say whether a run folder has the result of a run that ended."""
    try:
        return json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8")).get("score") is not None
    except (OSError, ValueError):
        return False


def trials_of(folder: Path) -> Trials:
    """Return the trials of a run, none of a method that has none.

    Raises:
        RunFolderError: If they cannot be read.
    """
    if not (folder / FILE_NAME).is_file():
        return Trials()
    try:
        return load(folder)
    except HistoryError as error:
        raise RunFolderError(f"the trials of {folder} cannot be read: {error}") from error
