"""Sections of a page on several runs: table, curves with bands, scores against sizes, what differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from naslib.history import Objective

from ..amounts import DASH, counted, duration, finite, listed, mean_and_std, number, plain, score, spread
from ..blocks import Folded, Illustration, Note, Plots, Section, SideBySide, Table, TableCell, Text, Warnings
from ..charts.lines import Series, line_chart
from ..charts.palette import style
from ..charts.scatter import Point, front_of, scatter
from ..groups import RunGroup, different_keys, obstacles, settings_of
from ..reading import SavedRun
from ..state import RunStage, stage_of
from .curves import rows_to_series
from .incumbents import incumbents
from .settings import shown

_MOST_RUNS = 200
_SIZES = ("params, M", "mult.-acc., M", "search", "in all")
# Lines in one chart
_MOST_GROUPS = 12


def overview(groups: Sequence[RunGroup]) -> Section:
    """Return the table of groups, and the warnings that go before it."""
    runs = [run for group in groups for run in group.runs]
    blocks: list[Any] = [Text(_sentence(groups, runs))]
    if found := obstacles(groups):
        blocks.append(Warnings("Before you compare:", found))
    unfinished = [run for run in runs if stage_of(run) is not RunStage.FINISHED]
    if unfinished:
        blocks.append(
            Note(
                f"{len(unfinished)} of {counted(len(runs), 'run')} have not ended: "
                f"{listed([str(run.folder) for run in unfinished], 3)}.",
                True,
            )
        )
    if troubles := [f"{run.folder}: {trouble}" for run in runs for trouble in run.troubles]:
        blocks.append(Warnings("Files that could not be used:", troubles[:20]))
    blocks.append(_table(groups))
    blocks.append(Folded(f"All {counted(len(runs), 'run')}", [_all_runs(runs)], is_printed=len(runs) <= 40))
    return Section("comparison", "Comparison", blocks)


def _sentence(groups: Sequence[RunGroup], runs: Sequence[SavedRun]) -> str:
    words = (
        f"{counted(len(runs), 'run')} in {counted(len(groups), 'group')}; runs of a group differ in their seeds alone. "
    )
    ranked = _ranked(groups)
    if len(ranked) > 1:
        (first, one), (second, other) = ranked[0], ranked[1]
        gap = abs(one[0] - other[0])
        noise = math.hypot(one[1] / math.sqrt(one[2]), other[1] / math.sqrt(other[2]))
        unit = first.first.unit
        if gap == 0:
            return f"{words}{first.name} and {second.name} have the same best mean, {score(one[0], unit)}. "
        words += f"The best mean has {first.name}, {score(one[0], unit)}, "
        words += f"followed by {second.name}, {score(other[0], unit)}. "
        if min(one[2], other[2]) < 2:
            words += "With one run each, the difference may be chance alone."
        elif gap <= 2 * noise:
            words += f"The difference, {number(gap, 3)}, is within two standard errors ({number(2 * noise, 3)}): "
            words += "it may be chance."
        else:
            words += f"The difference, {number(gap, 3)}, is more than two standard errors ({number(2 * noise, 3)})."
    return words


def _ranked(groups: Sequence[RunGroup]) -> list[tuple[RunGroup, tuple[float, float, int]]]:
    """Return groups with mean, deviation and count of their scores, the best first; [] where scores differ in kind."""
    if len({(group.first.score_name, group.first.maximize) for group in groups}) > 1:
        return []
    told = [(group, spread(run.score for run in group.runs)) for group in groups]
    known = [(group, found) for group, found in told if found is not None]
    return sorted(known, key=lambda pair: -pair[1][0] if pair[0].first.maximize else pair[1][0])


def _table(groups: Sequence[RunGroup]) -> Table:
    firsts = [group.first for group in groups]
    kinds = {(run.score_name, run.unit) for run in firsts}
    # what all have in common needs no column
    places = [key for key in ("search_space", "dataset") if len({run.of(key) for run in firsts}) > 1]
    rows: list[list[TableCell | str]] = []
    for group in groups:
        first, values = group.first, [run.score for run in group.runs]
        found = spread(values)
        shown_score = mean_and_std(values, first.unit)
        shown_score = shown_score if len(kinds) == 1 else f"{plain(first.score_name)} {shown_score}"
        best = [value for value in values if value is not None]
        top = (max(best) if first.maximize else min(best)) if best else None
        row: list[TableCell | str] = [group.name, *(first.of(key) for key in places)]
        row += [TableCell(str(len(group.runs)), len(group.runs)), TableCell(shown_score, found[0] if found else None)]
        row.append(TableCell(score(top, first.unit), top))
        for key in ("params_millions", "flops_millions"):
            numbers = [finite(run.summary.get(key)) for run in group.runs]
            mean = spread(numbers)
            row.append(TableCell(mean_and_std(numbers) if mean else DASH, mean[0] if mean else None))
        for key in ("search_seconds", "total_seconds"):
            mean = spread(finite(run.summary.get(key)) for run in group.runs)
            row.append(TableCell(duration(mean[0]) if mean else DASH, mean[0] if mean else None))
        rows.append(row)
    name = f"test {plain(firsts[0].score_name)}" if len(kinds) == 1 else "test score"
    words = {"search_space": "space", "dataset": "data"}
    heads = (
        "group",
        *(words[key] for key in places),
        "runs",
        name,
        "best",
        "params, M",
        "mult.-acc., M",
        "search",
        "in all",
    )
    caption = "Mean ± standard deviation over the runs of each group; times are means"
    return Table(caption, heads, rows, frozenset(range(1 + len(places), len(heads))), is_sortable=True)


def _all_runs(runs: Sequence[SavedRun]) -> Table:
    rows: list[list[TableCell | str]] = []
    for run in runs[:_MOST_RUNS]:
        seed = int(run.seed) if run.seed.isdigit() else None
        params = finite(run.summary.get("params_millions"))
        rows.append(
            [
                run.method, TableCell(run.seed, seed), TableCell(score(run.score, run.unit), run.score),
                TableCell(number(params), params),
                stage_of(run).name.lower(), str(run.folder),
            ]
        )  # fmt: skip
    more = f", the first {_MOST_RUNS} of {len(runs)}" if len(runs) > _MOST_RUNS else ""
    columns = ("method", "seed", "test score", "parameters in M", "stage", "folder")
    return Table(f"Runs{more}", columns, rows, frozenset((1, 2, 3)), is_sortable=True)


def curves_of(groups: Sequence[RunGroup]) -> Section:
    """Return curves of all groups: means over their runs, with bands of one standard deviation."""
    shown_groups = groups[:_MOST_GROUPS]
    charts = []
    for title, axis, value_name, told in (
        (
            "Search: score on the validation part",
            "epoch",
            "validation score",
            [(g, [_validation(run) for run in g.runs]) for g in shown_groups if not g.first.is_black_box],
        ),
        (
            "Search: loss on the validation part",
            "epoch",
            "validation loss",
            [
                (g, [run.search.get("valid_loss", []) for run in g.runs])
                for g in shown_groups
                if not g.first.is_black_box
            ],
        ),
        (
            "Black-box search: best value so far",
            "trial",
            "best value",
            [(g, [_best_values(run) for run in g.runs]) for g in shown_groups if g.first.is_black_box],
        ),
        (
            "Retraining: loss",
            "epoch",
            "training loss",
            [(g, [rows_to_series(run.retraining).get("train_loss", []) for run in g.runs]) for g in shown_groups],
        ),
    ):
        chart = banded(title, axis, value_name, told, groups)
        if chart is not None:
            charts.append((title, chart, ""))
    blocks: list[Any] = []
    if charts:
        blocks.append(
            Text(
                "A line is the mean over the runs of a group, as far as all of them have come; the band is one "
                "standard deviation to each side."
            )
        )
        blocks.append(SideBySide([Plots(title, [(title, chart, caption)]) for title, chart, caption in charts]))
    else:
        blocks.append(Note("No run has recorded a curve."))
    if len(groups) > _MOST_GROUPS:
        blocks.append(Note(f"Curves of the first {_MOST_GROUPS} of {len(groups)} groups are drawn."))
    return Section("curves", "Curves", blocks)


def _validation(run: SavedRun) -> list[float | None]:
    key = "acc" if run.score_name == "accuracy" else run.score_name
    return run.search.get(f"valid_{key}", [])


def _best_values(run: SavedRun) -> list[float | None]:
    over = [trial for trial in run.trials if trial.state.is_over]
    return incumbents(over, (run.trials.objectives or (Objective("value"),))[0])


def banded(
    title: str,
    axis: str,
    name: str,
    told: Sequence[tuple[RunGroup, Sequence[Sequence[float | None]]]],
    groups: Sequence[RunGroup],
) -> Any:
    """Return a chart of the means of groups with bands of one standard deviation, None where nothing is known.

    Args:
        title: Its name.
        axis: What the positions are; between trials a value holds until the next.
        name: What the values are.
        told: Per group a series of each of its runs.
        groups: All groups of the page, whose places are their colours.
    """
    series, length, first = [], 0, None
    for group, columns in told:
        known = [column for column in columns if any(value is not None for value in column)]
        if not known:
            continue
        shortest = min(len(column) for column in known)
        spreads = [spread(column[index] for column in known) for index in range(shortest)]
        mean = [found[0] if found else None for found in spreads]
        low = [found[0] - found[1] if found and found[2] > 1 else None for found in spreads]
        high = [found[0] + found[1] if found and found[2] > 1 else None for found in spreads]
        series.append((groups.index(group), Series(f"{group.name} ({counted(len(known), 'run')})", mean, low, high)))
        length = max(length, shortest)
        first = first or group
    if not series:
        return None
    return line_chart(
        title,
        axis,
        name,
        range(1, length + 1),
        [one for _, one in series],
        is_step=axis == "trial",
        styles=[at for at, _ in series],
    )


def pareto(groups: Sequence[RunGroup]) -> Section | None:
    """Return scores of all runs against parameters, multiply-accumulates and time, None where nothing can be drawn."""
    runs = [(number_of, run) for number_of, group in enumerate(groups) for run in group.runs if run.score is not None]
    if len({run.score_name for _, run in runs}) != 1 or len(runs) < 2:
        return None
    first = runs[0][1]
    y_name = f"test {plain(first.score_name)}{f' in {first.unit}' if first.unit else ''}"
    names: list[str] = []
    drawings = []
    for key, name in (
        ("params_millions", "parameters in M"),
        ("flops_millions", "multiply-accumulates in M"),
        ("total_seconds", "seconds in all"),
    ):
        known = [(at, run, value) for at, run in runs if (value := finite(run.summary.get(key))) is not None]
        if len(known) < 2:
            continue
        pairs = [(value, run.score or 0.0) for _, run, value in known]
        front = front_of(pairs, (False, first.maximize))
        points = [
            Point(*pair, f"{groups[at].name}, seed {run.seed}", at, is_on)
            for pair, (at, run, _), is_on in zip(pairs, known, front, strict=True)
        ]
        legend = [(style(at).split()[0], group.name) for at, group in enumerate(groups)]
        drawings.append(
            Illustration(
                f"{y_name.capitalize()} against {name}.",
                scatter(f"{y_name} against {name}", name, y_name, points, (False, first.maximize)),
                legend=legend,
                is_plot=True,
            )
        )
        names += [
            f"{groups[at].name}, seed {run.seed}" for (at, run, _), is_on in zip(known, front, strict=True) if is_on
        ]
    if not drawings:
        return None
    words = "Each mark is a run. Filled ones are not beaten by any other in both; which these are, over all pictures: "
    return Section(
        "pareto",
        "Scores against sizes and time",
        [SideBySide(drawings), Text(f"{words}{listed(list(dict.fromkeys(names)), 8)}.")],
    )


def differences(groups: Sequence[RunGroup]) -> Section:
    """Return the settings in which groups differ."""
    keys = different_keys(groups)
    if not keys:
        return Section("differences", "What differs", [Text("The groups have the same settings.")])
    rows = [[key, *(shown(settings_of(group.first).get(key)) for group in groups)] for key in keys]
    table = Table("Settings that are not the same in all groups", ("key", *(group.name for group in groups)), rows)
    return Section("differences", "What differs", [table])
