"""The forms in which people write the cells of NAS-Bench-101."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.literals import plain, read_literal, shortened

from .cells import N_GENES, OPS, VERTICES

_ENDS = ("input", "output")
# The numbers of the labels in the tuples of NASLib: input, output, maxpool3x3, conv1x1-bn-relu, conv3x3-bn-relu
IN_TUPLES = ("input", "output", *OPS[::-1])
_FORM = '{"matrix": [[0, 1, ...], ...], "ops": ["input", "conv3x3-bn-relu", ..., "output"]}'


def read_spec(spec: Any) -> LabelledDag | Code:
    """Return the cell that a spec means, or a code as it is.

    Read are codes; a mapping of `matrix` (or `module_adjacency`) and `ops` (or `module_operations`), also under
    `genotype`, or an object with the two; the pair of them; NASLib's tuple of a matrix and numbers of operations; all
    of them as text. Operations are given with `input` and `output` or without.

    Raises:
        ArchitectureError: If it is none of them.
    """
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError as error:
            raise ArchitectureError(f"cannot read a cell from {shortened(spec)}: {error}; expected {_FORM}") from error
    if hasattr(spec, "matrix") and hasattr(spec, "ops"):
        spec = {"matrix": spec.matrix, "ops": spec.ops}
    spec = plain(spec)
    if isinstance(spec, Mapping):
        if "genotype" in spec:
            return read_spec(spec["genotype"])
        names = [name for pair in (("matrix", "ops"), ("module_adjacency", "module_operations")) for name in pair]
        given = [spec[name] for name in names if name in spec]
        if len(given) != 2:
            raise ArchitectureError(f"expected {_FORM}, not a mapping with the keys {', '.join(map(str, spec))}")
        return _cell(given[0], given[1])
    if not isinstance(spec, list):
        raise ArchitectureError(f"expected {_FORM} or a code of {N_GENES} ints, not {shortened(spec)}")
    if len(spec) == 2 and isinstance(spec[0], list):
        return _cell(spec[0], spec[1])
    if not all(type(entry) is int for entry in spec):
        raise ArchitectureError(f"expected {_FORM} or a code of {N_GENES} ints, not {shortened(spec)}")
    if len(spec) == N_GENES:
        return tuple(spec)
    return _of_tuple(spec)


def write(dag: LabelledDag) -> dict[str, Any]:
    """Return the cell as matrix and names of operations, as JSON can hold it."""
    return {"matrix": [list(row) for row in dag.matrix], "ops": ["input", *(OPS[i] for i in dag.labels), "output"]}


def _cell(matrix: Any, ops: Any) -> LabelledDag:
    if not isinstance(ops, list) or not isinstance(matrix, list) or not all(isinstance(row, list) for row in matrix):
        raise ArchitectureError(f"expected {_FORM}, not {shortened((matrix, ops))}")
    if any(entry not in (0, 1) for row in matrix for entry in row):
        raise ArchitectureError(f"the matrix of a cell holds 0 and 1, not {shortened(matrix)}")
    inner = ops[1:-1] if len(ops) == len(matrix) else ops
    if len(ops) == len(matrix) and (ops[0], ops[-1]) != _ENDS:
        raise ArchitectureError(f"the operations of a cell begin with 'input' and end with 'output', not {ops}")
    return LabelledDag(matrix, [_number(name) for name in inner])


def _number(name: Any) -> int:
    if name not in OPS:
        raise ArchitectureError(
            f"unknown operation {name!r}{did_you_mean(str(name), OPS)} (there are {', '.join(OPS)})"
        )
    return OPS.index(name)


def _of_tuple(spec: Sequence[int]) -> LabelledDag:
    """Return the cell of NASLib's tuple: the matrix row by row, and a number for each vertex."""
    size = (isqrt(1 + 4 * len(spec)) - 1) // 2
    if size * (size + 1) != len(spec) or not 2 <= size <= VERTICES:
        raise ArchitectureError(
            f"a cell is a code of {N_GENES} ints, or NASLib's tuple of up to {VERTICES * (VERTICES + 1)}; not "
            f"{len(spec)} ints"
        )
    rows = [list(spec[size * row : size * (row + 1)]) for row in range(size)]
    numbers = spec[size * size :]
    if any(not 0 <= number < len(IN_TUPLES) for number in numbers):
        raise ArchitectureError(f"the operations of NASLib's tuple are 0..{len(IN_TUPLES) - 1}, not {list(numbers)}")
    return _cell(rows, [IN_TUPLES[number] for number in numbers])
