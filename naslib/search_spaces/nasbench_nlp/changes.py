"""Changes of a recurrent cell: small steps, each of which another one takes back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from random import Random
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.recipes import (
    ACTIVATIONS,
    ARITY,
    BLEND,
    FIRST_NODE,
    FIRST_STATE,
    LINEAR,
    MAX_NODES,
    MAX_STATES,
    Recipe,
    X,
)

# What happens, and where
Change = tuple[Any, ...]


class Draft(NamedTuple):
    """A cell under change.

    Attributes:
        nodes: By the number of a node as a source its operation and sources.
        outputs: By state the number of the node that it becomes.
    """

    nodes: dict[int, tuple[int, list[int]]]
    outputs: list[int]

    @staticmethod
    def of(recipe: Recipe) -> Draft:
        """Return a draft of a cell."""
        nodes = {FIRST_NODE + index: (op, list(inputs)) for index, (op, inputs) in enumerate(recipe.nodes)}
        return Draft(nodes, [FIRST_NODE + output for output in recipe.outputs])

    def links(self, source: int) -> list[tuple[int, int]]:
        """Return who reads a source: nodes and the position among their inputs, and states as (-1, state)."""
        found = [
            (name, slot) for name, (_, read) in self.nodes.items() for slot, one in enumerate(read) if one == source
        ]
        return found + [(-1, state) for state, node in enumerate(self.outputs) if node == source]

    def put(self, link: tuple[int, int], source: int) -> None:
        """Let whoever is at a link read another source."""
        if link[0] == -1:
            self.outputs[link[1]] = source
        else:
            self.nodes[link[0]][1][link[1]] = source


def changes(recipe: Recipe) -> Iterator[Change]:
    """Yield the changes of a cell; some give no cell.

    * `op`: the operation of a node is another one for as many inputs (those of a blend in any order).
    * `input`: a node reads another source in the place of one; `more`, `less`: a linear one reads one more or less.
    * `output`: a state becomes another node.
    * `insert`, `remove`: an activation comes between a source and one who reads it, or goes.
    * `state`, `no state`: a state more, which one linear node reads, or less.
    """
    draft = Draft.of(recipe)
    sources = [X, *(FIRST_STATE + k for k in range(recipe.n_states)), *draft.nodes]
    for name, (op, inputs) in draft.nodes.items():
        for other, (least, most) in ARITY.items():
            if other != op and least <= len(inputs) <= most:
                orders = permutations(range(3)) if other == BLEND else [tuple(range(len(inputs)))]
                yield from (("op", name, other, order) for order in orders)
        for source in sources:
            if source not in inputs and source != name:
                yield from (("input", name, slot, source) for slot in range(len(inputs)))
                if op == LINEAR and len(inputs) < ARITY[LINEAR][1]:
                    yield "more", name, source
        if op == LINEAR and len(inputs) > ARITY[LINEAR][0]:
            yield from (("less", name, slot) for slot in range(len(inputs)))
        if op in ACTIVATIONS and len(draft.links(name)) == 1:
            yield "remove", name
        if len(draft.nodes) < MAX_NODES:
            yield from (("insert", (name, slot), act) for slot in range(len(inputs)) for act in ACTIVATIONS)
        if name not in draft.outputs:
            yield from (("output", state, name) for state in range(recipe.n_states))
            if recipe.n_states < MAX_STATES:
                linear = [other for other, (kind, read) in draft.nodes.items() if kind == LINEAR and len(read) < 3]
                yield from (("state", name, other) for other in linear)
    if len(draft.nodes) < MAX_NODES:
        yield from (("insert", (-1, state), act) for state in range(recipe.n_states) for act in ACTIVATIONS)
    yield from (("no state", state) for state in range(1, recipe.n_states))


def changed(recipe: Recipe, change: Change) -> Recipe | None:
    """Return the cell after a change, in its normal order; None where that is none."""
    draft, (what, *where) = Draft.of(recipe), change
    nodes, outputs = draft.nodes, draft.outputs
    if what == "op":
        name, op, order = where
        nodes[name] = op, [nodes[name][1][position] for position in order]
    elif what == "input":
        nodes[where[0]][1][where[1]] = where[2]
    elif what == "more":
        nodes[where[0]][1].append(where[1])
    elif what == "less":
        del nodes[where[0]][1][where[1]]
    elif what == "output":
        outputs[where[0]] = where[1]
    elif what == "insert":
        link, activation = where
        source = outputs[link[1]] if link[0] == -1 else nodes[link[0]][1][link[1]]
        new = max(nodes) + 1
        nodes[new] = activation, [source]
        draft.put(link, new)
    elif what == "remove":
        (link,) = draft.links(where[0])
        draft.put(link, nodes.pop(where[0])[1][0])
    elif what == "state":
        outputs.append(where[0])
        nodes[where[1]][1].append(FIRST_STATE + len(outputs) - 1)
    elif not _without_state(draft, where[0]):
        return None
    try:
        return Recipe.of_parts(nodes, outputs).ordered()
    except (ArchitectureError, KeyError):  # a state cannot become the input, nor a node read itself
        return None


def _without_state(draft: Draft, state: int) -> bool:
    """Take a state away that one linear node reads beside others, in place; return whether that can be."""
    links = draft.links(FIRST_STATE + state)
    if len(links) != 1 or draft.nodes[links[0][0]][0] != LINEAR:
        return False
    name, slot = links[0]
    read = draft.nodes[name][1]
    if len(read) < 2 or len(draft.links(draft.outputs[state])) < 2:
        return False
    del read[slot]
    del draft.outputs[state]
    for _, inputs in draft.nodes.values():  # later states move up
        inputs[:] = [s - 1 if FIRST_STATE + state < s < FIRST_NODE else s for s in inputs]
    return True


def drawn_change(recipe: Recipe, rng: Random) -> Recipe | None:
    """Return the cell after a change of a kind drawn uniformly, and so the change; None where that is no other cell."""
    by_kind: dict[str, list[Change]] = {}
    for change in changes(recipe):
        by_kind.setdefault(change[0], []).append(change)
    found = changed(recipe, rng.choice(by_kind[rng.choice(sorted(by_kind))]))
    return None if found == recipe else found


# How often the authors draw operations, activations aside, and linear nodes of two and of three inputs
_WEIGHTS, _LINEAR_WEIGHTS = (3, 1, 1, 1), (4, 1)
_DRAWN_NODES = range(2, 13)
# Draws of one size before another is drawn
_ATTEMPTS = 300


def random_recipe(rng: Random) -> Recipe:
    """Draw a cell as the authors do ([Klyuchnikov2022nasbenchnlp], section 3, and code).

    States are one to three, other nodes at first two to twelve. Linear nodes come three times as often as each of
    blend, product and sum, read the input, states and activations, and are followed by an activation; the others read
    states and any nodes. States become nodes drawn at random; what they do not need goes. A cell is drawn again, of as
    many nodes, until it reads the input and every state, and no new state reads an old one directly.
    """
    while True:
        states, others = rng.randint(1, MAX_STATES), rng.choice(_DRAWN_NODES)
        for _ in range(_ATTEMPTS):
            found = _drawn(states, others, rng)
            if found is not None:
                return found.ordered()


def _drawn(states: int, others: int, rng: Random) -> Recipe | None:
    nodes: dict[int, tuple[int, list[int]]] = {}
    activated: list[int] = []
    base = [X, *(FIRST_STATE + k for k in range(states))]
    while len(nodes) < states + others:
        new = FIRST_NODE + len(nodes)
        op = rng.choices(range(len(_WEIGHTS)), _WEIGHTS)[0]
        candidates = base + activated if op == LINEAR else base[1:] + list(nodes)
        number = rng.choices((2, 3), _LINEAR_WEIGHTS)[0] if op == LINEAR else ARITY[op][1]
        if op != LINEAR and number > len(candidates):
            continue
        nodes[new] = op, rng.sample(candidates, min(number, len(candidates)))
        if op == LINEAR:
            nodes[new + 1] = rng.choice(ACTIVATIONS), [new]
            activated.append(new + 1)
    outputs = rng.sample(list(nodes), states)
    if any(FIRST_STATE <= source < FIRST_NODE for output in outputs for source in nodes[output][1]):
        return None
    try:
        return Recipe.of_parts(nodes, outputs, prune=True)
    except ArchitectureError:
        return None
