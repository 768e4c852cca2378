"""Architectures of a space without codes: one operation by name for each edge under search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from naslib.errors import ArchitectureError, SpecAlreadySetError, did_you_mean

from ._updates import Scope, UpdatesMixin
from .edge import EdgeData
from .literals import as_value, plain, shortened
from .primitives import AbstractPrimitive

# Attribute of a candidate that is known by another name than that of its class
GIVEN_NAME = "_candidate_name"
Choice = tuple[UpdatesMixin, int, int, EdgeData, Any]
_FORM = '[{"graph": ..., "edge": [source, target], "op": ...}, ...], as Graph.genotype() returns it'


def op_name(op: Any) -> str:
    """Return the name of an op as people of the field write it, or that which its space has given it."""
    given = vars(op).get(GIVEN_NAME) if isinstance(op, nn.Module) else None
    if given is not None:
        return str(given)
    return op.get_op_name if isinstance(op, AbstractPrimitive) else type(op).__name__


def numbered(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind each that was there before: `Linear`, `Linear (2)`."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def choices_of(graph: UpdatesMixin, scope: Scope, spec: Any) -> list[Choice]:
    """Return for each edge under search its graph, its ends, its data and the candidate that `spec` names, or None.

    Args:
        graph: A compiled space.
        scope: Which graphs in it are under search.
        spec: What `Graph.genotype()` returns for a space without codes, as value or as text.

    Raises:
        SpecAlreadySetError: If no edge is under search.
        ArchitectureError: If `spec` does not name candidates of this graph.
    """
    wanted = names_by_edge(spec)
    choices: list[Choice] = []
    missing = dict(wanted)
    for nested in graph._graphs_in_scope(scope):
        for u, v, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            if not data.is_final() and isinstance(data.op, list):
                place = nested.name or "graph", u, v
                missing.pop(place, None)
                choices.append(
                    (nested, u, v, data, _candidate(data.op, wanted[place], place) if place in wanted else None)
                )
    if not choices:
        raise SpecAlreadySetError(
            f"no edge of {type(graph).__name__} is under search: an architecture has been set on it already; take a "
            "fresh search space, or a clone of it"
        )
    if missing:
        name, u, v = next(iter(missing))
        raise ArchitectureError(f"{type(graph).__name__} has no edge ({u}, {v}) under search in a graph {name!r}")
    return choices


def put_ops(choices: Sequence[Choice]) -> None:
    """Put the chosen candidates on their edges, in place, and remove the edges without one."""
    for nested, u, v, data, chosen in choices:
        if chosen is None:
            nested.remove_edge(u, v)
        else:
            data.set("primitives", list(data.op))
            data.set("op", chosen)


def _candidate(candidates: Sequence[Any], name: str, place: tuple[str, int, int]) -> Any:
    names = numbered([op_name(op) for op in candidates])
    if name not in names:
        graph, u, v = place
        raise ArchitectureError(
            f"edge ({u}, {v}) of {graph!r} has no candidate {name!r}{did_you_mean(name, names)} (it has: "
            f"{', '.join(names)})"
        )
    return candidates[names.index(name)]


def names_by_edge(spec: Any) -> dict[tuple[str, int, int], str]:
    """Return the name of the operation by graph and edge."""
    spec = as_value(spec)
    if isinstance(spec, Mapping) and "genotype" in spec:
        return names_by_edge(spec["genotype"])
    found: dict[tuple[str, int, int], str] = {}
    spec = plain(spec)
    if not isinstance(spec, list) or not spec or not all(isinstance(entry, dict) for entry in spec):
        raise ArchitectureError(f"expected {_FORM}, not {shortened(spec)}")
    for entry in spec:
        try:
            u, v = entry["edge"]
            place, op = (str(entry["graph"]), int(u), int(v)), str(entry["op"])
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ArchitectureError(f"expected {_FORM}, not {shortened(entry)} in it") from error
        if found.setdefault(place, op) != op:
            raise ArchitectureError(
                f"edge ({u}, {v}) of {place[0]!r} has two operations, {found[place]!r} and {op!r}: graphs of one name "
                "that decide differently cannot be told apart; give them names of their own"
            )
    return found
