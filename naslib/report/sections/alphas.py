"""Section: the architecture parameters over time, a small chart per decision, and their entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..amounts import DASH, counted, number
from ..blocks import Folded, Note, Plots, Section, Table, TableCell, Text
from ..charts.lines import Series, line_chart
from ..charts.multiples import LIMIT, share_chart, top_of
from ..charts.scales import evenly
from ..reading import DecisionCurves, SavedRun

# As many decisions are drawn; all are in the table
MOST = 48
_NOT_SOFTMAX = {
    "fair_darts": "This method reads each parameter by a sigmoid, candidates beside each other: the order is the same.",
    "gdas": "This method draws one candidate by these shares.",
    "drnas": "This method draws shares from a Dirichlet distribution; shown is what the parameters say on average.",
}


def shares(decision: DecisionCurves) -> list[list[float]]:
    """Return `(epochs + 1, candidates)` softmax of the parameters; a candidate that is gone has 0.

    Rows in which nothing is a number are left out.
    """
    rows = []
    for row in decision.rows:
        known = [value for value in row if value is not None]
        if not known:
            continue
        top = max(known)
        weights = [0.0 if value is None else math.exp(value - top) for value in row]
        total = math.fsum(weights)
        rows.append([weight / total for weight in weights])
    return rows


def entropy(row: Sequence[float]) -> float:
    """Return the entropy of shares over that of equal ones: 1 where nothing is decided, 0 where all is on one."""
    if len(row) < 2:
        return 0.0
    return abs(-math.fsum(share * math.log(share) for share in row if share > 0) / math.log(len(row)))


def alphas(run: SavedRun) -> Section | None:
    """Return the section of the architecture parameters, None of a run that has none."""
    told = [(decision, shares(decision)) for decision in run.decisions]
    told = [(decision, rows) for decision, rows in told if rows and rows[0]]
    if not told:
        if run.is_black_box or run.summary.get("architecture") == "given":
            return None
        why = (
            "save_arch_weights is off"
            if run.section("search").get("save_arch_weights") is False
            else "none are recorded"
        )
        return Section(
            "alphas",
            "Architecture parameters over time",
            [Note(f"There are no architecture parameters to show: {why}.")],
        )
    epochs = max(len(rows) for _, rows in told) - 1
    blocks: list[Any] = [Text(_intro(run, told, epochs))]
    if epochs >= 1:
        blocks.append(_entropies(told))
    numbers = {op: index for index, op in enumerate(dict.fromkeys(op for decision, _ in told for op in decision.ops))}
    drawn = told[:MOST]
    top = top_of(share for _, rows in drawn for row in rows for share in row)
    # of many decisions fewer epochs each: the page is to stay small
    charts = [
        (decision.name, share_chart(f"Shares of {decision.name}", decision.ops, rows, numbers, top), "")
        for decision, rows in drawn
    ]
    if len(told) > MOST:
        blocks.append(Note(f"The first {MOST} of {counted(len(told), 'decision')} are drawn; the table below has all."))
    blocks.append(Plots("Architecture parameters", charts, is_small=True))
    blocks.append(
        Folded(f"How each of {counted(len(told), 'decision')} ended", [_ends(told)], is_printed=len(told) <= MOST)
    )
    return Section("alphas", "Architecture parameters over time", blocks)


def _intro(run: SavedRun, told: Sequence[tuple[DecisionCurves, list[list[float]]]], epochs: int) -> str:
    first = [entropy(rows[0]) for _, rows in told]
    last = [entropy(rows[-1]) for _, rows in told]
    words = (
        "Each chart is one decision, each line a candidate: the softmax of its architecture parameters over "
        f"{counted(epochs, 'epoch')}. Their mean entropy went from {number(_mean(first), 3)} to "
        f"{number(_mean(last), 3)} (1: all candidates alike, 0: one has everything). "
    )
    if _mean(last) > 0.95 * _mean(first) and epochs:
        words += "It has hardly fallen, so that the choices below rest on small differences. "
    return words + _NOT_SOFTMAX.get(run.method, "")


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _entropies(told: Sequence[tuple[DecisionCurves, list[list[float]]]]) -> Plots:
    length = max(len(rows) for _, rows in told)
    kept = evenly(length, 4 * LIMIT)
    columns = [[entropy(rows[index]) for _, rows in told if index < len(rows)] for index in kept]
    means = [_mean(column) for column in columns]
    series = [Series("mean", means, [min(column) for column in columns], [max(column) for column in columns])]
    chart = line_chart(
        "Entropy of the architecture parameters",
        "epoch",
        "entropy, 1 for equal shares",
        [float(i) for i in kept],
        series,
    )
    return Plots("Entropy", [("", chart, "Mean over the decisions; the band reaches from the least to the largest.")])


def _ends(told: Sequence[tuple[DecisionCurves, list[list[float]]]]) -> Table:
    rows: list[list[TableCell | str]] = []
    for decision, history in told:
        last = history[-1]
        order = sorted(range(len(last)), key=lambda i: -last[i])
        lead = last[order[0]] - last[order[1]] if len(order) > 1 else 1.0
        second = decision.ops[order[1]] if len(order) > 1 else DASH
        now = entropy(last)
        rows.append(
            [
                decision.name, decision.ops[order[0]],
                TableCell(f"{last[order[0]]:.3f}", last[order[0]], last[order[0]]),
                second, TableCell(f"{lead:.3f}", lead), TableCell(f"{now:.3f}", now),
            ]
        )  # fmt: skip
    caption = "The largest candidate of each decision after the last epoch, its lead over the second, and the entropy"
    columns = ("decision", "largest", "share", "second", "lead", "entropy")
    return Table(caption, columns, rows, frozenset((2, 4, 5)), is_sortable=True)
