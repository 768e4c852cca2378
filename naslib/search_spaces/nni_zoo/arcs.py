"""Architectures of the ENAS spaces as the authors write them: lists of numbers, as text, flat, or one list per part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import shortened

from .enas_macro import layer_nodes
from .enas_micro import CALIBRATED, branch_nodes

# In the order of the authors' numbers
MICRO_OPERATIONS = ("SepConvBN3x3", "SepConvBN5x5", "AvgPool3x3", "MaxPool3x3", "Identity")
MACRO_OPERATIONS = ("Conv3x3", "SepConv3x3", "Conv5x5", "SepConv5x5", "AvgPool3x3", "MaxPool3x3")
MICRO_CELLS = ("normal_cell", "reduction_cell")
_NUMBERS = re.compile(r"[\s\d,\[\]()]*\d[\s\d,\[\]()]*")


def as_numbers(spec: Any, own_length: int) -> list[int] | None:
    """Return the numbers of a list as the authors write it; None for what is none, or a code of the decision space.

    Args:
        spec: Any spelling of an architecture.
        own_length: Of a code of the space, which is a flat tuple of ints as well and means something else.
    """
    if isinstance(spec, str) and _NUMBERS.fullmatch(spec):
        return [int(number) for number in re.findall(r"\d+", spec)]
    if not isinstance(spec, Sequence) or isinstance(spec, str) or not spec:
        return None
    if all(isinstance(part, Sequence) and not isinstance(part, str) for part in spec):
        flat = [number for part in spec for number in part]
        return flat if all(type(number) is int for number in flat) else None
    if isinstance(spec, tuple) and len(spec) == own_length:
        return None
    return list(spec) if all(type(number) is int for number in spec) else None


def micro_choices(spec: Any, nodes: int) -> Any:
    """Return the choices by decision of an arc of the micro space; anything else as it is.

    An arc has `input, operation, input, operation` for each node, first all of the normal layer, then all of the
    reduction layer. Inputs are numbered from 0, the two of the layer first; operations as in `MICRO_OPERATIONS`.

    Args:
        spec: Any spelling of an architecture. A tuple is a code, a list an arc.
        nodes: Of a layer.

    Raises:
        ArchitectureError: If it is a list of numbers, and no arc of this space; the message names the place.
    """
    numbers = as_numbers(spec, own_length=8 * nodes)
    if numbers is None:
        return spec
    if len(numbers) != 8 * nodes:
        raise ArchitectureError(
            f"an arc of enas_micro has 4 numbers for each of the {nodes} nodes of both layers, {8 * nodes} in all, not "
            f"{len(numbers)}: {shortened(spec)}"
        )
    choices: dict[str, str] = {}
    rest = iter(numbers)
    for cell in MICRO_CELLS:
        for node in range(nodes):
            for branch in range(2):
                place = f"node {node}, branch {branch} of the {cell}"
                source = _checked(next(rest), 2 + node, f"the input of {place}")
                op = _checked(next(rest), len(MICRO_OPERATIONS), f"the operation of {place}")
                choosing, edge = _branch(cell, node, branch)
                choices[choosing] = f"node_{_source(source)}"
                choices[edge] = MICRO_OPERATIONS[op]
    return choices


def micro_arc(choices: Mapping[str, Any], nodes: int) -> list[int]:
    """Return the arc of an architecture of the micro space, which `micro_choices` reads."""
    sources = {f"node_{_source(index)}": index for index in range(2 + nodes)}
    arc = []
    for cell in MICRO_CELLS:
        for node in range(nodes):
            for branch in range(2):
                choosing, edge = _branch(cell, node, branch)
                arc += [sources[choices[choosing]], MICRO_OPERATIONS.index(choices[edge])]
    return arc


def _branch(cell: str, node: int, branch: int) -> tuple[str, str]:
    """Return the names of the decisions of a branch: its input, and its operation."""
    *branches, total = branch_nodes(node)
    return f"{cell}/{branches[branch]}:comb_op", f"{cell}/{branches[branch]}-{total}"


def _source(index: int) -> int:
    """Return where in the graph of a layer what the authors number `index` is."""
    return CALIBRATED[index] if index < 2 else branch_nodes(index - 2)[2]


def macro_choices(spec: Any, layers: Sequence[str]) -> Any:
    """Return the choices by decision of an arc of the macro space; anything else as it is.

    An arc has for layer i its operation, numbered as in `MACRO_OPERATIONS`, and then i times 0 or 1: whether the output
    of the stem, of layer 0 and so on is added.

    Args:
        spec: Any spelling of an architecture. A tuple is a code, a list an arc.
        layers: Names of the layers.

    Raises:
        ArchitectureError: If it is a list of numbers, and no arc of this space; the message names the place.
    """
    expected = sum(range(1, len(layers) + 1))
    numbers = as_numbers(spec, own_length=expected)
    if numbers is None:
        return spec
    if len(numbers) != expected:
        raise ArchitectureError(
            f"an arc of enas_macro with {len(layers)} layers has {expected} numbers, an operation and a 0 or 1 for "
            f"each earlier layer, not {len(numbers)}: {shortened(spec)}"
        )
    choices: dict[str, str] = {}
    rest = iter(numbers)
    for index, name in enumerate(layers):
        op = _checked(next(rest), len(MACRO_OPERATIONS), f"the operation of {name}")
        previous, total = layer_nodes(index)
        choices[f"{name}/{previous}-{total}"] = MACRO_OPERATIONS[op]
        for skip in range(index):
            added = _checked(next(rest), 2, f"skip {skip} of {name}")
            choices[f"{name}/{skip + 1}-{total}"] = "Identity" if added else "Zero"
    return choices


def macro_arc(choices: Mapping[str, Any], layers: Sequence[str]) -> list[list[int]]:
    """Return the arc of an architecture of the macro space, a list per layer, which `macro_choices` reads."""
    arc = []
    for index, name in enumerate(layers):
        previous, total = layer_nodes(index)
        op = MACRO_OPERATIONS.index(choices[f"{name}/{previous}-{total}"])
        arc.append([op, *(int(choices[f"{name}/{skip + 1}-{total}"] == "Identity") for skip in range(index))])
    return arc


def _checked(number: int, count: int, what: str) -> int:
    if number >= count:
        raise ArchitectureError(f"{what} is one of 0 to {count - 1}, not {number}")
    return number
