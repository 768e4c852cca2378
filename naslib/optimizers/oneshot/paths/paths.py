"""Paths: the architectures of a space as routes through its supernet, drawn, mutated and crossed without training."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import UnsupportedBySpaceError
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in, mixed_edges
from naslib.search_spaces.core._module_graph import graphs_within
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.codec import NO_EDGE, Code, Codec, Place
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive, Identity, MixedOp

Choices = tuple[int, ...]


class PathSpace(ABC):
    """The architectures of a space, each a tuple of ints (a code) that stands for one choice per decision."""

    @abstractmethod
    def random(self, rng: Random) -> Code:
        """Draw an architecture as the space does."""

    @abstractmethod
    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy in which every gene is drawn anew with probability `rate`."""

    @abstractmethod
    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return an architecture that has every gene from one of two parents."""

    def choices(self, code: Code) -> Choices:
        """Return the chosen candidate per decision, `NO_EDGE` where the architecture has not the edge."""
        return code

    def iterate(self) -> Iterator[Code]:
        """Yield every architecture once.

        Raises:
            UnsupportedBySpaceError: If there are too many.
        """
        raise UnsupportedBySpaceError("the space has no codec, so its architectures cannot be enumerated")


class CodecPaths(PathSpace):
    """Paths by the codec of the space.

    Args:
        codec: The codec.
        places: Where the decisions are.
    """

    def __init__(self, codec: Codec, places: Sequence[Place]) -> None:
        self.codec = codec
        self.places = tuple(places)

    def random(self, rng: Random) -> Code:
        """Draw a code."""
        return self.codec.random(rng)

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Draw every gene of the code anew with probability `rate`."""
        return self.codec.perturb(code, rate, rng)

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Cross two codes."""
        return self.codec.crossover(first, second, rng)

    def choices(self, code: Code) -> Choices:
        """Return the chosen candidate per decision."""
        return self.codec.choices(code, self.places)

    def iterate(self) -> Iterator[Code]:
        """Yield every code once, where the codec can."""
        return self.codec.iterate()


class RulePaths(PathSpace):
    """Paths by the space's own rule of discretization, for spaces without a codec.

    Candidates get random scores, and the space says which edges and which candidates it keeps
    (`prepare_discretization`, `select_primitive`). So every path is an architecture that a search could end with. For
    the rule of DARTS that is: two edges per node and an op other than Zero on each, all equally likely.

    Args:
        graph: The supernet, every decision with its MixedOp, not parsed yet.
        scope: The scopes under search.
    """

    def __init__(self, graph: Graph, scope: Scope) -> None:
        self._scope = scope
        self._graph = _skeleton(graph)
        self._common = _in_common(self._graph)
        self._alphas = [data.alpha for data in decisions_in(graph, scope)]
        self._widths = [alpha.numel() for alpha in self._alphas]
        self._index_of = {id(alpha): index for index, alpha in enumerate(self._alphas)}
        self._prunes = type(graph).prepare_discretization is not Graph.prepare_discretization

    def random(self, rng: Random) -> Choices:
        """Let the space choose by scores that are uniform in [0, 1)."""
        return self.select([_scores(width, rng) for width in self._widths])

    def perturb(self, code: Code, rate: float, rng: Random) -> Choices:
        """Draw the scores of every decision anew with probability `rate`; the others prefer what `code` has."""
        scores = [self._preferring(index, rng, code) for index in range(len(code))]
        for index, width in enumerate(self._widths):
            if rng.random() < rate:
                drawn = _scores(width, rng)
                scores[index] = drawn * (2.5 * rng.random() / float(drawn.max()))  # what `code` has scores 1 to 1.5
        return self.select(scores)

    def crossover(self, first: Code, second: Code, rng: Random) -> Choices:
        """Prefer for every decision what one of the parents has, and what the other has to what neither has."""
        parents = [(first, second) if rng.random() < 0.5 else (second, first) for _ in first]
        return self.select([self._preferring(index, rng, *pair) for index, pair in enumerate(parents)])

    def select(self, scores: Sequence[Tensor]) -> Choices:
        """Return what the space chooses.

        Args:
            scores: Per decision, `(n_ops,)`.
        """
        graph = copy.deepcopy(self._graph, dict(self._common)) if self._prunes else self._graph
        for data in mixed_edges(graph, self._scope):
            data.set("op_weights", scores[self._index_of[id(data.alpha)]], shared=True)
        graph.prepare_discretization()
        choices = [NO_EDGE] * len(scores)
        for data in mixed_edges(graph, self._scope):
            choices[self._index_of[id(data.alpha)]] = graph.select_primitive(data)
        return tuple(choices)

    def _preferring(self, index: int, rng: Random, *codes: Code) -> Tensor:
        """Return scores of one decision: 1 to 1.5 for what the first code has, .5 to 1 for the second, less for others.

        They are random within these bounds: among equals the space shall not always take the first.
        """
        scores = 0.5 * _scores(self._widths[index], rng)
        for bound, code in reversed(list(zip((1.0, 0.5), codes, strict=False))):
            if code[index] != NO_EDGE:
                scores[code[index]] = bound + 0.5 * rng.random()
        return scores


def _skeleton(graph: Graph) -> Graph:
    """Return a copy of a graph that is not parsed yet, with the same parameters and with shells in place of its ops."""
    stand_ins = _in_common(graph)
    for key, item in stand_ins.items():
        if isinstance(item, MixedOp):
            stand_ins[key] = MixedOp([_shell(op) for op in item.primitives])
        elif isinstance(item, nn.Module) and not isinstance(item, AbstractCombOp):
            stand_ins[key] = Identity()
    return copy.deepcopy(graph, stand_ins)


def _shell(module: nn.Module) -> nn.Module:
    """Return a module of the same type and with the same attributes, but with nothing inside."""
    if isinstance(module, AbstractPrimitive) and module.get_embedded_ops() is not None:
        return module
    shell = copy.copy(module)
    shell._modules, shell._parameters, shell._buffers = {}, {}, {}
    return shell


def _in_common(graph: Graph) -> dict[int, Any]:
    """Return, by id, the operations, combinations and parameters that a copy of the structure need not copy."""
    edges = [edge.data for edge in graph._edges_in_scope("all", private_edge_data=True, final=True)]
    common: list[Any] = [data.op for data in edges if not graphs_within(data.op)]  # graphs are structure
    common += [data.alpha for data in edges if data.has("alpha")]
    common += [a["comb_op"] for g in graph.nested_graphs() for _, a in g.nodes(data=True) if "comb_op" in a]
    return {id(item): item for item in common}


def _scores(width: int, rng: Random) -> Tensor:
    return torch.tensor([rng.random() for _ in range(width)])


def places_in(graph: Graph, scope: Scope) -> list[Place]:
    """Return where the decisions of a supernet are, in the order of `decisions_in`."""
    found: dict[int, Place] = {}
    for nested in graph._graphs_in_scope(scope):
        for head, tail, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            if isinstance(data.op, MixedOp) and data.has("alpha"):
                ops = tuple(op_name(op) for op in data.op.primitives)
                found.setdefault(id(data.alpha), Place(nested.name, head, tail, ops))
    return [found[id(data.alpha)] for data in decisions_in(graph, scope)]


def paths_of(graph: Graph, scope: Scope) -> PathSpace:
    """Return the paths of a supernet: by the space's codec where that knows supernets, else by the space's rule."""
    if graph.codec is not None:
        paths = CodecPaths(graph.codec, places_in(graph, scope))
        try:
            example = paths.random(Random(0))
            paths.choices(paths.crossover(paths.perturb(example, 0.5, Random(0)), example, Random(0)))
        except UnsupportedBySpaceError:
            return RulePaths(graph, scope)
        return paths
    return RulePaths(graph, scope)
