"""Genotypes of cells that consist of blocks: parsing, validation, and which states make the output.

A cell of B blocks is a list of 2 B pairs `(operation, state)`, two for each block, as the authors of DARTS write the
cells of NASNet: state 0 is the output of the cell before the last, 1 that of the last, and 2 + k the output of block k.
Read as well is what the published TensorFlow code calls operations, hidden state indices and used hidden states; there
0 is the last cell, and 1 the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import Call, plain, read_literal, shortened

from .rules import UNUSED, OutputRule

COMBINATIONS = ("add", "concat")
_TF_NAMES = {"none": "skip_connect"}
_CELL_KEYS = {
    "normal": ("normal", "normal_cell", "cell"),
    "reduce": ("reduce", "reduction", "reduction_cell", "reduce_cell"),
}


class BlockCell(NamedTuple):
    """A cell of blocks.

    Attributes:
        edges: `(operation, state)`, two for each block.
        concat: The states whose concatenation is the output, ascending.
        combine: How each block combines its two branches: `"add"` or `"concat"`.
    """

    edges: tuple[tuple[str, int], ...]
    concat: tuple[int, ...]
    combine: tuple[str, ...]

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return len(self.edges) // 2


class CellGenotype(NamedTuple):
    """The cells of a network; of a space with one cell, which is used with stride 2 as well, `reduce` is the same."""

    normal: BlockCell
    reduce: BlockCell


def as_cells(spec: Any, operations: Sequence[str], one_cell: bool = False, rule: OutputRule = UNUSED) -> CellGenotype:
    """Return the genotype that a mapping, a tuple of four or a text stands for.

    Args:
        spec: With the keys `normal` and `reduce` (or `cell`, if there is one), each a list of `(operation, state)` or
            of such pairs by block; `normal_concat` and `reduce_concat` (by the rule if missing),
            `normal_combine` and `reduce_combine` (all add if missing).
        operations: Those that there are.
        one_cell: Whether one cell is enough, which is the reduction cell as well.
        rule: What makes the output where the genotype does not say it.

    Raises:
        ArchitectureError: If it stands for none; all problems at once.
    """
    fields = _fields(spec)
    problems: list[str] = []
    cells = {}
    for number, (name, keys) in enumerate(_CELL_KEYS.items()):
        key = next((key for key in keys if key in fields), None)
        if key is None:
            continue
        beside = {part: _beside(fields, keys, part) for part in ("concat", "combine")}
        cells[name] = _cell(key, fields[key], beside, operations, (rule, number), problems)
    missing = [name for name in _CELL_KEYS if name not in cells]
    if missing and not (one_cell and missing == ["reduce"]):
        wanted = "cell" if one_cell else "normal and reduce"
        raise ArchitectureError(f"a genotype of these cells needs {wanted}; {' and '.join(missing)} missing")
    normal, reduce = cells["normal"], cells.get("reduce", cells["normal"])
    if not problems and normal is not None and reduce is not None and normal.blocks != reduce.blocks:
        problems.append(f"the normal cell has {normal.blocks} blocks, the reduction cell {reduce.blocks}")
    if problems or normal is None or reduce is None:
        raise ArchitectureError("not a genotype of cells of blocks: " + "; ".join(problems))
    return CellGenotype(normal, reduce)


def to_json(genotype: CellGenotype, one_cell: bool = False) -> dict[str, list[Any]]:
    """Return the genotype as lists; what is combined by addition everywhere does not say so."""
    names = {"cell": genotype.normal} if one_cell else {"normal": genotype.normal, "reduce": genotype.reduce}
    found: dict[str, list[Any]] = {}
    for name, cell in names.items():
        found[name] = [[op, state] for op, state in cell.edges]
        found[f"{name}_concat"] = list(cell.concat)
        if set(cell.combine) != {"add"}:
            found[f"{name}_combine"] = list(cell.combine)
    return found


def _fields(spec: Any) -> Mapping[str, Any]:
    if isinstance(spec, str | Call):
        try:
            spec = read_literal(spec) if isinstance(spec, str) else spec
        except ValueError as error:
            raise ArchitectureError(f"cannot read a genotype from {shortened(spec)}: {error}") from error
    if isinstance(spec, Call):
        names = ("normal", "normal_concat", "reduce", "reduce_concat")
        spec = {**dict(zip(names, spec.arguments, strict=False)), **spec.keywords}
    if isinstance(spec, CellGenotype):
        cells = {"normal": spec.normal, "reduce": spec.reduce}
        return {
            key: value
            for name, cell in cells.items()
            for key, value in (
                (name, cell.edges),
                (f"{name}_concat", cell.concat),
                (f"{name}_combine", cell.combine),
            )
        }
    if isinstance(spec, Mapping):
        return _fields(spec["genotype"]) if "genotype" in spec else spec
    if hasattr(spec, "normal") and hasattr(spec, "reduce"):
        fields = ("normal", "normal_concat", "reduce", "reduce_concat")
        return {field: getattr(spec, field) for field in fields if hasattr(spec, field)}
    values = plain(spec)
    if isinstance(values, list) and len(values) == 4:
        return dict(zip(("normal", "normal_concat", "reduce", "reduce_concat"), values, strict=True))
    raise ArchitectureError(
        f"a genotype has the cells normal and reduce as lists of (operation, state), not {shortened(spec)}"
    )


def _beside(fields: Mapping[str, Any], keys: Sequence[str], part: str) -> Any:
    return next((fields[f"{key}_{part}"] for key in keys if f"{key}_{part}" in fields), None)


def _cell(
    name: str,
    given: Any,
    beside: Mapping[str, Any],
    operations: Sequence[str],
    rule: tuple[OutputRule, int],
    problems: list[str],
) -> BlockCell | None:
    before = len(problems)
    concat = beside["concat"]
    if isinstance(given, Mapping) and "operations" in given:
        given, concat = _published_form(name, given, problems)
    pairs = plain(given)
    if (
        isinstance(pairs, list)
        and pairs
        and all(isinstance(p, list) and all(isinstance(q, list) for q in p) for p in pairs)
    ):
        pairs = [pair for block in pairs for pair in block]
    if not isinstance(pairs, list) or not pairs or len(pairs) % 2:
        problems.append(f"{name} is a list of (operation, state), two for each block, not {shortened(given)}")
        return None
    edges = []
    for position, pair in enumerate(pairs):
        edge = _edge(f"{name}[{position}]", pair, position // 2, operations, problems)
        if edge is not None:
            edges.append(edge)
    if len(problems) > before:
        return None
    outputs = rule[0].states(rule[1], edges) if concat is None else _outputs(f"{name}_concat", concat, edges, problems)
    combine = _combinations(f"{name}_combine", beside["combine"], len(edges) // 2, problems)
    return BlockCell(tuple(edges), outputs, combine) if len(problems) == before else None


def _edge(where: str, pair: Any, block: int, operations: Sequence[str], problems: list[str]) -> tuple[str, int] | None:
    if not isinstance(pair, list) or len(pair) != 2:
        problems.append(f"{where} must be (operation, state), not {shortened(pair)}")
        return None
    op, state = (pair[1], pair[0]) if isinstance(pair[0], int) else pair
    if op not in operations:
        hint = did_you_mean(str(op), operations) or f" (known: {', '.join(operations)})"
        problems.append(f"{where} has the operation {op!r}, which the space has not{hint}")
    if type(state) is not int or not 0 <= state < block + 2:
        problems.append(f"{where} reads state {state!r}, but block {block} can read 0 to {block + 1} only")
    return (str(op), state) if type(state) is int else None


def _outputs(where: str, given: Any, edges: Sequence[tuple[str, int]], problems: list[str]) -> tuple[int, ...]:
    states = plain(list(given) if isinstance(given, set | frozenset | range) else given)
    last = 1 + len(edges) // 2
    if not isinstance(states, list) or not states or not all(type(s) is int and 0 <= s <= last for s in states):
        problems.append(f"{where} must be some of the states 0 to {last}, not {shortened(given)}")
        return ()
    return tuple(sorted(set(states)))


def _combinations(where: str, given: Any, blocks: int, problems: list[str]) -> tuple[str, ...]:
    values = ["add"] * blocks if given is None else plain(given)
    if not isinstance(values, list) or len(values) != blocks or not set(values) <= set(COMBINATIONS):
        problems.append(
            f"{where} must be {' or '.join(COMBINATIONS)} for each of the {blocks} blocks, not {shortened(given)}"
        )
        return ()
    return tuple(values)


def _published_form(name: str, given: Mapping[str, Any], problems: list[str]) -> tuple[Any, Any]:
    """Return edges and outputs of a cell as the published code has it, with the states of the two inputs exchanged."""
    operations, indices = plain(given["operations"]), plain(given.get("hiddenstate_indices"))
    used = plain(given.get("used_hiddenstates"))
    if not isinstance(operations, list) or not isinstance(indices, list) or len(operations) != len(indices):
        problems.append(f"{name} needs as many hiddenstate_indices as operations")
        return [], None
    exchanged = {0: 1, 1: 0}
    edges = [
        [_of_published(str(operation)), exchanged.get(index, index)]
        for operation, index in zip(operations, indices, strict=True)
    ]
    if not isinstance(used, list):
        return edges, None
    return edges, [exchanged.get(state, state) for state, is_used in enumerate(used) if not is_used]


def _of_published(operation: str) -> str:
    if operation.startswith("separable_"):
        return f"sep_conv_{operation.split('_')[1]}"
    return _TF_NAMES.get(operation, operation)
