"""One forward of everything before the search: candidates that do not go together, and choices that nobody calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.batch_norm import batch_norm_modules, evaluation_mode, frozen_batch_norm_statistics
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.elastic import elastic_layers
from naslib.search_spaces.core.elastic.candidates import is_size
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.node_choices import is_combination
from naslib.utils.text import listed

from .mixed_edges import mixed_edges

# Names that a message lists at most
_LISTED = 6


def check_forward(graph: Graph, scope: Scope, run: Callable[[], Any]) -> None:
    """Run all candidates of a supernet, and raise where those of one decision return different shapes.

    Where sizes cannot be mixed (`Elastic.MIXES`), the largest run. Of a space that says so (`MUST_DECIDE`), each
    decision has to take part in a forward. Nothing is changed.

    Args:
        graph: The supernet.
        scope: The scopes under search.
        run: A forward of it.

    Raises:
        GraphError: Naming the decision.
    """
    edges = mixed_edges(graph, scope)
    everything = _everything(edges, all(layer.MIXES for layer in elastic_layers(graph)))
    with torch.no_grad(), assigned(everything), evaluation_mode(graph), _watched(graph, edges) as called:
        run()
    missing = [name for name in _names(edges) if name not in called]
    if missing and graph.MUST_DECIDE:  # some modules run more of themselves in training
        with torch.no_grad(), assigned(everything), _training(graph), _watched(graph, edges) as more:
            run()
        missing = [name for name in missing if name not in more]
        if missing:
            raise GraphError(
                f"{listed([repr(name) for name in missing], _LISTED)}: no forward of the module calls what this "
                "decides; call it in forward, or take the choice out of the module"
            )


def _names(edges: Sequence[EdgeData]) -> list[str]:
    return list(dict.fromkeys(data.op.decision for data in edges if data.op.decision is not None))


def _everything(edges: Sequence[EdgeData], with_sizes: bool) -> Assignment:
    """Return the assignment that mixes all candidates evenly, values of sizes only `with_sizes`."""
    rows = {}
    for data in edges:
        if is_size(data) and not with_sizes:
            continue
        if data.op.decision is not None and data.has("alpha"):
            alpha = data.alpha.detach()
            rows[data.op.decision] = torch.full_like(alpha, 1 / alpha.shape[-1])
    return Assignment(rows)


@contextmanager
def _training(graph: Graph) -> Iterator[None]:
    """Put a graph into training mode, its batch norms updating nothing; afterwards all modes are as before."""
    modes = [(module, module.training) for module in graph.modules()]
    with frozen_batch_norm_statistics(batch_norm_modules(graph)):
        graph.train()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@contextmanager
def _watched(graph: Graph, edges: Sequence[EdgeData]) -> Iterator[set[str]]:
    """Compare what candidates return in the forwards inside, and collect the names of the decisions that took part."""
    called: set[str] = set()
    handles, graphs = [], []
    for data in edges:
        if is_size(data) or data.op.decision is None:
            continue
        first: dict[Any, tuple[str, torch.Size]] = {}  # by the shape of the input
        for candidate in data.op.get_embedded_ops() or ():
            note = partial(_note, called, data.op.decision, first, is_combination(data))
            handles.append(candidate.register_forward_hook(note))
            graphs += [candidate] if isinstance(candidate, Graph) else []
    for layer in elastic_layers(graph):
        handles.append(layer.register_forward_hook(partial(_note_sizes, called)))
    try:
        yield called
    finally:
        for handle in handles:
            handle.remove()
        for candidate in graphs:  # which is inlined again
            candidate.structure_changed()


def _note(
    called: set[str], decision: str, first: dict, combines: bool, candidate: nn.Module, inputs: Any, output: Any
) -> None:
    called.add(decision)
    if combines or not isinstance(output, Tensor) or not isinstance(inputs[0], Tensor):
        return  # what combines compares its outputs by itself
    name, shape = first.setdefault(inputs[0].shape, (op_name(candidate), output.shape))
    if shape != output.shape:
        raise GraphError(
            f"decision {decision!r}: the candidates must return one shape, but of an input {tuple(inputs[0].shape)} "
            f"{name} makes {tuple(shape)} and {op_name(candidate)} {tuple(output.shape)}"
        )


def _note_sizes(called: set[str], layer: Any, inputs: Any, output: Any) -> None:
    called.update(leaf.label for leaf in layer.sizes.leaves)
