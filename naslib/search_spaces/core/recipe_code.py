"""Codes of recurrent cells: ints of a fixed number, whatever the number of nodes."""

from __future__ import annotations

from naslib.errors import ArchitectureError

from .decisions import MASKED, Code, Decision
from .literals import shortened
from .recipes import (
    ACTIVATIONS,
    BLEND,
    FIRST_NODE,
    LINEAR,
    MAX_INPUTS,
    MAX_NODES,
    MAX_STATES,
    OPS,
    Node,
    Recipe,
)

# Genes before the nodes (number of states, number of nodes), and of each node
HEADER, GENES = 2, 1 + MAX_INPUTS
N_GENES = HEADER + GENES * MAX_NODES + MAX_STATES


def recipe_decisions() -> list[Decision]:
    """Return what a cell of up to 24 nodes and 3 states consists of.

    The numbers of states and nodes; of each node its operation and one to three inputs, earlier nodes among them; and
    the node that each state becomes.
    """
    found = [
        Decision("states", "value", tuple(range(1, MAX_STATES + 1))),
        Decision("nodes", "value", tuple(range(1, MAX_NODES + 1))),
    ]
    several = tuple(index for index in range(len(OPS)) if index not in ACTIVATIONS)
    sources = ("x", *(f"h_prev_{k}" for k in range(MAX_STATES)))
    nodes = tuple(f"node_{index}" for index in range(MAX_NODES))
    for index in range(MAX_NODES):
        name = f"node_{index}"
        there = ("nodes", tuple(range(index, MAX_NODES))) if index else None
        candidates = (*sources, *nodes[:index])
        found += [
            Decision(name, "op", OPS, condition=there),
            Decision(f"{name}:first", "op", candidates, condition=(name, tuple(range(len(OPS))))),
            Decision(f"{name}:second", "op", ("none", *candidates), condition=(name, several)),
            Decision(f"{name}:third", "op", ("none", *candidates), condition=(name, (LINEAR, BLEND))),
        ]
    for state in range(MAX_STATES):
        condition = ("states", tuple(range(state, MAX_STATES))) if state else None
        found.append(Decision(f"h_new_{state}", "op", nodes, condition=condition))
    return found


def code_of(recipe: Recipe) -> Code:
    """Return the code of a cell as its nodes are ordered."""
    code = [recipe.n_states - 1, len(recipe.nodes) - 1]
    for op, inputs in recipe.nodes:
        second = inputs[1] + 1 if len(inputs) > 1 else 0
        third = inputs[2] + 1 if len(inputs) > 2 else 0
        code += [
            op,
            inputs[0],
            MASKED if op in ACTIVATIONS else second,
            third if op in (LINEAR, BLEND) else MASKED,
        ]
    code += [MASKED] * (GENES * (MAX_NODES - len(recipe.nodes)))
    return (*code, *recipe.outputs, *[MASKED] * (MAX_STATES - recipe.n_states))


def recipe_of(code: Code) -> Recipe:
    """Return the cell of a code whose genes are candidates, with what is not decided masked.

    Raises:
        ArchitectureError: If it is none.
    """
    if len(code) != N_GENES:
        raise ArchitectureError(f"a recurrent cell is {N_GENES} ints, not {shortened(list(code))}")
    states, count = code[0] + 1, code[1] + 1
    nodes: list[Node] = []
    for index in range(count):
        start = HEADER + GENES * index
        op, first, *others = code[start : start + GENES]
        inputs = (first, *(gene - 1 for gene in others if gene not in (0, MASKED)))
        if any(not 0 <= source < FIRST_NODE + index for source in inputs):
            raise ArchitectureError(
                f"node {index} of a cell reads a source that there is not in {shortened(list(code))}"
            )
        nodes.append((op, inputs))
    outputs = code[N_GENES - MAX_STATES :][:states]
    if any(not 0 <= output < count for output in outputs):
        raise ArchitectureError(f"a state of a cell is one of its {count} nodes, not {list(outputs)}")
    return Recipe(nodes, outputs)
