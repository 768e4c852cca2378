"""The decisions of a space as trees: what is active under which choice, how many ways there are, and uniform draws."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from random import Random
from typing import Any

from naslib.errors import DecisionError, did_you_mean

from .decisions import MASKED, Decision

# Indices of candidates, ascending
Chosen = tuple[int, ...]


class Node:
    """A decision in its space.

    Args:
        decision: The decision.
        index: Its position in the space.
        start: Of its first gene.

    Attributes:
        stop: Behind its last gene.
        parent: The decision of its condition.
        children: The decisions that are conditions on this one, in the order of the space.
        needs: The candidates of the parent that make it active.
        count: In how many ways it and all below it can be decided.
        shape: Equal for decisions that can take over each other's genes, those below them included.
        genes: Positions of its genes and of those below it, in an order that equal shapes have in common.
    """

    def __init__(self, decision: Decision, index: int, start: int) -> None:
        self.decision = decision
        self.index = index
        self.start = start
        self.stop = start + decision.n_genes
        self.width = len(decision.candidates)
        self.parent: Node | None = None
        self.needs = frozenset(decision.condition_indices)
        self.children: list[Node] = []
        self.below: list[tuple[Node, ...]] = []  # by candidate, the children that it activates
        self.selection: _One | _Several
        self.count = 0
        self.shape: Any = None
        self.genes: tuple[int, ...] = ()

    def finish(self) -> None:
        """Settle what depends on the children, which are finished."""
        decision = self.decision
        self.below = [tuple(child for child in self.children if i in child.needs) for i in range(self.width)]
        many = decision.kind == "inputs"
        self.selection = _Several(self) if many else _One(self)
        self.count = self.selection.count
        own = decision.kind, self.width, decision.n_chosen
        self.shape = (*own, tuple((tuple(sorted(child.needs)), child.shape) for child in self.children))
        self.genes = (*range(self.start, self.stop), *(gene for child in self.children for gene in child.genes))

    def chosen(self, genes: Sequence[int]) -> Chosen:
        """Return what is chosen, where the decision is active."""
        own = genes[self.start : self.stop]
        if self.decision.n_chosen is None:
            return tuple(index for index, bit in enumerate(own) if bit)
        return tuple(own)

    def write(self, genes: list[int], chosen: Chosen) -> None:
        """Put a choice into genes."""
        if self.decision.n_chosen is None:
            genes[self.start : self.stop] = [int(index in chosen) for index in range(self.width)]
        else:
            genes[self.start : self.stop] = chosen

    def activated(self, chosen: Chosen) -> Sequence[Node]:
        """Return the children that a choice makes active, in a fixed order."""
        if not self.children:
            return ()
        if len(chosen) == 1:
            return self.below[chosen[0]]
        return [child for child in self.children if not child.needs.isdisjoint(chosen)]


class _One:
    """The choice of one candidate."""

    def __init__(self, node: Node) -> None:
        self.width = node.width
        weights = [prod(child.count for child in below) for below in node.below]
        self.count = sum(weights)
        self.singles = [(index,) for index in range(node.width)]
        even = all(weight == weights[0] for weight in weights)
        self.bounds = None if even else [total / self.count for total in itertools.accumulate(weights)][:-1]

    def draw(self, rng: Random) -> Chosen:
        """Draw a choice with a probability proportional to the number of ways to decide what is below it."""
        if self.bounds is None:
            return self.singles[int(rng.random() * self.width)]
        return self.singles[bisect(self.bounds, rng.random())]

    def every(self) -> Iterator[Chosen]:
        """Yield all choices."""
        return iter(self.singles)

    def others(self, chosen: Chosen) -> list[Chosen]:
        """Return the choices one step away."""
        return [single for single in self.singles if single != chosen]

    def redraw(self, chosen: Chosen, rate: float, rng: Random) -> Iterator[Chosen]:
        """Yield what the choice becomes when each gene of it is drawn anew with probability `rate`, gene by gene."""
        if rng.random() < rate:
            yield self.singles[int(rng.random() * self.width)]


class _State:
    """How a draw of several candidates, one by one, goes on: `take` the next one with probability `p`, or not."""

    __slots__ = ("p", "skip", "take", "total")

    def __init__(self, total: int, p: float = 0.0, take: _State | None = None, skip: _State | None = None) -> None:
        self.total, self.p, self.take, self.skip = total, p, take, skip


class _Several:
    """The choice of a number of candidates, or of any subset."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.width = node.width
        self.number = node.decision.n_chosen
        # children that more than one candidate can activate must not be counted twice
        self.bits = {id(child): 1 << i for i, child in enumerate(c for c in node.children if len(c.needs) > 1)}
        self.states: dict[tuple[int, int | None, int], _State] = {}
        self.first = self._state(0, self.number, 0)
        self.count = self.first.total

    def _state(self, index: int, left: int | None, done: int) -> _State:
        """Return the state before candidate `index` with `left` to choose, and `done` children active already."""
        if left == 0 or index == self.width:
            return _State(int(not left))
        key = index, left, done
        if key not in self.states:
            below = self.node.below[index]
            new = [child for child in below if not self.bits.get(id(child), 0) & done]
            more = done
            for child in below:
                more |= self.bits.get(id(child), 0)
            take = self._state(index + 1, None if left is None else left - 1, more)
            skip = self._state(index + 1, left, done)
            weight = take.total * prod(child.count for child in new)
            total = weight + skip.total
            self.states[key] = _State(total, weight / total if total else 0.0, take, skip)
        return self.states[key]

    def draw(self, rng: Random) -> Chosen:
        """Draw a choice with a probability proportional to the number of ways to decide what is below it."""
        state: _State | None = self.first
        index, chosen = 0, []
        while state is not None:
            if state.take is not None and rng.random() < state.p:
                chosen.append(index)
                state = state.take
            else:
                state = state.skip
            index += 1
        return tuple(chosen)

    def every(self) -> Iterator[Chosen]:
        """Yield all choices."""
        if self.number is not None:
            yield from itertools.combinations(range(self.width), self.number)
            return
        for bits in itertools.product((0, 1), repeat=self.width):
            yield tuple(index for index, bit in enumerate(bits) if bit)

    def others(self, chosen: Chosen) -> list[Chosen]:
        """Return the choices one step away: one candidate swapped for another; of a subset, one more or less."""
        if self.number is None:
            return [tuple(sorted({*chosen} ^ {index})) for index in range(self.width)]
        unused = [index for index in range(self.width) if index not in chosen]
        return [tuple(sorted({*chosen} - {old} | {new})) for old in chosen for new in unused]

    def redraw(self, chosen: Chosen, rate: float, rng: Random) -> Iterator[Chosen]:
        """Yield what the choice becomes when each gene of it is drawn anew with probability `rate`, gene by gene."""
        if self.number is None:
            bits = [index in chosen for index in range(self.width)]
            for index in range(self.width):
                if rng.random() < rate:
                    bits[index] = rng.random() < 0.5
                    yield tuple(i for i, bit in enumerate(bits) if bit)
            return
        now = [*chosen]
        for slot in range(len(now)):
            if rng.random() < rate:
                now[slot] = rng.choice([i for i in range(self.width) if i == now[slot] or i not in now])
                yield tuple(sorted(now))


