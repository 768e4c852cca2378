"""The picture of a front: what no trial of a search dominates, in its objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naslib.history import Objective

from .pictures import save_figure

_COLOUR = "#1f5fa8"


def draw_front(folder: Path, front: Mapping[str, Any], objectives: Sequence[Objective]) -> list[Path]:
    """Draw the first objective of a front against each of the others to `front.svg` and `front.png`.

    Two objectives are joined as steps, along the edge of what is dominated.

    Args:
        folder: Where to.
        front: Has `members` with `values`, from the best by the first objective.
        objectives: What the values are.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure

    values = [member["values"] for member in front["members"]]
    others = range(1, len(objectives))
    figure = Figure(figsize=(5.0 * len(others), 4.0), layout="constrained")
    for place, other in enumerate(others):
        axes = figure.add_subplot(1, len(others), place + 1)
        x, y = [row[other] for row in values], [row[0] for row in values]
        if len(objectives) == 2:
            # between two members only the next one, which is worse by the first objective, is as good by the other
            axes.step(x, y, where="pre", color=_COLOUR, linewidth=1.0, alpha=0.5)
        axes.plot(x, y, "o", color=_COLOUR, markersize=5)
        axes.set_xlabel(_label(objectives[other]))
        axes.set_ylabel(_label(objectives[0]))
        axes.grid(alpha=0.3)
    figure.suptitle(f"{len(values)} architectures that no other dominates")
    return save_figure(figure, folder / "front")


def _label(objective: Objective) -> str:
    unit = f" [{objective.unit}]" if objective.unit else ""
    return (
        f"{objective.name.lower().replace('_', ' ')}{unit}, {'larger' if objective.maximize else 'smaller'} is better"
    )
