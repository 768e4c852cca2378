"""The graphs that choices of layers and inputs become in a space: decisions that the core knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core._ops_by_name import GIVEN_NAME
from naslib.search_spaces.core.assignment import current
from naslib.search_spaces.core.chosen_inputs import ChosenInputs, gate_name, subsets
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero

from .marks import Passed


class ChoiceGraph(Graph):
    """A decision of a module: a graph that the module calls.

    Args:
        name: Of the graph; decisions come in the order of these names.
        label: Of the decision.
    """

    def __init__(self, name: str, label: str) -> None:
        super().__init__(name=name, scope="choice")
        self.label = label

    def tie(self, other: ChoiceGraph) -> None:
        """Make this decision one with that of another graph of its form."""
        for u, v in self.edges:
            self._succ[u][v]._shared = other._succ[u][v]._shared

    def plain(self) -> nn.Module:
        """Return what was chosen.

        Raises:
            GraphError: If nothing is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define plain()")

    def _guarded(self, run: Callable[[], Any]) -> Any:
        if not torch.compiler.is_compiling() and current() is None and torch._C._current_graph_task_id() != -1:
            raise GraphError(
                f"decision {self.label!r} is computed again in the backward, where it is not known what was drawn: a "
                "module that is searched does not use torch.utils.checkpoint around its choices"
            )
        try:
            return run()
        except GraphError as error:
            if f"{self.label!r}" in str(error):
                raise
            raise GraphError(f"decision {self.label!r}: {error}") from error
        except Exception as error:
            error.add_note(f"in the decision {self.label!r}")
            raise


class LayerGraph(ChoiceGraph):
    """A `LayerChoice`: one edge with its candidates.

    Args:
        name: See `ChoiceGraph`.
        label: See `ChoiceGraph`.
        candidates: The layers.
    """

    def __init__(self, name: str, label: str, candidates: Sequence[nn.Module]) -> None:
        super().__init__(name, label)
        self.add_edge(1, 2, EdgeData({"op": list(candidates)}))

    def decision_name(self, place: str) -> str | None:
        """Return the label."""
        return self.label

    def forward(self, x: Any, *more: Any) -> Any:
        """Run what is in force; the output is a tensor of its own.

        `x` has any shape that the candidates take.

        Raises:
            GraphError: If there is more than one input.
        """
        if more:
            raise GraphError(
                f"decision {self.label!r}: a LayerChoice is called with one tensor, not with {1 + len(more)}; let the "
                "candidates keep what else they need, or take a tuple"
            )
        output = self._guarded(lambda: super(LayerGraph, self).forward(x))
        return output.clone() if output is x else output

    def plain(self) -> nn.Module:
        """Return the layer that was chosen, a copy of its input for the identity.

        Raises:
            GraphError: If none is.
        """
        op = self.edges[1, 2].op
        if not isinstance(op, nn.Module):
            raise GraphError(f"decision {self.label!r} is not made yet")
        if isinstance(op, Identity | nn.Identity):
            return Passed()
        op.__dict__.pop(GIVEN_NAME, None)
        return op


class InputGraph(ChoiceGraph):
    """An `InputChoice`: a node that sums up what enters it.

    Of any subset, each edge has `Zero` and the identity; else the node has the sums of so many inputs.

    Args:
        name: See `ChoiceGraph`.
        label: See `ChoiceGraph`.
        n_candidates: How many inputs.
        n_chosen: How many are added up; None for any subset.
    """

    def __init__(self, name: str, label: str, n_candidates: int, n_chosen: int | None) -> None:
        super().__init__(name, label)
        self.n_candidates, self.n_chosen = n_candidates, n_chosen
        last = n_candidates + 1
        for index in range(1, last):
            if n_chosen is None:
                self.add_edge(index, last, EdgeData({"op": [Zero(stride=1), Identity()], "gate": True}))
            else:
                self.add_edge(index, last)
        if n_chosen is not None:
            self.nodes[last]["comb_op"] = [_sum_of(chosen) for chosen in subsets(n_candidates, n_chosen)]
        self.set_input(list(range(1, last)))

    def decision_name(self, place: str) -> str | None:
        """Return the label, of any subset one for each input."""
        return self.label if self.n_chosen is not None else gate_name(self.label, int(place.partition("-")[0]) - 1)

    def chosen_inputs(self) -> tuple[str, int, int | None]:
        """Return label, number of inputs, and how many are chosen."""
        return self.label, self.n_candidates, self.n_chosen

    def forward(self, inputs: Any, *more: Any) -> Tensor:
        """Add up what is in force; the output is a tensor of its own.

        The inputs have one shape, which stays.

        Raises:
            GraphError: If there is another number of inputs, or they differ in shape.
        """
        inputs = [inputs, *more] if more else inputs
        if not isinstance(inputs, list | tuple) or not all(isinstance(x, Tensor) for x in inputs):
            raise GraphError(
                f"decision {self.label!r}: an InputChoice is called with a list of tensors, not with {_kind(inputs)}"
            )
        if len(inputs) != self.n_candidates:
            raise GraphError(
                f"decision {self.label!r}: the InputChoice has {self.n_candidates} candidates, and was called with "
                f"{len(inputs)} inputs"
            )
        if len({x.shape for x in inputs}) > 1:
            shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
            raise GraphError(
                f"decision {self.label!r}: the inputs of an InputChoice have one shape, not {shapes}; bring them to "
                "one before"
            )
        output = self._guarded(lambda: super(InputGraph, self).forward(dict(enumerate(inputs, start=1))))
        return output.clone() if any(output is x for x in inputs) else output

    def plain(self) -> nn.Module:
        """Return the sum of the inputs that were chosen.

        Raises:
            GraphError: If none were.
        """
        last = self.n_candidates + 1
        if self.n_chosen is not None:
            chosen = self.nodes[last].get("comb_op")
            if not isinstance(chosen, ChosenInputs):
                raise GraphError(f"decision {self.label!r} is not made yet")
            chosen.__dict__.pop(GIVEN_NAME, None)
            return chosen
        ops = [self.edges[index, last].op if self.has_edge(index, last) else Zero(stride=1) for index in range(1, last)]
        if not all(isinstance(op, Zero | Identity) for op in ops):
            raise GraphError(f"decision {self.label!r} is not made yet")
        return ChosenInputs([index for index, op in enumerate(ops) if isinstance(op, Identity)])


def _sum_of(chosen: Sequence[int]) -> ChosenInputs:
    found = ChosenInputs(chosen)
    found.__dict__[GIVEN_NAME] = "+".join(map(str, chosen))
    return found


def _kind(inputs: Any) -> str:
    return f"a tensor of shape {tuple(inputs.shape)}" if isinstance(inputs, Tensor) else type(inputs).__name__
