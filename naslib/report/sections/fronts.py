"""The fronts of searches for several objectives: of one run, and of several over each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history import Objective
from naslib.history.fronts import FrontGrowth, as_values, growth_of, reference_point, why_there

from ..amounts import counted, finite, listed, number, plain, spread
from ..blocks import Illustration, Note, Plots, Section, SideBySide, Table, TableCell, Text
from ..charts.fronts import FrontsOfGroup, front_chart
from ..charts.lines import Series, line_chart
from ..charts.palette import style
from ..groups import RunGroup
from ..reading import SavedRun
from .several import banded

Given = Sequence[float | None] | None
# Groups whose fronts are drawn
_MOST_GROUPS = 8


def objectives_of(run: SavedRun) -> tuple[Objective, ...]:
    """Return the objectives of a search for several, () of another one."""
    found = tuple(run.trials.objectives)
    return found if len(found) > 1 else ()


def growth(run: SavedRun) -> FrontGrowth:
    """Return how the front of a run grew."""
    return growth_of(run.trials, objectives_of(run), run.trials.about.get("dataset"))


def named(objective: Objective) -> str:
    """Return an objective in words, with its unit: `latency in ms`."""
    name = plain(objective.name).lower()
    return f"{name} in {objective.unit}" if objective.unit else name


def of_one_run(run: SavedRun, given: Given = None) -> list[Any]:
    """Return what a run's section on trials says of its front: size, hypervolume, and how it grew.

    Args:
        run: The run.
        given: Reference values in place of those of the summary, or of the front itself.

    Raises:
        ConfigError: If not as many values are given as there are objectives.
    """
    objectives = objectives_of(run)
    if not objectives:
        return []
    grown = growth(run)
    last = np.zeros((0, len(objectives))) if grown.last is None else grown.last
    if given is None:
        told = (run.summary.get("trials") or {}).get("reference_point")
        given = told if _is_point(told, len(objectives)) else None
    reference = reference_point([last], objectives, given)
    if reference is None or not len(last):
        return [Note("No trial has a value of every objective: there is no front.", True)]
    count = len(last)
    try:
        values = volumes_by_trial(grown, reference)
    except ConfigError as error:
        return [Note(f"{counted(count, 'trial')} on the front. There is no hypervolume: {error}")]
    many = "both" if len(objectives) == 2 else f"all {len(objectives)}"
    words = (
        f"{counted(count, 'trial')} {'are' if count > 1 else 'is'} on the front: no other is as good in {many} "
        f"objectives and better in one. Hypervolume {number(values[-1])} above "
        f"{_above(objectives, as_values(reference, objectives))}. It rises as the front comes nearer to the ideal or "
        "has more members; runs are compared above one point, as a page on several of them does."
    )
    series = [Series("hypervolume", values)]
    numbers = list(range(1, len(values) + 1))
    chart = line_chart("Hypervolume over trials", "trial", "hypervolume", numbers, series, is_step=True)
    return [Text(words), Plots("Hypervolume over trials", [("Hypervolume over trials", chart, "")])]


def _is_point(told: Any, length: int) -> bool:
    """Say whether what a summary tells is a point: so many finite numbers."""
    return isinstance(told, list) and len(told) == length and all(finite(value) is not None for value in told)


def volumes_by_trial(grown: FrontGrowth, reference: Sequence[float]) -> list[float | None]:
    """Return the hypervolume after each trial that is over, `(total,)`; 0 before the first with values.

    Raises:
        ConfigError: If moocore is not installed.
    """
    found: list[float | None] = [0.0] * grown.total
    volumes = grown.volumes(reference).tolist()
    ends = [*grown.evaluations.tolist(), grown.total + 1][1:]
    for start, end, volume in zip(grown.evaluations.tolist(), ends, volumes, strict=True):
        found[start - 1 : end - 1] = [volume] * (end - start)
    return found


def _above(objectives: Sequence[Objective], point: Sequence[float]) -> str:
    return ", ".join(
        f"{plain(objective.name).lower()} {number(value)} {objective.unit}".rstrip()
        for objective, value in zip(objectives, point, strict=True)
    )


def of_several(groups: Sequence[RunGroup], given: Given = None) -> Section | None:
    """Return fronts over each other, hypervolumes, and how they grew; None where nothing has a front.

    Args:
        groups: The runs. Those that search for other objectives than most are left out.
        given: Reference values of the objectives, None for the worst of all fronts with 5 % slack.

    Raises:
        ConfigError: If not as many values are given as there are objectives.
    """
    told = [(group, [run for run in group.runs if objectives_of(run)]) for group in groups]
    told = [(group, runs) for group, runs in told if runs]
    if not told:
        return None
    objectives = Counter(objectives_of(run) for _, runs in told for run in runs).most_common(1)[0][0]
    others = [group.name for group, runs in told if any(objectives_of(run) != objectives for run in runs)]
    told = [(group, [run for run in runs if objectives_of(run) == objectives]) for group, runs in told]
    grown = [(group, runs, [growth(run) for run in runs]) for group, runs in told if runs]
    ends = [one.last for _, _, all_of in grown for one in all_of if one.last is not None]
    reference = reference_point(ends, objectives, given)
    if reference is None or not ends:
        return Section(
            "fronts", "Fronts", [Note("No trial has a value of every objective: there are no fronts.", True)]
        )
    words = (
        f"Hypervolumes of {len(objectives)} objectives are above one point for all runs, "
        f"{_above(objectives, as_values(reference, objectives))}: {why_there(given)}."
    )
    blocks: list[Any] = [Text(words), SideBySide(_pictures(grown, groups, objectives, reference))]
    if others:
        blocks.append(Note(f"{listed(others)} searched for other objectives, and are left out where they did.", True))
    if len(grown) > _MOST_GROUPS:
        blocks.append(Note(f"Fronts of the first {_MOST_GROUPS} of {len(grown)} groups are drawn."))
    try:
        blocks += _volumes(grown, groups, reference)
    except ConfigError as error:
        blocks.append(Note(f"There are no hypervolumes: {error}", True))
    return Section("fronts", "Fronts", blocks)


_Grown = Sequence[tuple[RunGroup, Sequence[SavedRun], Sequence[FrontGrowth]]]


def _pictures(
    grown: _Grown, groups: Sequence[RunGroup], objectives: Sequence[Objective], reference: Sequence[float]
) -> list[Illustration]:
    """Return a picture of each pair of objectives."""
    found = []
    for up, across in itertools.combinations(range(len(objectives)), 2):
        shown = []
        for group, runs, all_of in grown[:_MOST_GROUPS]:
            # a run without a front attains nothing, and counts among those of which half attain something
            fronts = [np.zeros((0, 2)) if one.last is None else one.last[:, [across, up]] for one in all_of]
            names = [f"{group.name}, seed {run.seed}" for run in runs]
            shown.append(FrontsOfGroup(group.name, groups.index(group), fronts, names))
        x_name, y_name = named(objectives[across]), named(objectives[up])
        directions = objectives[across].maximize, objectives[up].maximize
        svg = front_chart(
            f"Fronts of {y_name} against {x_name}",
            x_name,
            y_name,
            shown,
            (reference[across], reference[up]),
            directions,
        )
        several = any(len(one.fronts) > 1 for one in shown)
        how = ": thin for each run, thick what half of a group's runs attain, the area quartiles" if several else ""
        legend = [(style(one.number).split()[0], one.name) for one in shown]
        caption = f"{y_name.capitalize()} against {x_name}{how}; the cross is the reference point."
        found.append(Illustration(caption, svg, legend=legend, is_plot=True))
    return found


def _volumes(grown: _Grown, groups: Sequence[RunGroup], reference: Sequence[float]) -> list[Any]:
    """Return the table of hypervolumes, and their curves over trials.

    Raises:
        ConfigError: If moocore is not installed.
    """
    told = [(group, [volumes_by_trial(one, reference) for one in all_of]) for group, _, all_of in grown]
    rows: list[list[TableCell | str]] = []
    for (group, columns), (_, _, all_of) in zip(told, grown, strict=True):
        ends = [column[-1] for column in columns if column]
        found = spread(ends)
        if found is None:
            continue
        mean, deviation, count = found
        sizes = spread(float(0 if one.last is None else len(one.last)) for one in all_of)
        known = [value for value in ends if value is not None]
        text = f"{number(mean)} ± {number(deviation, 2)}" if count > 1 else number(mean)
        rows.append(
            [
                group.name, TableCell(str(count), count), TableCell(text, mean),
                TableCell(number(min(known)), min(known)), TableCell(number(max(known)), max(known)),
                TableCell(number(sizes[0] if sizes else 0.0), sizes[0] if sizes else 0.0),
            ]
        )  # fmt: skip
    rows.sort(key=lambda row: -(row[2].sort or 0.0) if isinstance(row[2], TableCell) else 0.0)
    columns_of = ("group", "runs", "hypervolume", "worst", "best", "members of the front")
    caption = "Hypervolume: mean ± standard deviation over the runs of each group"
    blocks: list[Any] = [Table(caption, columns_of, rows, frozenset(range(1, 6)), is_sortable=True)]
    title = "Hypervolume over trials"
    chart = banded(title, "trial", "hypervolume", told[:_MOST_GROUPS], groups)
    if chart is not None:
        blocks.append(Plots(title, [(title, chart, "Mean over the runs of a group, and one standard deviation.")]))
    return blocks
