"""The architecture parameters over time: recorded each epoch, kept in checkpoints, written to the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from naslib.errors import CheckpointError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import choices_at
from naslib.utils.files import atomic_write, atomic_write_json

from .checkpoint import serialize


@dataclass(frozen=True)
class RecordedDecision:
    """One decision in the record: where it is and what it chooses from.

    Attributes:
        name: Its label, `normal_cell/3-5`.
        graph: Name of the graph (of the first copy, where several share it); `sizes` for sizes of elastic layers.
        edge: Source and target node; of a node that node twice, of a size its number twice.
        ops: Names of the candidates.
    """

    name: str
    graph: str
    edge: tuple[int, int]
    ops: tuple[str, ...]


class ArchWeightsRecorder:
    """Record architecture parameters, one row per epoch.

    A candidate that the search has removed has the parameter -inf, which no softmax notices.

    Args:
        graph: The adapted search space, which says where decisions are.
        weights: The parameters.
        names: Labels of their decisions; where they are first if None.
        structure: Which candidates they belong to (`oneshot.supernet.structure`); None where all stay.
    """

    def __init__(
        self, graph: Any, weights: Sequence[Tensor], structure: Any = None, names: Sequence[str] | None = None
    ) -> None:
        self.weights = list(weights)
        self._structure = structure
        self.decisions = _name_decisions(graph, self.weights, names)
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
        """Return what was recorded, and of which decisions."""
        return {"series": self.series(), "names": [decision.name for decision in self.decisions]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what a checkpoint recorded; one of a former version has no names, its series are in order."""
        recorded = state["series"]
        if recorded and "names" in state:
            by_name = dict(zip(state["names"], recorded, strict=True))
            names = [decision.name for decision in self.decisions]
            if by_name.keys() != set(names):
                raise CheckpointError(
                    f"arch_weights: the checkpoint recorded the decisions {', '.join(by_name)}; here they are "
                    f"{', '.join(names)}"
                )
            recorded = [by_name[name] for name in names]
        columns = [series.unbind(0) for series in recorded]
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
    names = getattr(optimizer, "decision_names", None)
    return ArchWeightsRecorder(optimizer.graph, list(weights), getattr(optimizer, "structure", None), names)


def _spread(weight: Tensor, kept: Sequence[int], width: int) -> Tensor:
    """Return a parameter of the candidates in `kept` as one of all candidates."""
    if len(kept) == width:
        return weight
    full = weight.new_full((*weight.shape[:-1], width), -torch.inf)
    full[..., list(kept)] = weight
    return full


def _name_decisions(graph: Any, weights: Sequence[Tensor], labels: Sequence[str] | None) -> list[RecordedDecision]:
    found: dict[int, RecordedDecision] = {}
    for nested in graph.nested_graphs() if isinstance(graph, Graph) else []:
        for u, v, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            if data.has("alpha"):
                place = nested.name or "graph"
                name = f"{place}/{u}-{v}"
                found.setdefault(id(data.alpha), RecordedDecision(name, place, (u, v), _op_names(data)))
        for choice in choices_at(nested):
            place, node, data = nested.name or "graph", choice.node, choice.data
            name = f"{place}/{node}:comb_op"
            found.setdefault(id(data.alpha), RecordedDecision(name, place, (node, node), _op_names(data)))
    for number, (label, data) in enumerate((getattr(graph, "value_edges", None) or {}).items()):
        found.setdefault(id(data.alpha), RecordedDecision(label, "sizes", (number, number), _op_names(data)))
    names = tuple(f"op{i}" for i in range(max((w.numel() for w in weights), default=0)))
    decisions = [
        found.get(id(w)) or RecordedDecision(f"decision/{i}", "decision", (i, i), names[: w.numel()])
        for i, w in enumerate(weights)
    ]
    if labels is None:
        return decisions
    return [replace(decision, name=name) for decision, name in zip(decisions, labels, strict=True)]


def _op_names(data: EdgeData) -> tuple[str, ...]:
    names = data.get("primitives")
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    embedded = getattr(data.op, "primitives", None) or []
    return tuple(str(op_name(op)) for op in embedded)
