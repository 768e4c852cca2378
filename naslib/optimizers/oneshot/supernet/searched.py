"""SearchedDecision: a decision of a supernet, with the edge that carries it and its architecture parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import CheckpointError, ConfigError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.decisions import Decision, Site
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.statement import searched_edges


@dataclass(frozen=True)
class SearchedDecision(Decision):
    """One decision of a supernet: one architecture parameter, one entry of a sample.

    Its candidates are those that the supernet has now, also where the space never selects one of them, in the order of
    the parameter's entries.

    Attributes:
        edge: Data of the edge that carries it; of several copies the first.
    """

    edge: EdgeData = field(default_factory=EdgeData, compare=False, repr=False)

    @property
    def alpha(self) -> nn.Parameter:
        """Its architecture parameter, `(n_ops,)`."""
        return self.edge.alpha

    @property
    def op(self) -> Any:
        """The MixedOp on the edge."""
        return self.edge.op


def searched_decisions(graph: Graph, scope: Scope) -> list[SearchedDecision]:
    """Return the decisions of a supernet, in the order of its architecture parameters."""
    found = []
    stated = {decision.name: decision for decision in graph.present_decisions(scope).decisions}
    for edges in searched_edges(graph, scope).values():
        data = edges.copies[0].data
        if not data.has("alpha"):
            continue
        positions = tuple(range(len(edges.candidates)))
        sites = tuple(Site(copy.graph.name, copy.number, copy.head, copy.tail, positions) for copy in edges.copies)
        names = _names(edges.candidates, stated.get(edges.name))
        found.append(SearchedDecision(edges.name, "op", names, 1, None, sites, data))
    for number, (label, data) in enumerate((graph.value_edges or {}).items()):
        values = tuple(candidate.value for candidate in data.op.get_embedded_ops())
        site = Site("", -1, None, number, tuple(range(len(values))))
        found.append(SearchedDecision(label, "value", values, 1, None, (site,), data))
    return found


def _names(candidates: Sequence[nn.Module], stated: Decision | None) -> tuple[str, ...]:
    """Return what the candidates are called: as the space states, else by their own names; equal names are numbered."""
    known: dict[int, str] = {}
    if stated is not None and stated.sites and stated.kind == "op":
        known = dict(zip(stated.sites[0].positions, stated.candidates, strict=True))
    names: list[str] = []
    for position, candidate in enumerate(candidates):
        name = own = known.get(position, op_name(candidate))
        number = 1
        while name in names or (position not in known and name in known.values()):
            number += 1
            name = f"{own} ({number})"
        names.append(name)
    return tuple(names)


def fill(decision: SearchedDecision, logits: Tensor | Sequence[float] | None) -> None:
    """Write the initial logits of a decision into its parameter.

    Logits are `(n_ops,)`.

    Args:
        decision: The decision.
        logits: One for each candidate; None leaves the parameter as it is.

    Raises:
        ConfigError: If they are not as many.
    """
    if logits is None:
        return
    row = torch.as_tensor(logits)
    if row.shape != decision.alpha.shape:
        raise ConfigError(
            f"initial_logits of {decision.name!r}, which has {len(decision.candidates)} candidates, gave a "
            f"tensor of shape {tuple(row.shape)}; expected {tuple(decision.alpha.shape)}"
        )
    with torch.no_grad():
        decision.alpha.copy_(row)


class NamedWeights:
    """The architecture parameters as a checkpointable, by the names of their decisions.

    Checkpoints of former versions, by position, are read where they have as many.

    Args:
        weights: The parameters.
        names: Of their decisions, in the same order.
    """

    def __init__(self, weights: Sequence[nn.Parameter], names: Sequence[str]) -> None:
        self._weights = dict(zip(names, weights, strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parameters by the name of their decision.

        Each is `(n_ops,)`.
        """
        return {name: weight.detach() for name, weight in self._weights.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take over parameters.

        Each is `(n_ops,)`.

        Raises:
            CheckpointError: If they are of other decisions.
        """
        state = dict(state_dict)
        if state.keys() == {str(index) for index in range(len(state))} and not state.keys() & self._weights.keys():
            if len(state) != len(self._weights):
                raise CheckpointError(
                    f"architectural_weights: the checkpoint, of a former version, has {len(state)} parameters, the "
                    f"search space {len(self._weights)} decisions; it belongs to another search space"
                )
            state = {name: state[str(index)] for index, name in enumerate(self._weights)}
        self._check(state)
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(state[name])

    def _check(self, state: Mapping[str, Tensor]) -> None:
        missing = [name for name in self._weights if name not in state]
        unknown = [name for name in state if name not in self._weights]
        problems = [f"it lacks {', '.join(missing)}"] * bool(missing)
        problems += [f"it has {', '.join(unknown)}, which is no decision here"] * bool(unknown)
        problems += [
            f"{name} has {tuple(state[name].shape)} entries there and {tuple(weight.shape)} here"
            for name, weight in self._weights.items()
            if name in state and state[name].shape != weight.shape
        ]
        if problems:
            raise CheckpointError(f"architectural_weights: the checkpoint is of other decisions: {'; '.join(problems)}")
