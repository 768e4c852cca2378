"""Draw an assignment: all decisions of a network, in as few tensor operations as there are relaxations and widths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from ._module_graph import ModuleGraph
from .assignment import Assignment
from .edge import EdgeData
from .node_choices import choices_at
from .ops_mixed import MixedOp, Relaxation
from .randomness import Randomness


class Sites(NamedTuple):
    """A decision and the edges that carry it: one for each copy of a cell.

    Attributes:
        key: Its name; where no optimizer has given one, something that is the same for all its edges.
        edges: Their data.
    """

    key: Hashable
    edges: list[EdgeData]


def key_of(data: EdgeData) -> Hashable | None:
    """Return by what an edge's decision goes in an assignment, None where the edge carries none."""
    op = data._private.get("op")
    if not isinstance(op, MixedOp) or not data.has("alpha"):
        return None
    return op.decision if op.decision is not None else id(data.alpha)


def sites_in(graphs: Iterable[ModuleGraph]) -> list[Sites]:
    """Return the decisions of some graphs: graphs by name, edges source-major, then those at nodes."""
    found: dict[Hashable, Sites] = {}
    by_name = sorted(graphs, key=lambda graph: graph.name)
    for graph in by_name:
        for source in sorted(graph._succ):
            for target in sorted(graph._succ[source]):
                data = graph._succ[source][target]
                key = key_of(data)
                if key is not None:
                    found.setdefault(key, Sites(key, [])).edges.append(data)
    for graph in by_name:
        for choice in choices_at(graph):
            key = key_of(choice.data)
            if key is not None:
                found.setdefault(key, Sites(key, [])).edges.append(choice.data)
    return list(found.values())


def value_sites(graph: ModuleGraph) -> list[Sites]:
    """Return the value decisions of a supernet."""
    return [Sites(label, [data]) for label, data in (graph.value_edges or {}).items()]


@dataclass(slots=True)
class _Batch:
    """Decisions of one width that one relaxation takes at once."""

    relaxation: Relaxation
    width: int
    training: bool
    keys: list[Hashable] = field(default_factory=list)
    alphas: list[Any] = field(default_factory=list)


def draw(decisions: Sequence[Sites], training: bool | None = None) -> Assignment:
    """Relax or draw every decision once, for all its copies.

    Args:
        decisions: The decisions, in the order in which they are drawn.
        training: Whether to sample as in training; None as each operation's own mode says.

    Returns:
        An entry for every decision whose operations let others relax it; what an operation's class or hook makes of the
        logits is drawn for that operation, its copies with the same random numbers.
    """
    values: dict[Any, Any] = dict.fromkeys(sites.key for sites in decisions)
    batches: list[_Batch] = []
    alone: list[tuple[Hashable, int, EdgeData]] = []
    for key, edges in decisions:
        is_batched = False
        for copy, data in enumerate(edges):
            op = data._private["op"]
            if not op.relaxes_in_batch():
                alone.append((key, copy, data))
            elif not is_batched:
                _add(batches, key, data, op, op.training if training is None else training)
                is_batched = True
    for batch in batches:
        rows = batch.relaxation(torch.stack(batch.alphas), batch.training)
        values.update(zip(batch.keys, rows, strict=True))
    copies = _draw_alone(alone, training) if alone else {}
    for (key, _), value in copies.items():
        if values[key] is None:
            values[key] = value
    return Assignment.made({key: value for key, value in values.items() if value is not None}, copies)


def _add(batches: list[_Batch], key: Hashable, data: EdgeData, op: MixedOp, training: bool) -> None:
    """Put a decision into the batch where it belongs (there are few, and tracing knows no `id`)."""
    relaxation, width = op.relaxation, len(op._primitive_names)
    for batch in batches:
        if batch.relaxation is relaxation and batch.width == width and batch.training == training:
            break
    else:
        batch = _Batch(relaxation, width, training)  # type: ignore[arg-type]
        batches.append(batch)
    batch.keys.append(key)
    batch.alphas.append(data.alpha)


def _draw_alone(
    sites: Iterable[tuple[Hashable, int, EdgeData]], training: bool | None
) -> dict[tuple[Hashable, int], Any]:
    """Return what operations make of their logits one by one, by decision and copy."""
    found: dict[tuple[Hashable, int], Any] = {}
    randomness: dict[Hashable, Randomness] = {}
    for key, copy, data in sites:
        op: MixedOp = data._private["op"]
        if type(op).forward is not MixedOp.forward:  # it may look at no weights at all
            continue
        first = key not in randomness
        if first and not torch.compiler.is_compiling():
            randomness[key] = Randomness(data.alpha.device)
        again = nullcontext() if first else randomness[key].again()
        with again, _mode(op, training):
            found[key, copy] = op.relaxed(data)
    return found


@contextmanager
def _mode(op: MixedOp, training: bool | None) -> Iterator[None]:
    """Put an operation, not its candidates, into a mode."""
    before = op.training
    op.training = before if training is None else training
    try:
        yield
    finally:
        op.training = before
