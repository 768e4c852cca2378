"""One config over several seeds: what each run came to, mean and standard deviation, and the files that say so."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from naslib.utils.files import atomic_write_json, atomic_write_text

from .fronts import Fronts, fronts_of, write_fronts
from .runs import trials_of

# What is averaged: attribute of a SeedRun, heading, unit
_COLUMNS = (
    ("search_seconds", "search", "s"),
    ("params_millions", "parameters", "M"),
)
NAME = "seeds"


class Spread(NamedTuple):
    """Mean and standard deviation of a sample.

    Attributes:
        mean: The mean; None of no values.
        std: The standard deviation, divided by n - 1; None of fewer than two values.
        n: How many there are.
    """

    mean: float | None
    std: float | None
    n: int


@dataclass(frozen=True)
class SeedRun:
    """One seed.

    Attributes:
        seed: The seed.
        folder: Its run folder.
        state: `"finished"`, `"failed"`, or `"unfinished"`.
        score: What the architecture reached on the test set, None where it is not known.
        search_seconds: What the search took, of all its parts where it was interrupted.
        trial_seconds: What its trials took, simulated where a table tells it; None of a method without trials.
        params_millions: Parameters of the network.
        flops_millions: Its multiply-accumulates.
        total_seconds: Search and evaluation.
        hypervolume: Of the front of a search for several objectives, above the point that all seeds have in common.
        trouble: What went wrong, "" for nothing.
    """

    seed: int
    folder: str
    state: str
    score: float | None = None
    search_seconds: float | None = None
    trial_seconds: float | None = None
    params_millions: float | None = None
    flops_millions: float | None = None
    total_seconds: float | None = None
    hypervolume: float | None = None
    trouble: str = ""


@dataclass(frozen=True)
class SeedsResult:
    """What one config came to over several seeds.

    Attributes:
        runs: One per seed, in the order in which the seeds were asked for.
        score_name: What the score is.
        score_unit: Its unit, "" for none.
        maximize: Whether larger is better.
        folder: Where the table is left: the folder above those of the seeds.
        fronts: The fronts of finished searches for several objectives, None of others.
    """

    runs: Sequence[SeedRun]
    score_name: str
    score_unit: str
    maximize: bool
    folder: Path
    fronts: Fronts | None = None

    @property
    def scores(self) -> dict[int, float]:
        """The scores of the seeds that have one."""
        return {run.seed: run.score for run in self.runs if run.score is not None}

    @property
    def failed(self) -> dict[int, str]:
        """What went wrong, by seed."""
        return {run.seed: run.trouble for run in self.runs if run.state == "failed"}

    @property
    def mean(self) -> float | None:
        """Mean of the scores, None where there are none."""
        return self.spread("score").mean

    @property
    def std(self) -> float | None:
        """Standard deviation of the scores (n - 1), None of fewer than two."""
        return self.spread("score").std

    def spread(self, name: str) -> Spread:
        """Return mean and standard deviation of an attribute of the runs that have it.

        Args:
            name: Such as `score` or `search_seconds`.
        """
        return spread([getattr(run, name) for run in self.runs if getattr(run, name) is not None])

    def table(self) -> str:
        """Return the runs as a table in Markdown, with the mean and what the numbers are below it."""
        score = f"{self.score_name} ({self.score_unit})" if self.score_unit else self.score_name
        heads = ["seed", score, *(f"{head} ({unit})" for _, head, unit in _COLUMNS)]
        names = ["score", *(name for name, *_ in _COLUMNS)]
        if self.fronts is not None:
            heads.insert(2, "hypervolume")
            names.insert(1, "hypervolume")
        lines = [_row(heads), "|" + "---|" * len(heads)]
        for run in self.runs:
            cells = [self._show(name, getattr(run, name)) for name in names]
            cells[0] = cells[0] or run.state
            lines.append(_row([str(run.seed), *cells]))
        lines.append(_row(["mean ± std", *(self._spread_in_words(name) for name in names)]))
        return "\n".join([*lines, "", *self._remarks()]) + "\n"

    def headline(self) -> str:
        """Return the score in one line: `accuracy 96.24 ± 0.31 % over 5 seeds`."""
        n = self.spread("score").n
        if n == 0:
            return "no seed has a score"
        unit = f" {self.score_unit}" if self.score_unit else ""
        return f"{self.score_name} {self._spread_in_words('score')}{unit} over {n} seed{'s' if n != 1 else ''}"

    def _remarks(self) -> list[str]:
        n, asked = self.spread("score").n, len(self.runs)
        lines = [f"{self.headline()}; the standard deviation is that of a sample (n - 1)." if n > 1 else ""]
        if n == 1:
            lines = [f"{self.headline()}; one seed has no standard deviation."]
        if n == 0:
            lines = ["No seed has a score."]
        if 0 < n < asked:
            lines.append(f"{asked - n} of {asked} seeds are not in the mean.")
        if self.fronts is not None:
            lines.append(self.fronts.in_words())
        lines += [
            f"Seed {run.seed} {run.state}{': ' + run.trouble.splitlines()[0] if run.trouble else ''}"
            for run in self.runs
            if run.state != "finished"
        ]
        return lines

    def _show(self, name: str, value: float | None) -> str:
        if value is None:
            return ""
        if name == "score":
            return f"{value:.2f}" if self.score_unit == "%" else f"{value:.4g}"
        if name == "hypervolume":
            return f"{value:.5g}"
        return f"{value:.4f}" if name == "params_millions" else f"{value:.1f}"

    def _spread_in_words(self, name: str) -> str:
        found = self.spread(name)
        if found.mean is None:
            return ""
        std = f" ± {self._show(name, found.std)}" if found.std is not None else ""
        return f"{self._show(name, found.mean)}{std}"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, as `seeds.json` has them."""
        names = (
            "score", "search_seconds", "trial_seconds", "params_millions", "flops_millions", "total_seconds",
            "hypervolume",
        )  # fmt: skip
        return {
            "score_name": self.score_name,
            "score_unit": self.score_unit or None,
            "maximize": self.maximize,
            "seeds": [run.seed for run in self.runs],
            **{name: self.spread(name)._asdict() for name in names},
            "objectives": [list(objective) for objective in self.fronts.objectives] if self.fronts else None,
            "reference_point": self.fronts.point if self.fronts else None,
            "runs": [asdict(run) for run in self.runs],
        }

    def files(self) -> list[Path]:
        """Return `seeds.json`, `seeds.csv`, `seeds.md`, and of fronts `fronts.csv`, `.svg` and `.png`."""
        told = [self.folder / f"{NAME}{suffix}" for suffix in (".json", ".csv", ".md")]
        fronts = [self.folder / f"fronts{suffix}" for suffix in (".csv", ".svg", ".png")]
        return told + (fronts if self.fronts is not None else [])

    def write(self) -> list[Path]:
        """Write the files and return them."""
        paths = self.files()
        atomic_write_json(paths[0], self.to_dict())
        text = io.StringIO()
        writer = csv.DictWriter(text, list(SeedRun.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(run) for run in self.runs)
        atomic_write_text(paths[1], text.getvalue())
        atomic_write_text(paths[2], self.table())
        if self.fronts is not None:
            from .front_pictures import draw_fronts  # matplotlib

            write_fronts(self.fronts, paths[3])
            draw_fronts(self.fronts, paths[3].with_suffix(""))
        return paths


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation (n - 1).

    Args:
        values: `(n,)`.
    """
    n = len(values)
    mean = statistics.fmean(values) if n else None
    return Spread(mean, statistics.stdev(values) if n > 1 else None, n)


def read_seeds(
    folders: Mapping[int, Path],
    troubles: Mapping[int, str],
    parent: Path,
    reference: Sequence[float | None] | None = None,
) -> SeedsResult:
    """Return what the runs of several seeds came to.

    Args:
        folders: Run folder of each seed.
        troubles: What went wrong with which; a seed that failed has no score, whatever an older file says.
        parent: Where the table goes.
        reference: Of the hypervolumes of several objectives; see `naslib.history.fronts.reference_point`.

    Raises:
        ConfigError: If the reference has another number of values than there are objectives.
        RunFolderError: If the trials of a run cannot be read.
    """
    runs, about, several = [], {}, {}
    for seed, folder in folders.items():
        if seed in troubles:
            runs.append(SeedRun(seed, str(folder), "failed", trouble=troubles[seed]))
            continue
        summary = _summary(folder)
        if summary.get("evaluation_mode") is None:
            runs.append(SeedRun(seed, str(folder), "unfinished"))
            continue
        about = summary
        runs.append(_finished(seed, folder, summary))
        if len((summary.get("trials") or {}).get("objectives") or ()) > 1:
            several[seed] = trials_of(folder)
    method = str(about.get("optimizer") or NAME)
    fronts = fronts_of({method: several}, reference)
    if fronts is not None:
        volumes = fronts.volumes[method]
        runs = [replace(run, hypervolume=volumes.get(run.seed)) for run in runs]
    return SeedsResult(
        runs, str(about.get("score_name") or "score"), str(about.get("score_unit") or ""),
        bool(about.get("maximize", True)), parent, fronts,
    )  # fmt: skip


def _finished(seed: int, folder: Path, summary: Mapping[str, Any]) -> SeedRun:
    trials = summary.get("trials") or {}
    return SeedRun(
        seed, str(folder), "finished", summary.get("score"), summary.get("search_seconds"), trials.get("seconds"),
        summary.get("params_millions"), summary.get("flops_millions"), summary.get("total_seconds"),
    )  # fmt: skip


def _summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a run, {} where there is none that can be read."""
    try:
        content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
