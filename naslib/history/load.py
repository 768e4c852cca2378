"""Read the trials of a run, also of one that is still searching."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from naslib.errors import HistoryError
from naslib.utils.files import atomic_write_text

from .sqlite import FILE_NAME, SqliteHistory
from .trial import Objective, State, Trial


class Trials(list[Trial]):
    """The trials of a search in the order of their numbers.

    Args:
        trials: The trials.
        objectives: What their values are.
        about: What the history says of the search.

    Attributes:
        objectives: What their values are.
        about: What the history says of the search.
    """

    def __init__(
        self,
        trials: Iterable[Trial] = (),
        objectives: tuple[Objective, ...] = (),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(trials)
        self.objectives, self.about = objectives, dict(about or {})

    def best(self) -> Trial | None:
        """Return the best complete trial by the first objective, of equals the first; None if there is none.

        Of trials at several fidelities it is the best at the highest one that a complete trial has.
        """
        merit = (self.objectives[0] if self.objectives else Objective("value")).merit
        found = [trial for trial in self if trial.state is State.COMPLETE and trial.values]
        fidelities = {trial.fidelity for trial in found}
        highest = -1 if -1 in fidelities else max(fidelities, default=-1)
        found = [trial for trial in found if trial.fidelity == highest]
        return max(found, key=lambda trial: merit(trial.values[0] if trial.values else 0.0), default=None)

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write one row per trial: number, state, a column per objective, the rest; return the path.

        The code and what stands in `user` are JSON. Numbers are written such that they read back exactly.
        """
        width = max([len(self.objectives), *(len(trial.values or ()) for trial in self)])
        names = [o.name for o in self.objectives] + [f"value_{i}" for i in range(len(self.objectives), width)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = ["number", "state", *names, "fidelity", "seconds", "seed", "worker", "parent", "code", "user"]
        writer.writerow(columns)
        for trial in self:
            values = list(trial.values or ())
            row = [trial.number, trial.state.name, *values, *[None] * (width - len(values)), trial.fidelity]
            row += [trial.seconds, trial.seed, trial.worker, trial.parent, json.dumps(trial.code)]
            writer.writerow([*row, json.dumps(dict(trial.user))])
        atomic_write_text(Path(path), text.getvalue())
        return Path(path)


def load(run_folder: str | os.PathLike[str]) -> Trials:
    """Return the trials of a run.

    Args:
        run_folder: The run folder, or the `history.sqlite` in it.

    Raises:
        HistoryError: If there is no history, or it cannot be read.
    """
    path = Path(run_folder)
    if path.is_dir() or path.suffix != Path(FILE_NAME).suffix:
        path = path / FILE_NAME
    if not path.is_file():
        raise HistoryError(f"there is no {FILE_NAME} in {path.parent}{_what_else(path.parent)}")
    history = SqliteHistory(path, readonly=True)
    with history:
        return Trials(history.trials(), history.objectives, history.about)


def _what_else(folder: Path) -> str:
    if not folder.is_dir():
        return ", which is no folder"
    if (folder / "errors.json").is_file():
        return (
            ": the run is of a method that trains a supernet, or of an earlier version; errors.json has what it "
            "measured, epoch by epoch, without the architectures"
        )
    return ": it is no run folder of a black-box search, or the search has not begun"
