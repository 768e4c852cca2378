"""Decisions at nodes: a list of combinations as a node's `comb_op`, of which an architecture has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from naslib.errors import GraphError

from ._module_graph import ModuleGraph, label
from ._ops_by_name import op_name
from .assignment import Draw
from .chosen_inputs import ChosenInputs
from .edge import EdgeData
from .entering import Entering as Entering
from .in_place import guarded
from .primitives import AbstractCombOp, AbstractPrimitive
from .shared_work import Passes, SharedWork
from .types import EdgeLike

# Entry of a node whose combination was chosen: the name of the decision, and which of the candidates it is
DECIDED = "_decision"


class Combination(AbstractPrimitive):
    """A candidate at a node, where optimizers have operations.

    Args:
        combine: A function of a list of tensors, a module that takes one, or an `AbstractCombOp`.
        position: In the list of the space.
    """

    def __init__(self, combine: Callable[..., Tensor], position: int) -> None:
        super().__init__({"combine": combine, "position": position})
        self.combine = combine
        self.position = position

    @property
    def get_op_name(self) -> str:
        """The name of the function, or of the module."""
        combine = self.combine
        return op_name(combine) if isinstance(combine, nn.Module) else getattr(combine, "__name__", op_name(combine))

    def get_embedded_ops(self) -> list[Any] | None:
        """Return the module that combines, None where that is a function."""
        return [self.combine] if isinstance(self.combine, nn.Module) else None

    def forward(self, x: Entering, edge_data: EdgeLike | None = None) -> Tensor:
        """Combine what enters the node.

        `x` holds tensors of any shape that the combination takes.
        """
        tensors, combine = list(x.tensors), self.combine
        if isinstance(combine, AbstractCombOp):
            output = guarded(combine, combine, tensors, x.edges)
        else:
            output = guarded(combine, combine, tensors)
        x.check(self.get_op_name, output)
        return output


class NodeChoice(AbstractCombOp):
    """What an optimizer makes of a list of combinations: a MixedOp of them, which reads all that enters the node.

    Args:
        data: The candidates and their parameter, kept as an edge keeps them.
    """

    def __init__(self, data: EdgeData) -> None:
        super().__init__()
        self.data = data
        self.mixed = data.op

    def forward(  # type: ignore[override]
        self, tensors: list[Tensor], edges_data: Sequence[EdgeLike], ran: list[Any] | None = None
    ) -> Tensor:
        """Combine as the assignment says that holds, else by the weights.

        Tensors of any shape that the combinations take.

        Args:
            tensors: What enters the node.
            edges_data: Data of the edges.
            ran: Receives what the decision ran (`Entering.ran`).
        """
        entering = Entering(tuple(tensors), edges_data, ran=[] if ran is None else ran)
        return self.mixed(entering, edge_data=self.data)

    def combine_shared(self, entering: Entering, chosen: Any, passes: Passes) -> Tensor:
        """Combine by an entry of an assignment, as a plan does.

        Tensors of any shape that the combinations take.
        """
        op = self.mixed
        if type(chosen) in (int, tuple):
            chosen = op.weights_of(chosen, self.data)
        entering.ran.append(chosen)
        return op.apply_shared(entering, chosen, SharedWork(_of_outputs(passes), guarded=True))

    def used_of(self, chosen: Any, count: int) -> Sequence[int] | None:
        """Return which of `count` inputs have an effect under an entry of an assignment; None where that is not said.

        Args:
            chosen: Weights `(n_ops,)`, of which all candidates run; what was drawn; or indices.
            count: Number of inputs.
        """
        running = self.mixed.running(chosen)
        if running is None:
            return None
        candidates, used = self.mixed.primitives, set[int]()
        for index in running:
            combine = getattr(candidates[index], "combine", None)
            if not isinstance(combine, AbstractCombOp):
                return None
            used.update(combine.used_inputs(count))
        return sorted(used)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> NodeChoice:
        super()._apply(fn, recurse)
        self.data.apply_to_tensors(fn)
        return self


@lru_cache
def _of_outputs(passes: Passes) -> Passes:
    """Return the passes without the kernels that read one tensor."""
    return replace(passes, native=False)


def weights_that_ran(ran: Sequence[Any], where: str) -> int | Tensor:
    """Return what the decision of a node ran: the index of one candidate alone, or the weights of all, `(n,)`.

    Of a draw whose weights get a gradient, the weights, those of candidates that did not run being 0; the gradient is
    that of all of them.

    Args:
        ran: See `Entering.ran`.
        where: Place in words, for the message.

    Raises:
        GraphError: If it is not known, because a MixedOp of another kind combines by itself.
    """
    if not ran:
        raise GraphError(f"{where} reads a choice whose MixedOp does not say which candidates it ran")
    chosen = ran[-1]
    if not isinstance(chosen, Draw):
        return chosen
    alone = len(chosen.on) == 1 and chosen.unit
    if alone and not chosen.weights.requires_grad:
        return chosen.on[0]
    off = torch.ones_like(chosen.weights, requires_grad=False)
    off[list(chosen.on)] = 0.0
    return chosen.weights - chosen.weights.detach() * off


class ChoiceAt(NamedTuple):
    """A node with candidates, in a space or in a supernet.

    Attributes:
        graph: The graph that it is in.
        node: The node.
        data: The candidates, kept as an edge keeps them: of a supernet those that it runs.
        key: The same for all copies of the node.
    """

    graph: ModuleGraph
    node: int
    data: EdgeData
    key: Hashable


def is_of_inputs(data: EdgeData) -> bool:
    """Say whether a decision, given by what carries it, is one of inputs: which of them are added up."""
    op = data.op
    embedded = op.get_embedded_ops() if isinstance(op, AbstractPrimitive) else op
    sums = [c.combine for c in embedded or () if isinstance(c, Combination)] if isinstance(embedded, list) else []
    return data.has("gate") or any(isinstance(combine, ChosenInputs) for combine in sums)


def is_combination(data: EdgeData) -> bool:
    """Say whether a decision, given by what carries it, is one of combinations at a node."""
    op = data.op
    embedded = op.get_embedded_ops() if isinstance(op, AbstractPrimitive) else op
    return isinstance(embedded, list) and any(isinstance(candidate, Combination) for candidate in embedded)


def choices_at(graph: ModuleGraph) -> Iterator[ChoiceAt]:
    """Yield the nodes of a graph, without those of graphs nested in it, that have candidates, in order.

    Copies of a node are known by the edges that enter it, whose shared data is one object, and by their candidates.

    Raises:
        GraphError: If candidates are not of the kind; the message names the node.
    """
    for node in sorted(graph._node):
        combine = graph._node[node].get("comb_op")
        if isinstance(combine, NodeChoice):
            yield ChoiceAt(graph, node, combine.data, id(combine.data.alpha))
        elif isinstance(combine, list | tuple | nn.ModuleList):
            candidates = candidates_at(graph, node, list(combine))
            entering = tuple(id(graph._pred[node][source]._shared) for source in sorted(graph._pred[node]))
            key = (node, entering, tuple(candidate.get_op_name for candidate in candidates))
            yield ChoiceAt(graph, node, EdgeData({"op": candidates}), key)


def combinations_in(graph: ModuleGraph) -> dict[int, tuple[str, int]]:
    """Return by node the decisions that were made about its combination: their names, and the candidates' positions."""
    return {node: entry[DECIDED] for node, entry in graph._node.items() if DECIDED in entry}


