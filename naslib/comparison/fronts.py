"""The fronts of several searches for several objectives: hypervolumes above one point, and what most attain."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from naslib.errors import ConfigError
from naslib.history import Objective
from naslib.history.fronts import FrontGrowth, as_values, growth_of, reference_point, why_there
from naslib.history.load import Trials
from naslib.utils.files import atomic_write_text
from naslib.utils.log import get_logger

from .curves import Curve

logger = get_logger(__name__)


class VolumeRow(NamedTuple):
    """The hypervolumes of one method.

    Attributes:
        method: Its name.
        seeds: Number of seeds.
        mean: Mean of the hypervolumes.
        std: Their standard deviation (n - 1); None with one seed.
        worst: The smallest.
        best: The largest.
        size: Mean number of members of the fronts.
    """

    method: str
    seeds: int
    mean: float
    std: float | None
    worst: float
    best: float
    size: float


@dataclass(frozen=True)
class Fronts:
    """The fronts of searches for the same objectives, above one reference point.

    Attributes:
        objectives: m of them, two or more.
        reference: `(m,)` merits: larger is better.
        why: Why the reference point is there, in words.
        growths: How each front grew, by method and seed.
        volumes: The hypervolume of each front at the end, by method and seed; 0 of a search of which no trial has
            values.
    """

    objectives: Sequence[Objective]
    reference: tuple[float, ...]
    why: str
    growths: Mapping[str, Mapping[int, FrontGrowth]]
    volumes: Mapping[str, Mapping[int, float]]

    @property
    def point(self) -> list[float]:
        """The reference point in the units of the objectives."""
        return as_values(self.reference, self.objectives)

    def last(self, method: str) -> list[NDArray[np.float64]]:
        """Return the fronts of a method, `(k, m)` merits per seed; of a search without values no rows."""
        empty = np.zeros((0, len(self.objectives)))
        return [empty if growth.last is None else growth.last for growth in self.growths[method].values()]

    def curves(self, method: str) -> list[Curve]:
        """Return the hypervolume after each evaluation, a curve per seed; 0 before the first trial with values."""
        found = []
        for growth in self.growths[method].values():
            spent = np.concatenate([[0.0], growth.evaluations.astype(np.float64)])
            volumes = np.concatenate([[0.0], growth.volumes(self.reference)])
            found.append(Curve(spent, volumes, [], float(growth.total)))
        return found

    def rows(self) -> list[VolumeRow]:
        """Return the hypervolumes, the largest mean first."""
        rows = []
        for method, by_seed in self.volumes.items():
            values = np.array(list(by_seed.values()))
            std = float(values.std(ddof=1)) if len(values) > 1 else None
            size = float(np.mean([len(front) for front in self.last(method)]))
            rows.append(
                VolumeRow(
                    method, len(values), float(values.mean()), std, float(values.min()), float(values.max()), size
                )
            )
        return sorted(rows, key=lambda row: -row.mean)

    def in_words(self) -> str:
        """Return what the hypervolumes are above, as a sentence."""
        pairs = zip(self.objectives, self.point, strict=True)
        said = ", ".join(f"{objective.name} {value:.6g} {objective.unit}".rstrip() for objective, value in pairs)
        return f"Hypervolume of {len(self.objectives)} objectives above {said}: {self.why}."


def fronts_of(trials: Mapping[str, Mapping[int, Trials]], given: Sequence[float | None] | None = None) -> Fronts | None:
    """Return the fronts of several searches above one reference point.

    Args:
        trials: Of each search, by method and seed.
        given: Reference values of the objectives in their units, None for what the fronts say.

    Returns:
        None where the searches are not all for the same two or more objectives, where no trial has values, or where
        moocore is not installed (which is logged).

    Raises:
        ConfigError: If not as many reference values are given as there are objectives.
    """
    found = [one for by_seed in trials.values() for one in by_seed.values()]
    kinds = {tuple(one.objectives) for one in found}
    if len(kinds) != 1 or len(next(iter(kinds))) < 2:
        return None
    (objectives,) = kinds
    growths = {
        method: {seed: growth_of(one, objectives, one.about.get("dataset")) for seed, one in by_seed.items()}
        for method, by_seed in trials.items()
    }
    ends = [growth.last for by_seed in growths.values() for growth in by_seed.values() if growth.last is not None]
    reference = reference_point(ends, objectives, given)
    if reference is None or not ends:
        return None
    try:
        volumes = {
            method: {seed: growth.volume(reference) for seed, growth in by_seed.items()}
            for method, by_seed in growths.items()
        }
    except ConfigError as error:
        logger.warning("there are no hypervolumes: %s", error)
        return None
    return Fronts(objectives, reference, why_there(given), growths, volumes)


def volume_table(fronts: Fronts) -> str:
    """Return the hypervolumes of the methods as a table in Markdown, with what they are above below it."""
    lines = [
        "| method | seeds | hypervolume: mean ± std | worst to best | members of the front |",
        "|---|---|---|---|---|",
    ]
    for row in fronts.rows():
        std = "" if row.std is None else f" ± {row.std:.4g}"
        ends = f"{row.worst:.6g} to {row.best:.6g}"
        lines.append(f"| {row.method} | {row.seeds} | {row.mean:.6g}{std} | {ends} | {row.size:.1f} |")
    return "\n".join([*lines, "", fronts.in_words()]) + "\n"


def write_fronts(fronts: Fronts, path: Path) -> Path:
    """Write one row per member of a front, with the hypervolume of its search, and return the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "seed", *(objective.name for objective in fronts.objectives), "hypervolume"])
    for method, by_seed in fronts.growths.items():
        for seed, growth in by_seed.items():
            for merits in [] if growth.last is None else sorted(growth.last.tolist(), reverse=True):
                values = as_values(merits, fronts.objectives)
                writer.writerow([method, seed, *values, fronts.volumes[method][seed]])
    atomic_write_text(path, text.getvalue())
    return path
