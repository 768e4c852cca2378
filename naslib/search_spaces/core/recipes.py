"""Recipe: a recurrent cell as a list of operations on the input, the states before and one another."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean

from .literals import plain, read_literal, shortened

LINEAR, BLEND, PRODUCT, SUM, TANH, SIGMOID, LEAKY_RELU = range(7)
OPS = (
    *("linear", "blend", "elementwise_prod", "elementwise_sum"),
    *("activation_tanh", "activation_sigm", "activation_leaky_relu"),
)
ACTIVATIONS = (TANH, SIGMOID, LEAKY_RELU)
# How many inputs an operation has, at least and at most ([Klyuchnikov2022nasbenchnlp], section 3)
ARITY = {LINEAR: (1, 3), BLEND: (3, 3), PRODUCT: (2, 2), SUM: (2, 2), **dict.fromkeys(ACTIVATIONS, (1, 1))}
MAX_NODES, MAX_STATES, MAX_INPUTS = 24, 3, 3
# Sources are numbers: the input, the states before, then the nodes
X, FIRST_STATE, FIRST_NODE = 0, 1, 1 + MAX_STATES
# An operation and what it reads; of all but a blend the order of inputs makes no difference
Node = tuple[int, tuple[int, ...]]


class Recipe:
    """A recurrent cell: what its nodes do, and which of them are the next states.

    Args:
        nodes: The nodes, each after those that it reads: an operation and its sources.
        outputs: By state the index of the node that it becomes; state 0 is the output of the cell.

    Attributes:
        nodes: Likewise, in a normal order.
        outputs: Likewise.

    Raises:
        ArchitectureError: If it is beyond the limits, or reads not the input and every state.
    """

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[int]) -> None:
        self.nodes = tuple((op, tuple(inputs) if op == BLEND else tuple(sorted(inputs))) for op, inputs in nodes)
        self.outputs = tuple(outputs)
        if problem := self._problem():
            raise ArchitectureError(f"not a recurrent cell of this space: {problem}")

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.outputs)

    def _problem(self) -> str:
        if not 1 <= len(self.outputs) <= MAX_STATES:
            return f"it has {len(self.outputs)} states; expected 1 to {MAX_STATES}"
        if len(self.nodes) > MAX_NODES:
            return f"it has {len(self.nodes)} nodes; expected at most {MAX_NODES}"
        if len(set(self.outputs)) < len(self.outputs):
            return "two states are one node"
        read = {source for _, inputs in self.nodes for source in inputs}
        for index, (op, inputs) in enumerate(self.nodes):
            least, most = ARITY[op]
            if not least <= len(inputs) <= most:
                number = str(least) if least == most else f"{least} to {most}"
                return f"node {index}, {OPS[op]}, reads {number} inputs, not {len(inputs)}"
            if len(set(inputs)) < len(inputs):
                return f"node {index}, {OPS[op]}, reads an input twice"
            if any(FIRST_STATE + self.n_states <= source < FIRST_NODE for source in inputs):
                return f"node {index} reads a state that there is not: there are {self.n_states}"
            if FIRST_NODE + index not in read and index not in self.outputs:
                return f"nothing reads node {index}"
        if X not in read:
            return "nothing reads the input x"
        unread = [k for k in range(self.n_states) if FIRST_STATE + k not in read]
        return f"nothing reads the state h_prev_{unread[0]}" if unread else ""

    @staticmethod
    def of_parts(parts: Mapping[Any, tuple[int, Sequence[Any]]], outputs: Sequence[Any], prune: bool = False) -> Recipe:
        """Return the recipe of nodes by name, whose inputs are names, or the numbers of the input and of states.

        Args:
            parts: By name the operation and its inputs.
            outputs: Names of the nodes that are the next states.
            prune: Whether nodes that nothing needs are left out; an error otherwise.

        Raises:
            ArchitectureError: If they read each other in a circle, or it is no recipe.
        """
        needed = _needed(parts, outputs) if prune else list(parts)
        order: dict[Any, int] = {}
        left = needed
        while left:
            ready = [name for name in left if all(i in order or i not in parts for i in parts[name][1])]
            if not ready:
                raise ArchitectureError(f"the nodes {', '.join(map(str, left))} of a cell read each other in a circle")
            order |= {name: len(order) + position for position, name in enumerate(ready)}
            left = [name for name in left if name not in order]
        nodes = [
            (parts[name][0], tuple(FIRST_NODE + order[i] if i in parts else i for i in parts[name][1]))
            for name in order
        ]
        return Recipe(nodes, [order[name] for name in outputs])

    @staticmethod
    def read(spec: Any) -> Recipe:
        """Return a recipe in the authors' form, `{name: {"op": ..., "input": [...]}}`, as value or as text.

        `x`, `h_prev_0` ... are the inputs, and the nodes `h_new_0` ... the next states; nodes that these do not need
        are left out.

        Raises:
            ArchitectureError: If it is none.
        """
        if isinstance(spec, str):
            spec = read_text(spec)
        spec = plain(spec)
        if not isinstance(spec, Mapping) or not all(
            isinstance(node, Mapping) and {"op", "input"} <= node.keys() for node in spec.values()
        ):
            raise ArchitectureError(f'expected {{name: {{"op": ..., "input": [...]}}, ...}}, not {shortened(spec)}')
        states = [name for name in spec if _number(name, "h_new_") is not None]
        outputs = [f"h_new_{k}" for k in range(len(states))]
        if not states or set(outputs) != set(states):
            raise ArchitectureError(f"the states of a cell are the nodes h_new_0, h_new_1 ..., not {sorted(states)}")
        parts = {str(name): (_op(node["op"]), _sources(name, node["input"], spec)) for name, node in spec.items()}
        return Recipe.of_parts(parts, outputs, prune=True)

    def write(self) -> dict[str, Any]:
        """Return the recipe in the authors' form."""
        names = ["x", *(f"h_prev_{k}" for k in range(MAX_STATES))]
        names += [
            f"h_new_{self.outputs.index(i)}" if i in self.outputs else f"node_{i}" for i in range(len(self.nodes))
        ]
        return {
            names[FIRST_NODE + index]: {"op": OPS[op], "input": [names[source] for source in inputs]}
            for index, (op, inputs) in enumerate(self.nodes)
        }

    def ordered(self) -> Recipe:
        """Return the same cell with its nodes, and its states but the first, in an order that equal cells share."""
        found = []
        for order in itertools.permutations(range(1, self.n_states)):
            former = [0, *order]
            renamed = {FIRST_STATE + old: FIRST_STATE + new for new, old in enumerate(former)}
            nodes = [(op, tuple(renamed.get(source, source) for source in inputs)) for op, inputs in self.nodes]
            found.append(_in_order(nodes, [self.outputs[old] for old in former]))
        return min(found, key=lambda recipe: (recipe.nodes, recipe.outputs))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        return (self.nodes, self.outputs) == (other.nodes, other.outputs)

    def __hash__(self) -> int:
        return hash((self.nodes, self.outputs))

    def __repr__(self) -> str:
        return f"Recipe({self.write()})"


