"""Architectures of DartsCells as NNI exports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import read_literal

from .darts_cell import FIRST, PREPROCESSED

# NNI's names of the operations, and what they are called here at stride 1
OPERATIONS = {
    "maxpool": "MaxPool3x3",
    "avgpool": "AvgPool3x3",
    "skipconnect": "Identity",
    "sepconv3x3": "SepConv3x3",
    "sepconv5x5": "SepConv5x5",
    "dilconv3x3": "DilConv3x3",
    "dilconv5x5": "DilConv5x5",
}
CELLS = {"normal": "normal_cell", "reduce": "reduction_cell"}
_KEY = re.compile(r"(normal|reduce)_n(\d+)_(?:p(\d+)|(switch))")


def darts_choices(spec: Any) -> Any:
    """Return the choices by decision of an architecture that NNI has exported; anything else as it is.

    Such a mapping, or its JSON, has `normal_n2_p0: sepconv3x3` for the operation into node 2 from node 0 (nodes 0 and 1
    are the inputs), and `normal_n2_switch: [normal_n2_p0, normal_n2_p1]` for the two inputs that node 2 keeps; `reduce`
    likewise. Operations of inputs that are not kept may be there, and say nothing.

    Args:
        spec: Any spelling of an architecture.

    Raises:
        ArchitectureError: If it is such a mapping, and names no node or operation of a DartsCell.
    """
    found = spec
    if isinstance(spec, str) and "_switch" in spec:
        try:
            found = read_literal(spec)
        except ValueError:
            return spec
    if not isinstance(found, Mapping) or not any(str(key).endswith("_switch") for key in found):
        return spec
    kept: dict[tuple[str, int], list[int]] = {}
    operations: dict[tuple[str, int, int], str] = {}
    for key, value in found.items():
        match = _KEY.fullmatch(str(key))
        if match is None:
            raise ArchitectureError(
                f"{key!r} is no key of an exported DartsCell, such as normal_n2_p0, normal_n2_switch"
            )
        kind, node, source, is_switch = match[1], int(match[2]), match[3], match[4]
        if is_switch:
            kept[kind, node] = [_source(kind, node, name) for name in value]
        else:
            operations[kind, node, int(source)] = str(value[0] if isinstance(value, list) else value)
    choices: dict[str, Any] = {}
    for (kind, node), sources in kept.items():
        cell, target = CELLS[kind], _node(node)
        if node > 2:  # the first node has no choice
            choices[f"{cell}/{target}"] = tuple(sorted(_node(source) for source in sources))
        for source in sources:
            if (kind, node, source) not in operations:
                raise ArchitectureError(f"{kind}_n{node}_switch keeps p{source}, which has no operation")
            name = _operation(operations[kind, node, source], kind == "reduce" and source < 2)
            choices[f"{cell}/{_node(source)}-{target}"] = name
    return choices


def _node(index: int) -> int:
    """Return where in the graph of a cell NNI's node `index` is."""
    return PREPROCESSED[index] if index < 2 else FIRST + index - 2


def _source(kind: str, node: int, name: str) -> int:
    match = _KEY.fullmatch(name)
    if match is None or match[3] is None or (match[1], int(match[2])) != (kind, node):
        raise ArchitectureError(f"{kind}_n{node}_switch keeps {name!r}, which is no input of that node")
    return int(match[3])


def _operation(name: str, halves: bool) -> str:
    if name not in OPERATIONS:
        raise ArchitectureError(
            f"no operation {name!r} in a DartsCell{did_you_mean(name, OPERATIONS)} (there are: {', '.join(OPERATIONS)})"
        )
    return "FactorizedReduce" if halves and name == "skipconnect" else OPERATIONS[name]