def candidates_at(graph: ModuleGraph, node: int, combinations: Sequence[Any]) -> list[Combination]:
    """Return the combinations in a list as candidates.

    Raises:
        GraphError: If there are fewer than two, one cannot be called with a list of tensors, or no two edges enter.
    """
    where = f"node {node} of graph {label(graph)!r}"
    if "subgraph" in graph._node[node]:
        raise GraphError(f"{where} has a subgraph and a list as its comb_op: put the choice on an edge, as its op")
    if len(combinations) < 2:
        raise GraphError(
            f"{where} has a list of {len(combinations)} candidate(s) as its comb_op: a choice needs two at least; "
            "give the one comb_op itself"
        )
    for index, combine in enumerate(combinations):
        if inspect.isclass(combine):
            raise GraphError(f"{where}: candidate {index} is the class {combine.__name__}; give an instance of it")
        if not callable(combine) or isinstance(combine, ModuleGraph):
            raise GraphError(
                f"{where}: candidate {index} is {combine!r} of type {type(combine).__name__}; expected a function of a "
                "list of tensors (sum, say) or a module that takes one"
            )
    if len(graph._pred[node]) < 2:
        raise GraphError(
            f"{where} has a list of {len(combinations)} candidates as its comb_op, and fewer than two edges enter it: "
            "nothing is combined there"
        )
    return [Combination(combine, position) for position, combine in enumerate(combinations)]


def put_combination(graph: ModuleGraph, node: int, chosen: Combination, name: str | None) -> None:
    """Make one candidate the `comb_op` of a node, which remembers its decision.

    Args:
        graph: The graph that the node is in.
        node: The node.
        chosen: The candidate.
        name: Name of the decision, None where it has none.
    """
    graph._node[node]["comb_op"] = chosen.combine
    if name is not None:
        graph._node[node][DECIDED] = (name, chosen.position)
