"""Pictures of fronts: what no trial of a search dominates, in its objectives, and device by device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naslib.history import Objective

from .pictures import save_figure

_COLOUR, _OTHER, _RING = "#1f5fa8", "#777777", "#c05020"
_IN_A_ROW = 4


def draw_fronts(folder: Path, trials: Mapping[str, Any], objectives: Sequence[Objective]) -> list[Path]:
    """Draw the front of a search, and those of its devices where it has some.

    Args:
        folder: Where to.
        trials: As in `summary.json`; has `front` and `devices`.
        objectives: What the values are.

    Returns:
        The files.
    """
    files = draw_front(folder, trials["front"], objectives)
    return files + draw_devices(folder, trials["devices"], objectives) if trials["devices"] else files


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
        _draw_members(axes, x, y, _COLOUR, size=5, is_joined=len(objectives) == 2)
        axes.set_xlabel(objectives[other].in_words)
        axes.set_ylabel(objectives[0].in_words)
        axes.grid(alpha=0.3)
    figure.suptitle(f"{len(values)} architectures that no other dominates")
    return save_figure(figure, folder / "front")


def draw_devices(folder: Path, devices: Mapping[str, Any], objectives: Sequence[Objective]) -> list[Path]:
    """Draw the front of each device, score against cost, to `devices.svg` and `devices.png`.

    A panel per device, four in a row, with the hypervolume where it is known; rings are what the method proposes and
    has looked up. Devices that the method did not learn are drawn in grey.

    Args:
        folder: Where to.
        devices: By name of a cost `members` and `proposed` with `values`, `hypervolume` and `learned`.
        objectives: What the values are; the first is the score.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure

    by_name = {objective.name: objective for objective in objectives}
    columns = min(_IN_A_ROW, len(devices))
    rows = -(-len(devices) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.1 * rows), layout="constrained")
    for place, (name, found) in enumerate(devices.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        colour = _COLOUR if found["learned"] else _OTHER
        x, y = [m["values"][1] for m in found["members"]], [m["values"][0] for m in found["members"]]
        _draw_members(axes, x, y, colour, size=4)
        proposed = [row["values"] for row in found.get("proposed", ()) if row.get("values")]
        rings = [row[1] for row in proposed], [row[0] for row in proposed]
        axes.plot(*rings, "o", markersize=8, markerfacecolor="none", markeredgecolor=_RING)
        volume = "" if found["hypervolume"] is None else f", hypervolume {found['hypervolume']:.4g}"
        axes.set_title(f"{name}{volume}" + ("" if found["learned"] else " (not learned)"), fontsize=9)
        unit = by_name[name].unit
        axes.set_xlabel(f"[{unit}]" if unit else "cost", fontsize=8)
        if place % columns == 0:
            axes.set_ylabel(objectives[0].in_words, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    ringed = any(row.get("values") for found in devices.values() for row in found.get("proposed", ()))
    said = "; rings are what the method proposes, where it was looked up" if ringed else ""
    figure.suptitle(f"Fronts by device{said}", fontsize=10)
    return save_figure(figure, folder / "devices")


def _draw_members(
    axes: Any, x: Sequence[float], y: Sequence[float], colour: str, size: int, is_joined: bool = True
) -> None:
    """Draw the members of a front, from the best `y` on, and the edge of what they dominate."""
    if is_joined:  # between two members only the next one, which is worse by y, is as good by x
        axes.step(x, y, where="pre", color=colour, linewidth=1.0, alpha=0.5)
    axes.plot(x, y, "o", color=colour, markersize=size)
