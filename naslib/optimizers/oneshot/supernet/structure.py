"""Structure: which candidates a supernet still has and how large it is; changed during a search, and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from naslib.errors import GraphError, OptimizerStateError
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph, Scope

from .host import Supernet
from .mixed_edges import decisions_in, mixed_edges
from .part import Part

# Positions of candidates, per decision
Positions = Sequence[Sequence[int]]


class Restructured(Supernet, Protocol):
    """An optimizer whose supernet can be cut, and built anew."""

    op_optimizer: Any
    arch_optimizer: Any

    @property
    def RESTRUCTURES(self) -> bool:
        """Whether the method itself changes the structure of the supernet during the search."""

    @property
    def search_space(self) -> Graph | None:
        """The space as it was given."""

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts by name."""

    def build_supernet(
        self,
        graph: Graph,
        kept: Positions | None = None,
        alphas: Sequence[nn.Parameter] | None = None,
    ) -> None:
        """Make the supernet out of a copy of the search space."""

    def settle_batch_norm(self, graph: Graph) -> None:
        """Let the norms of new modules normalise as the optimizer says."""

    def collect_weights(self) -> None:
        """Read the supernet's weights and norms into flat lists."""


class Structure:
    """What a search may change in the structure of its supernet.

    `prune` takes candidates out of the supernet and lets all others train on; `rebuild` puts a fresh supernet in its
    place. Both leave the architecture parameters and both optimizers the objects that they are, so that whoever holds
    them (a schedule, a recorder) need not know. As a checkpointable it comes first: loading it rebuilds the supernet
    that the weights in the checkpoint belong to.

    Args:
        optimizer: The optimizer whose supernet it is.

    Attributes:
        kept: Per decision the candidates that are left, as indices among those of the space.
        arguments: Constructor arguments of the space that the present supernet has otherwise than
            `optimizer.search_space`.
        widths: Per decision the number of candidates in the space.
    """

    def __init__(self, optimizer: Restructured) -> None:
        self.optimizer = optimizer
        self.kept: list[tuple[int, ...]] = []
        self.arguments: dict[str, Any] = {}
        self.widths: list[int] = []

    @property
    def changed_by(self) -> list[str]:
        """Who changes the structure: the optimizer, or names of parts."""
        optimizer = self.optimizer
        own = [type(optimizer).__name__] if optimizer.RESTRUCTURES else []
        return own + [name for name, part in optimizer.parts.items() if part.restructures]

    def begin(self) -> None:
        """Take note of the supernet that was just built, with all candidates."""
        self.widths = [alpha.shape[-1] for alpha in self.optimizer.architectural_weights]
        self.kept = [tuple(range(width)) for width in self.widths]
        self.arguments = {}

    def strongest(self, n_ops: int | Sequence[int]) -> list[list[int]]:
        """Return per decision the positions of its strongest candidates, ascending; the first of equals.

        Args:
            n_ops: How many, of every decision or of each.
        """
        optimizer = self.optimizer
        numbers = [n_ops] * len(self.kept) if isinstance(n_ops, int) else n_ops
        found = []
        for data, number in zip(optimizer.decisions, numbers, strict=True):
            scores = optimizer.decision_weights(data.alpha).detach()
            order = scores.argsort(descending=True, stable=True)[:number]
            found.append(sorted(order.tolist()))
        return found

    def keeping(self, positions: Positions) -> list[tuple[int, ...]]:
        """Return what `kept` becomes if only the present candidates at `positions` stay."""
        return [tuple(now[i] for i in chosen) for now, chosen in zip(self.kept, positions, strict=True)]

    # changes

    def prune(self, positions: Positions) -> None:
        """Remove all other candidates from every copy of each decision; the rest keep their weights and states.

        Args:
            positions: Per decision those that stay, among the present candidates.

        Raises:
            GraphError: If a decision would be left without a candidate.
        """
        optimizer = self.optimizer
        shrink(optimizer.graph, optimizer.scope, positions, optimizer.arch_optimizer)
        self.kept = self.keeping(positions)
        self.refresh()

    def refresh(self) -> None:
        """Compile the supernet again after modules in it were replaced, and train the weights that it has now."""
        optimizer = self.optimizer
        for graph in optimizer.graph.nested_graphs():
            graph.structure_changed()
        optimizer.settle_batch_norm(optimizer.graph)
        optimizer.outcome = None
        optimizer.collect_weights()
        _retarget(optimizer.op_optimizer, optimizer.weights)
        for part in optimizer.parts.values():
            part.restructured()

    def rebuild(self, kept: Positions, arguments: Mapping[str, Any] | None = None) -> None:
        """Replace the supernet by a fresh one: new weights, new architecture parameters, no optimizer states.

        Args:
            kept: Per decision the candidates that it has, as indices among those of the space.
            arguments: Constructor arguments of the space to change.

        Raises:
            GraphError: If the space has other decisions with these arguments.
        """
        optimizer = self.optimizer
        graph = self.fresh_space(arguments or {})
        old, self.kept, self.arguments = optimizer.graph, [tuple(indices) for indices in kept], dict(arguments or {})
        optimizer.outcome = None
        optimizer.build_supernet(graph, self.kept, list(optimizer.architectural_weights))
        _resemble(optimizer.graph, old)
        optimizer.op_optimizer.state.clear()
        _retarget(optimizer.op_optimizer, optimizer.weights)
        if optimizer.arch_optimizer is not None:
            optimizer.arch_optimizer.state.clear()
            _retarget(optimizer.arch_optimizer, optimizer.architecture_parameters)
        for part in optimizer.parts.values():
            part.restructured()

    @property
    def space(self) -> Graph:
        """The space that the supernet was made from.

        Raises:
            OptimizerStateError: Before a space was adapted.
        """
        space = self.optimizer.search_space
        if space is None:
            raise OptimizerStateError("there is no supernet yet: call adapt_search_space(search_space) first")
        return space

    def fresh_space(self, arguments: Mapping[str, Any]) -> Graph:
        """Return the space with fresh weights, and with some constructor arguments changed."""
        space = self.space
        if arguments:
            return type(space)(**{**constructor_arguments(space), **arguments}).take_given(space)
        return space.reset_weights()

    # checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return the structure as plain values."""
        return {
            "kept": [list(indices) for indices in self.kept],
            "arguments": dict(self.arguments),
            "parts": {
                name: {key: getattr(part, key) for key in part.structural}
                for name, part in self.optimizer.parts.items()
                if part.structural
            },
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Rebuild the supernet where its structure is another one; its weights are loaded afterwards."""
        if state_dict == self.state_dict():
            return
        for part, values in state_dict["parts"].items():
            for key, value in values.items():
                setattr(self.optimizer.parts[part], key, value)
        self.rebuild(state_dict["kept"], state_dict["arguments"])


class CurrentModel:
    """The supernet as a checkpointable that stays valid when it is rebuilt."""

    def __init__(self, optimizer: Restructured) -> None:
        self._optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of the present supernet."""
        return self._optimizer.graph.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over weights."""
        self._optimizer.graph.load_state_dict(state_dict)


def shrink(graph: Graph, scope: Scope, positions: Positions, arch_optimizer: Any = None) -> None:
    """Keep of every decision the candidates at some positions, and their entries of its architecture parameter.

    Args:
        graph: A graph with MixedOps.
        scope: Which graphs are searched.
        positions: Per decision, ascending.
        arch_optimizer: Its state of the parameters is cut likewise.
    """
    decisions = decisions_in(graph, scope)
    if not all(positions):
        raise GraphError("a decision would be left without a candidate")
    by_alpha = {id(data.alpha): chosen for data, chosen in zip(decisions, positions, strict=True)}
    for data in mixed_edges(graph, scope):
        if data.has("alpha"):
            candidates = data.op.primitives
            data.op.set_embedded_ops([candidates[i] for i in by_alpha[id(data.alpha)]])
    for data in decisions:
        _cut(data.alpha, by_alpha[id(data.alpha)], arch_optimizer)


def _cut(alpha: nn.Parameter, chosen: Sequence[int], optimizer: Any) -> None:
    """Keep some entries of a parameter, and of what an optimizer knows of each of them."""
    index = torch.tensor(chosen, device=alpha.device)
    shape = alpha.shape
    alpha.data = alpha.data.index_select(-1, index)
    alpha.grad = None
    state = optimizer.state.get(alpha, {}) if optimizer is not None else {}
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == shape:
            state[name] = value.index_select(-1, index)


def adopt(graph: Graph, scope: Scope, alphas: Sequence[nn.Parameter]) -> None:
    """Put given parameters in the place of a graph's architecture parameters, with the values of the latter.

    Raises:
        GraphError: If there are not as many.
    """
    decisions = decisions_in(graph, scope)
    if len(decisions) != len(alphas):
        raise GraphError(f"the rebuilt supernet has {len(decisions)} decisions, the first one had {len(alphas)}")
    for alpha, data in zip(alphas, decisions, strict=True):
        alpha.data = data.alpha.data.to(alpha)
        alpha.grad = None
        data["alpha"] = alpha


def _retarget(optimizer: Any, parameters: Sequence[nn.Parameter]) -> None:
    """Let an optimizer train these parameters, forgetting about all others."""
    optimizer.param_groups[0]["params"] = list(parameters)
    present = {id(parameter) for parameter in parameters}
    for parameter in list(optimizer.state):
        if id(parameter) not in present:
            del optimizer.state[parameter]


def _resemble(graph: Graph, old: Graph) -> None:
    """Give a graph the device, type, memory format and mode of another one."""
    parameters = list(old.parameters())
    graph.train(old.training)
    if not parameters:
        return
    graph.to(parameters[0].device, parameters[0].dtype)
    images = [p for p in parameters if p.dim() == 4 and not p.is_contiguous()]
    if any(p.is_contiguous(memory_format=torch.channels_last) for p in images):
        graph.to(memory_format=torch.channels_last)