def grow(decisions: Sequence[Decision]) -> tuple[list[Node], list[Node]]:
    """Return the nodes of all decisions in the given order, and those that are always active.

    Raises:
        DecisionError: If labels clash, or a condition names no decision, no candidate, or goes in a circle.
    """
    nodes: list[Node] = []
    by_name: dict[str, Node] = {}
    for index, decision in enumerate(decisions):
        if not isinstance(decision, Decision):
            raise DecisionError(f"a decision space consists of Decision objects, not of {decision!r}")
        if decision.name in by_name:
            raise DecisionError(f"two decisions are called {decision.name!r}: labels must be unique")
        nodes.append(Node(decision, index, nodes[-1].stop if nodes else 0))
        by_name[decision.name] = nodes[-1]
    for node in nodes:
        _attach(node, by_name)
    order = [node for node in nodes if node.parent is None]
    for node in order:  # which grows meanwhile
        order += node.children
    if len(order) < len(nodes):
        raise DecisionError(_circle(next(node for node in nodes if node not in order)))
    for node in reversed(order):
        node.finish()
    return nodes, [node for node in nodes if node.parent is None]


def _attach(node: Node, by_name: dict[str, Node]) -> None:
    condition = node.decision.condition
    if condition is None:
        return
    parent = by_name.get(condition[0])
    if parent is None:
        hint = did_you_mean(condition[0], by_name)
        raise DecisionError(f"decision {node.decision.name!r} depends on {condition[0]!r}, which is none{hint}")
    wrong = sorted(index for index in node.needs if not 0 <= index < parent.width)
    if wrong:
        raise DecisionError(
            f"decision {node.decision.name!r} depends on candidate {wrong[0]} of {condition[0]!r}, which has "
            f"candidates 0 to {parent.width - 1}"
        )
    node.parent = parent
    parent.children.append(node)


def _circle(node: Node) -> str:
    """Return in words the circle of conditions that leads to a node, or in which it is."""
    way = [node]
    while way[-1].parent is not None and way[-1].parent not in way:
        way.append(way[-1].parent)
    circle = [*way[way.index(way[-1].parent) :], way[-1].parent] if way[-1].parent in way else way
    names = " -> ".join(repr(inner.decision.name) for inner in circle if inner is not None)
    return f"conditions go in a circle ({names}): none of these decisions could ever be made"


def draw_into(genes: list[int], nodes: Iterable[Node], rng: Random) -> None:
    """Decide nodes, and all below them, uniformly over all ways to do so; their genes are masked before."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        chosen = node.selection.draw(rng)
        node.write(genes, chosen)
        if node.children:
            stack += node.activated(chosen)


def every_way(genes: list[int], nodes: Sequence[Node]) -> Iterator[list[int]]:
    """Yield genes with nodes and all below them decided in every way; always the same list, whose genes are masked."""
    if not nodes:
        yield genes
        return
    node, rest = nodes[0], nodes[1:]
    for chosen in node.selection.every():
        node.write(genes, chosen)
        yield from every_way(genes, [*node.activated(chosen), *rest])
    mask(genes, [node])


def mask(genes: list[int], nodes: Iterable[Node]) -> None:
    """Mask the genes of nodes and of all below them."""
    for node in nodes:
        for gene in node.genes:
            genes[gene] = MASKED


def changed(genes: Sequence[int], node: Node, chosen: Chosen) -> tuple[list[int], list[Node]]:
    """Return genes in which an active node has chosen otherwise, and the nodes that became active by that undecided.

    What becomes active takes over the genes of what ceases to be, where the two are of one shape, in order: a swapped
    input carries its operation along. This works both ways, so that neighbourhoods are symmetric.
    """
    before, after = node.activated(node.chosen(genes)), node.activated(chosen)
    gone = [child for child in before if child not in after]
    came = [child for child in after if child not in before]
    new = [*genes]
    node.write(new, chosen)
    mask(new, gone)
    undecided = []
    for child in came:
        source = next((other for other in gone if other.shape == child.shape), None)
        if source is None:
            undecided.append(child)
            continue
        gone.remove(source)
        for target, gene in zip(child.genes, source.genes, strict=True):
            new[target] = genes[gene]
    return new, undecided
