"""The architecture parameters over time: recorded each epoch, kept in checkpoints, written to the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.utils.files import atomic_write, atomic_write_json

from .checkpoint import serialize


@dataclass(frozen=True)
class RecordedDecision:
    """One searchable decision: where it is and what it chooses from.

    Attributes:
        graph: Name of the graph (of the first copy, where several share it).
        edge: Source and target node.
        ops: Names of the candidates.
    """

    graph: str
    edge: tuple[int, int]
    ops: tuple[str, ...]

    @property
    def label(self) -> str:
        """A short name."""
        return f"{self.graph} {self.edge[0]}→{self.edge[1]}"


class ArchWeightsRecorder:
    """Record architecture parameters, one row per epoch.

    A candidate that the search has removed has the parameter -inf, which no softmax notices.

    Args:
        graph: The adapted search space, from which decisions get their names.
        weights: The parameters.
        structure: Which candidates they belong to (`oneshot.supernet.structure`); None where all stay.
    """

    def __init__(self, graph: Any, weights: Sequence[Tensor], structure: Any = None) -> None:
        self.weights = list(weights)
        self._structure = structure
        self.decisions = _name_decisions(graph, self.weights)
        self._rows: list[list[Tensor]] = []

    def record(self) -> None:
        """Add the parameters as they are now."""
        now = [weight.detach().to("cpu", copy=True) for weight in self.weights]
        if self._structure is not None:
            places = zip(now, self._structure.kept, self._structure.widths, strict=True)
            now = [_spread(weight, kept, width) for weight, kept, width in places]
        self._rows.append(now)

    def series(self) -> list[Tensor]:
        """Return `(rows, n_ops)` per decision; the first row is from before the search."""
        if not self._rows:
            return [weight.detach().new_zeros((0, *weight.shape), device="cpu") for weight in self.weights]
        return [torch.stack(column) for column in zip(*self._rows, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded."""
        return {"series": self.series()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what a checkpoint recorded."""
        columns = [series.unbind(0) for series in state["series"]]
        self._rows = [list(row) for row in zip(*columns, strict=True)]

    def write(self, folder: Path) -> None:
        """Write `arch_weights.pt` (readable with `weights_only=True`) and `arch_weights.json`."""
        series = self.series()
        decisions = [asdict(decision) for decision in self.decisions]
        buffer = serialize({"decisions": decisions, "series": series})
        atomic_write(folder / "arch_weights.pt", lambda file: file.write(buffer.getbuffer()))
        rows = [{**decision, "weights": values.tolist()} for decision, values in zip(decisions, series, strict=True)]
        atomic_write_json(folder / "arch_weights.json", rows, indent=None)


def record_of(optimizer: Any) -> ArchWeightsRecorder | None:
    """Return a recorder for an optimizer with architecture parameters, None for one without."""
    weights = getattr(optimizer, "architectural_weights", None)
    if weights is None or not len(weights):
        return None
    return ArchWeightsRecorder(optimizer.graph, list(weights), getattr(optimizer, "structure", None))


def _spread(weight: Tensor, kept: Sequence[int], width: int) -> Tensor:
    """Return a parameter of the candidates in `kept` as one of all candidates."""
    if len(kept) == width:
        return weight
    full = weight.new_full((*weight.shape[:-1], width), -torch.inf)
    full[..., list(kept)] = weight
    return full


def _name_decisions(graph: Any, weights: Sequence[Tensor]) -> list[RecordedDecision]:
    found: dict[int, RecordedDecision] = {}
    for nested in graph.nested_graphs() if isinstance(graph, Graph) else []:
        for u, v, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            if data.has("alpha"):
                found.setdefault(id(data.alpha), RecordedDecision(nested.name or "graph", (u, v), _op_names(data)))
    names = tuple(f"op{i}" for i in range(max((w.numel() for w in weights), default=0)))
    return [found.get(id(w)) or RecordedDecision("decision", (i, i), names[: w.numel()]) for i, w in enumerate(weights)]


def _op_names(data: EdgeData) -> tuple[str, ...]:
    names = data.get("primitives")
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    embedded = getattr(data.op, "primitives", None) or []
    return tuple(str(getattr(op, "get_op_name", type(op).__name__)) for op in embedded)
