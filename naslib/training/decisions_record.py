"""Decisions record: what a search space decides, as plain values that can be compared."""

from __future__ import annotations

from typing import Any

from naslib.search_spaces.core.graph import Graph


def describe_decisions(space: Graph) -> list[list[Any]]:
    """Return the decisions of a space as plain values: name, kind, candidates as text, how many are chosen."""
    stated = space._codec().decision_space or space.decision_space
    return [[d.name, d.kind, [str(candidate) for candidate in d.candidates], d.n_chosen] for d in stated.decisions]
