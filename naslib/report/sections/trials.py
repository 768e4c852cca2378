"""Section: the trials of a black-box search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from naslib.history import Objective, State, Trial

from ..amounts import DASH, counted, duration, finite, number, plain, score
from ..blocks import Heading, Illustration, Note, Plots, Section, SideBySide, Table, TableCell, Text
from ..charts.lines import Series, line_chart
from ..charts.scatter import Point, front_of, scatter
from ..reading import SavedRun
from .fronts import of_one_run
from .incumbents import incumbents

_BEST = 10
# Trials whose learning curves are drawn
_CURVES = 8


def trials(run: SavedRun, reference: Sequence[float | None] | None = None) -> Section | None:
    """Return the section of the trials, None of a run that has none.

    Args:
        run: The run.
        reference: Values that the hypervolume of several objectives is above, in place of the run's own.

    Raises:
        ConfigError: If not as many values are given as there are objectives.
    """
    if not run.is_black_box:
        return None
    if not run.trials:
        why = "history.sqlite is missing or cannot be read, or the search has not begun"
        return Section("trials", "Trials", [Note(f"There are no trials to show: {why}.", True)])
    objectives = run.trials.objectives or (Objective("value"),)
    over = [trial for trial in run.trials if trial.state.is_over]
    blocks: list[Any] = [Text(_intro(run, over, objectives))]
    if run.trials.objectives and any(trial.values for trial in over):
        blocks += _incumbents(over, objectives[0])
        blocks += _fronts(over, objectives)
    blocks += of_one_run(run, reference)
    blocks += _best(run, over, objectives)
    blocks += _learning_curves(over, objectives[0])
    return Section("trials", "Trials", blocks)


def _named(objective: Objective) -> str:
    return plain(objective.name).lower()


def _with_unit(objective: Objective) -> str:
    return f"{_named(objective)} in {objective.unit}" if objective.unit else _named(objective)


def _intro(run: SavedRun, over: Sequence[Trial], objectives: Sequence[Objective]) -> str:
    states = {state: sum(trial.state is state for trial in run.trials) for state in State}
    parts = [f"{states[State.COMPLETE]} complete"]
    parts += [f"{states[state]} {state.value}" for state in State if state is not State.COMPLETE and states[state]]
    better = ", ".join(f"{_named(o)} ({'more' if o.maximize else 'less'} is better)" for o in objectives)
    words = f"{counted(len(run.trials), 'trial')}: {', '.join(parts)}. What counts is {better}. "
    best = run.trials.best()
    if best is not None and best.values:
        said = ", ".join(f"{_named(o)} {score(v, o.unit)}" for o, v in zip(objectives, best.values, strict=False))
        words += f"The best is trial {best.number}: {said}. "
        after = sum(1 for trial in over if trial.number > best.number)
        share = after / len(over)
        words += f"{counted(after, 'trial')} came after it without a better one"
        words += "." if share > 0.25 else ": it was found late, so that more trials may find better ones."
    return words


def _incumbents(over: Sequence[Trial], objective: Objective) -> list[Any]:
    best = incumbents(over, objective)
    name = _with_unit(objective)
    each = [trial.values[0] if trial.values else None for trial in over]
    numbers = [trial.number for trial in over]
    if numbers != sorted(set(numbers)):
        numbers = list(range(len(over)))
    series = [Series("best so far", best), Series("each trial", each, is_dots=True)]
    by_number = line_chart(f"Best {_named(objective)} over trials", "trial", name, numbers, series, is_step=True)
    charts = [("Over trials", by_number, "")]
    spent, clock = [], 0.0
    for trial in over:
        clock += trial.seconds
        spent.append(clock)
    if clock > 0:
        unit, scale = ("hours", 3600.0) if clock > 7200 else ("seconds", 1.0)
        by_time = line_chart(
            f"Best {_named(objective)} over {unit} of evaluation", f"{unit} of evaluation", name,
            [seconds / scale for seconds in spent], [Series("best so far", best)], is_step=True,
        )  # fmt: skip
        charts.append(("Over time of evaluation", by_time, ""))
    labels = ("Over trials", "Over time of evaluation")
    return [SideBySide([Plots(label, [chart]) for label, chart in zip(labels, charts, strict=False)])]


def _fronts(over: Sequence[Trial], objectives: Sequence[Objective]) -> list[Any]:
    """Return a scatter of the first objective against each other one, or of what else a search kept of its size."""
    complete = [trial for trial in over if trial.state is State.COMPLETE and trial.values]
    pictures = []
    if len(objectives) > 1:  # values at different fidelities are not compared
        longest = max((math.inf if t.fidelity == -1 else t.fidelity for t in complete), default=0)
        complete = [t for t in complete if (math.inf if t.fidelity == -1 else t.fidelity) == longest]
    for other in range(1, len(objectives)):
        pairs = [(t.values[other], t.values[0]) for t in complete if t.values and len(t.values) > other]
        shown = [t for t in complete if t.values and len(t.values) > other]
        directions = objectives[other].maximize, objectives[0].maximize
        pictures.append(_scatter(shown, pairs, directions, _with_unit(objectives[other]), _with_unit(objectives[0])))
    if len(objectives) == 1:
        sized = [(t, finite(t.user.get("params"))) for t in complete]
        known = [(t, size) for t, size in sized if size is not None]
        if len(known) > 1:
            pairs = [(size, (t.values or (0.0,))[0]) for t, size in known]
            directions = False, objectives[0].maximize
            pictures.append(
                _scatter([t for t, _ in known], pairs, directions, "parameters in M", _with_unit(objectives[0]))
            )
    if not pictures:
        return []
    words = "Filled marks are trials that no other trial beats in both; the dashed line is the edge of what they beat."
    return [Heading("Objectives against each other"), SideBySide(pictures), Text(words)]


def _scatter(
    shown: Sequence[Trial],
    pairs: Sequence[tuple[float, float]],
    directions: tuple[bool, bool],
    x_name: str,
    y_name: str,
) -> Illustration:
    front = front_of(pairs, directions)
    points = [Point(*pair, f"trial {t.number}", 0, is_on) for t, pair, is_on in zip(shown, pairs, front, strict=True)]
    count = sum(front)
    return Illustration(
        f"{y_name.capitalize()} against {x_name}: {counted(len(points), 'trial')}, {count} on the front.",
        scatter(f"{y_name} against {x_name}", x_name, y_name, points, directions), is_plot=True,
    )  # fmt: skip


def _best(run: SavedRun, over: Sequence[Trial], objectives: Sequence[Objective]) -> list[Any]:
    complete = [trial for trial in over if trial.state is State.COMPLETE and trial.values]
    longest = max((math.inf if t.fidelity == -1 else t.fidelity for t in complete), default=0)
    ranked = sorted(
        complete,
        key=lambda t: (
            -(math.inf if t.fidelity == -1 else t.fidelity) if longest else 0,
            -objectives[0].merit((t.values or (0.0,))[0]),
            t.number,
        ),
    )[:_BEST]
    if not ranked:
        return [Note("No trial is complete.", True)]
    rows: list[list[TableCell | str]] = []
    for trial in ranked:
        values = [TableCell(score(v, o.unit), v) for o, v in zip(objectives, trial.values or (), strict=False)]
        fidelity = "longest" if trial.fidelity == -1 else number(trial.fidelity)
        rows.append(
            [
                TableCell(str(trial.number), trial.number), *values, fidelity,
                TableCell(duration(trial.seconds), trial.seconds),
                DASH if trial.parent is None else str(trial.parent), ", ".join(map(str, trial.code))[:160],
            ]
        )  # fmt: skip
    columns = ("trial", *(_named(o) for o in objectives), "epochs", "time", "child of", "code")
    caption = (
        f"The best {len(rows)} of {counted(len(complete), 'complete trial')}, by {_named(objectives[0])} at the "
        "largest number of epochs"
    )
    numeric = frozenset((0, *range(1, len(objectives) + 1), len(objectives) + 2))
    failed = [trial for trial in over if trial.state is State.FAILED]
    blocks: list[Any] = [Table(caption, columns, rows, numeric, is_sortable=True)]
    if failed:
        reason = str(failed[-1].user.get("error", "no reason is recorded"))[:200]
        blocks.append(Note(f"{counted(len(failed), 'trial')} failed; the last one: {reason}", True))
    return blocks


def _learning_curves(over: Sequence[Trial], objective: Objective) -> list[Any]:
    """Return the learning curves of the best trials that have some."""
    told = []
    for trial in over:
        kept = trial.user.get("curve")
        if not isinstance(kept, list | tuple):
            curves = trial.user.get("curves")
            kept = curves.get("valid_score") if isinstance(curves, dict) else None
        values = [finite(value) for value in kept] if isinstance(kept, list | tuple) else []
        if len([value for value in values if value is not None]) > 1:
            told.append((trial, values))
    if not told:
        return []
    told.sort(key=lambda pair: -objective.merit((pair[0].values or (-objective.merit(math.inf),))[0]))
    shown = told[:_CURVES]
    length = max(len(values) for _, values in shown)
    chart = line_chart(
        "Learning curves of the best trials", "epoch", _with_unit(objective), range(1, length + 1),
        [Series(f"trial {trial.number}", values) for trial, values in shown],
    )  # fmt: skip
    caption = f"{len(shown)} of {counted(len(told), 'trial')} with a learning curve."
    return [Heading("Learning curves"), Plots("Learning curves", [("", chart, caption)])]
