"""Figure: what a table has of an architecture beyond the metrics that all benchmarks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from naslib.errors import BenchmarkError, did_you_mean
from naslib.search_spaces.core.query_metrics import Metric


@dataclass(frozen=True)
class Figure:
    """A figure of its own name: the energy on a device, the accuracy under an attack, a proxy.

    It is asked for by itself or by its name wherever a `Metric` is, also as an objective of a search.

    Attributes:
        name: As in the table, such as `"edgegpu_energy"`.
        maximize: Whether larger is better.
        unit: What its numbers count: "ms", "mJ", "%", or "" for what has no unit.
    """

    name: str
    maximize: bool = False
    unit: str = ""


def find_metric(metric: Metric | Figure | str, figures: Sequence[Figure]) -> Metric | Figure:
    """Return the metric or figure of that name, in any case.

    Raises:
        BenchmarkError: If there is none; the message lists what there is.
    """
    if isinstance(metric, Metric):
        return metric
    name = str(getattr(metric, "name", metric)).removeprefix("Metric.")
    by_name = {figure.name.lower(): figure for figure in figures}
    if name.lower() in by_name:
        return by_name[name.lower()]
    if name.upper() in Metric.__members__:
        return Metric[name.upper()]
    near = did_you_mean(name.lower(), [*by_name, *(known.lower() for known in Metric.__members__)])
    there = f" (figures of this table: {', '.join(figure.name for figure in figures)})" if figures else ""
    raise BenchmarkError(f"unknown metric {name!r}{near}{there}")


def name_of(metric: Any) -> str:
    """Return the name by which a metric or a figure is asked for."""
    return str(getattr(metric, "name", metric))