def read_text(text: str) -> Any:
    """Return what a text says, as JSON or as Python writes it.

    Raises:
        ArchitectureError: If it is neither.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return read_literal(text)
    except ValueError as error:
        raise ArchitectureError(f"cannot read a recurrent cell from {shortened(text)}: {error}") from error


def _needed(parts: Mapping[Any, tuple[int, Sequence[Any]]], outputs: Sequence[Any]) -> list[Any]:
    stack, found = list(outputs), set(outputs)
    while stack:
        for name in parts[stack.pop()][1]:
            if name in parts and name not in found:
                found.add(name)
                stack.append(name)
    return [name for name in parts if name in found]


def _number(name: Any, prefix: str) -> int | None:
    text = str(name)
    rest = text.removeprefix(prefix)
    return int(rest) if text.startswith(prefix) and rest.isdecimal() else None


def _op(name: Any) -> int:
    if name not in OPS:
        raise ArchitectureError(
            f"unknown operation {name!r}{did_you_mean(str(name), OPS)} in a recurrent cell (there are {', '.join(OPS)})"
        )
    return OPS.index(name)


def _sources(name: Any, inputs: Any, nodes: Mapping[Any, Any]) -> list[Any]:
    if not isinstance(inputs, list):
        raise ArchitectureError(f"node {name!r} of a cell has a list of inputs, not {shortened(inputs)}")
    found: list[Any] = []
    for source in inputs:
        state = _number(source, "h_prev_")
        if isinstance(source, str | int) and source in nodes:
            found.append(str(source))
        elif source == "x":
            found.append(X)
        elif state is not None and state < MAX_STATES:
            found.append(FIRST_STATE + state)
        else:
            hint = did_you_mean(str(source), [*map(str, nodes), "x", *(f"h_prev_{k}" for k in range(MAX_STATES))])
            raise ArchitectureError(f"node {name!r} of a cell reads {source!r}, which there is not{hint}")
    return found


def _in_order(nodes: Sequence[Node], outputs: Sequence[int]) -> Recipe:
    """Return the recipe with its nodes by depth, and those of one depth by what tells them apart."""
    depth: list[int] = []
    for _, inputs in nodes:
        depth.append(1 + max((depth[s - FIRST_NODE] for s in inputs if s >= FIRST_NODE), default=0))
    first = [(depth[i], op, outputs.index(i) if i in outputs else -1) for i, (op, _) in enumerate(nodes)]
    colours = _refined(_ranks(first), nodes)
    while len(set(colours)) < len(colours):  # any of those that are alike: each goes into any other
        tied = min(colour for colour in colours if colours.count(colour) > 1)
        marked = [(colour, 0) for colour in colours]
        marked[colours.index(tied)] = (tied, -1)
        colours = _refined(_ranks(marked), nodes)
    order = sorted(range(len(nodes)), key=lambda index: colours[index])
    place = {FIRST_NODE + old: FIRST_NODE + new for new, old in enumerate(order)}
    renumbered = [(nodes[old][0], tuple(place.get(s, s) for s in nodes[old][1])) for old in order]
    return Recipe(renumbered, [order.index(old) for old in outputs])


def _refined(colours: list[int], nodes: Sequence[Node]) -> list[int]:
    """Tell nodes apart by what they read and by who reads them, until that makes no difference any more."""
    while True:
        readers: list[list[tuple[int, int]]] = [[] for _ in nodes]
        read = []
        for index, (op, inputs) in enumerate(nodes):
            seen = [(0, source) if source < FIRST_NODE else (1, colours[source - FIRST_NODE]) for source in inputs]
            read.append(tuple(seen if op == BLEND else sorted(seen)))
            for slot, source in enumerate(inputs):
                if source >= FIRST_NODE:
                    readers[source - FIRST_NODE].append((colours[index], slot if op == BLEND else -1))
        marks = [(colours[i], read[i], tuple(sorted(readers[i]))) for i in range(len(nodes))]
        new = _ranks(marks)
        if len(set(new)) == len(set(colours)):
            return new
        colours = new


def _ranks(marks: Sequence[Any]) -> list[int]:
    rank = {mark: position for position, mark in enumerate(sorted(set(marks)))}
    return [rank[mark] for mark in marks]
