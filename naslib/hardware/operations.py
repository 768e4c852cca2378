"""OperationsSum: the latency of an architecture as the sum of those of its operations."""

from __future__ import annotations

from collections.abc import Sequence

from naslib.errors import ConfigError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.decisions import MASKED, Decision, Site
from naslib.search_spaces.core.graph import Graph

from .table import HOW_TO, CostTable
from .trace import trace_candidates


class OperationsSum:
    """Add up the milliseconds of the operations that an architecture has, every copy of a cell with its own shapes.

    `latency = fixed + sum over the edges that it keeps of the chosen operation's`; edges that the architecture drops,
    and `Zero`, take nothing.

    Args:
        space: The search space; not changed.
        table: Says what every candidate takes.
        input_shape: Of one input, without the batch; what the table says if None.
        fixed: Milliseconds of all that is not under search; what the table says if None.

    Raises:
        ConfigError: If the table lacks an operation, does not say what the rest takes, or the space decides something
            else than operations and inputs.
    """

    def __init__(
        self, space: Graph, table: CostTable, input_shape: Sequence[int] | None = None, fixed: float | None = None
    ) -> None:
        shape = input_shape if input_shape is not None else table.info.get("input_shape")
        fixed = fixed if fixed is not None else table.fixed
        if shape is None:
            raise ConfigError("the latency table does not say for which inputs it is: give search.hardware.input_shape")
        if fixed is None:
            raise ConfigError(
                "the latency table does not say what the rest of the network takes: search.hardware.latency: {table: "
                f"FILE, fixed: MILLISECONDS}}, or measure one ({HOW_TO})"
            )
        self.fixed = float(fixed)
        self._codec = space._codec()
        decisions = self._codec.decision_space
        if decisions is None:
            raise ConfigError(f"{space.get_type()} does not state its decisions: no table of operations can be read")
        edges = trace_candidates(space, shape)
        costs: dict[str, list[list[float]]] = {}
        for edge, row in zip(edges, table.costs(edges), strict=True):
            costs.setdefault(edge.place[0], []).append(row)
        stated = {decision.name: decision for decision in space.present_decisions().decisions}
        if set(stated) != set(decisions.names):
            raise ConfigError(
                f"the graph of {space.get_type()} states other decisions than its codec: {sorted(stated)}"
            )
        self._terms = [
            (decisions.genes(name).start, _row(decision, costs))
            for name, decision in stated.items()
            if _is_operation(decision, space.get_type())
        ]

    def of(self, code: Code) -> float:
        """Return the latency of an architecture in ms."""
        genes = self._codec.to_decisions(tuple(code))
        return self.fixed + sum(row[genes[place]] for place, row in self._terms if genes[place] != MASKED)


def _is_operation(decision: Decision, space: str) -> bool:
    if decision.kind == "inputs" and not any(isinstance(site, Site) and site.positions for site in decision.sites):
        return False  # which edges are kept; what is on those that are not is masked
    if decision.kind == "op" and all(isinstance(site, Site) and site.head is not None for site in decision.sites):
        return True
    raise ConfigError(
        f"a table has the latencies of operations on edges, and {space} decides {decision.name!r} ({decision.kind}) as "
        "well: take search.hardware.latency: here, or a device"
    )


def _row(decision: Decision, costs: dict[str, list[list[float]]]) -> list[float]:
    """Return the milliseconds of each candidate of a decision, all copies of its edge together."""
    copies = costs.get(decision.name)
    if not copies:
        raise ConfigError(f"the operations of {decision.name!r} are run on no input: no table tells what they take")
    site = next(site for site in decision.sites if isinstance(site, Site))
    positions = site.positions or tuple(range(len(decision.candidates)))
    return [sum(copy[position] for copy in copies) for position in positions]
