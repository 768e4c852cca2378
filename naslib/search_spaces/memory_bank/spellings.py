"""How an architecture of memory banks is written: per block the size of a bank and a list of operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.spelled_codec import Spelling

from .shapes import banks_of, mask_of

# The entries of an operation, in order
FIELDS = ("reads", "writes", "units", "rows", "columns", "groups")
_FORM = "[[bank, [[[reads], [writes], units, [kernel, dilation], [kernel, dilation], groups], ...]], ...]"


class BankLists(Spelling):
    """Blocks as lists: `[[1, [[[0, 1], [2], 1, [3, 1], [5, 1], 1]]], ...]`.

    A block is the units of a bank and its operations; an operation is the banks that it reads, those that it writes to,
    how many banks it puts out, kernel and dilation along the height and along the width, and groups.

    Args:
        n_blocks: Number of blocks.
        fields: Kernels and dilations by index.
        fixed: What is not decided, by the name that the decision would have.
    """

    def __init__(self, n_blocks: int, fields: Sequence[tuple[int, int]], fixed: Mapping[str, int]) -> None:
        self.n_blocks, self.fields, self.fixed = n_blocks, tuple(fields), dict(fixed)

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the candidates by decision; see the parent.

        Raises:
            ArchitectureError: If it has the form, and is no architecture.
        """
        if not _is_list(spec) or not spec or not all(_is_block(block) for block in spec):
            return None
        if len(spec) != self.n_blocks:
            raise ArchitectureError(f"the network has {self.n_blocks} blocks, not {len(spec)}: {shortened(spec)}")
        found: dict[str, Any] = {}
        for number, (bank, ops) in enumerate(spec, start=1):
            found |= {f"block_{number}/bank": bank, f"block_{number}/ops": len(ops)}
            for index, op in enumerate(ops, start=1):
                if not _is_op(op):
                    raise ArchitectureError(f"block {number}, operation {index}: {shortened(op)} is not as in {_FORM}")
                reads, writes, units, rows, columns, groups = op
                values = (mask_of(reads), mask_of(writes), units, self._index(rows), self._index(columns), groups)
                found |= {f"block_{number}/op_{index}/{key}": v for key, v in zip(FIELDS, values, strict=True)}
        wrong = [f"{name} is {self.fixed[name]}, not {found[name]}" for name in found if self._differs(name, found)]
        if wrong:
            raise ArchitectureError(f"in this space {'; '.join(wrong)}")
        return {name: value for name, value in found.items() if name not in self.fixed}

    def write(self, choices: Mapping[str, Any]) -> Any:
        """Return the lists."""
        known = {**self.fixed, **choices}
        found = []
        for number in range(1, self.n_blocks + 1):
            ops = []
            for index in range(1, int(known[f"block_{number}/ops"]) + 1):
                reads, writes, units, rows, columns, groups = (
                    int(known[f"block_{number}/op_{index}/{key}"]) for key in FIELDS
                )
                kernels = [list(self.fields[rows]), list(self.fields[columns])]
                ops.append([list(banks_of(reads)), list(banks_of(writes)), units, *kernels, groups])
            found.append([int(known[f"block_{number}/bank"]), ops])
        return found

    def _differs(self, name: str, found: Mapping[str, Any]) -> bool:
        return name in self.fixed and self.fixed[name] != found[name]

    def _index(self, field: Sequence[int]) -> int:
        if tuple(field) not in self.fields:
            known = ", ".join(str(list(pair)) for pair in self.fields)
            raise ArchitectureError(f"kernel and dilation are one of {known}, not {list(field)}")
        return self.fields.index(tuple(field))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_block(block: Any) -> bool:
    return _is_list(block) and len(block) == 2 and isinstance(block[0], int) and _is_list(block[1])


def _is_op(op: Any) -> bool:
    if not _is_list(op) or len(op) != len(FIELDS):
        return False
    lists = all(_is_list(op[i]) and all(type(n) is int and n >= 0 for n in op[i]) for i in (0, 1, 3, 4))
    return lists and all(type(op[i]) is int for i in (2, 5)) and all(len(set(op[i])) == len(op[i]) > 0 for i in (0, 1))
