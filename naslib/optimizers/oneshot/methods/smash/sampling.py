"""How SMASH draws networks of memory banks for training, and mends what perturbation has broken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

from naslib.search_spaces.core.elastic.choices import listed
from naslib.search_spaces.memory_bank.graph import MemoryBankSearchSpace
from naslib.search_spaces.memory_bank.shapes import banks_of, mask_of

# Smallest and first largest share of a block's reads, as in the authors' code; the largest grows to 1
_LEAST_BUDGET, _FIRST_BUDGET = 0.3, 0.5


class BankSampler:
    """Draw networks as the authors' code does (`sample_architecture`).

    A block gets a budget, a share of what all of its operations could read together, drawn between 0.3 and
    `0.5 + 0.5 growth`; operations are added until it is used up or there are as many as the space allows. An operation
    reads a random number of the banks that hold something. Its width is near to what it reads: of u banks' worth
    with weight `1 / (0.01 + 10 |u - reads| bank)`. It writes to at least as many banks as it puts out and at most to
    half of the banks that hold something, one more having 1/e of the probability; banks that are new are written in
    order. Kernels up to `3 + (largest - 3) growth`, dilations and groups are uniform.

    Args:
        space: The space.
    """

    def __init__(self, space: MemoryBankSearchSpace) -> None:
        self.space = space
        self._bank, self._ops = _ints(space.bank, "bank"), sorted(_ints(space.ops, "ops"))
        self._units, self._groups = _ints(space.units, "units"), _ints(space.groups, "groups")

    def draw(self, rng: Random, growth: float = 1.0) -> dict[str, int]:
        """Return a choice by the name of every decision, also of those that the space does not leave open.

        Args:
            rng: Source of randomness.
            growth: From 0 to 1, how far the largest budgets and kernels have come.
        """
        found: dict[str, int] = {}
        for block in range(1, len(self.space.channels) + 1):
            bank = rng.choice(self._bank)
            chain = self._draw_block(rng, block, bank, growth)
            found |= {f"block_{block}/bank": bank, f"block_{block}/ops": len(chain)}
            for number, op in enumerate(chain, start=1):
                found |= {f"block_{block}/op_{number}/{key}": value for key, value in op.items()}
        return found

    def _draw_block(self, rng: Random, block: int, bank: int, growth: float) -> list[dict[str, int]]:
        most = self._ops[-1]
        share = rng.uniform(_LEAST_BUDGET, _FIRST_BUDGET + (1 - _FIRST_BUDGET) * growth)
        left = int(share * most * self.space.banks)  # banks that may still be read
        filled = self._filled(block, bank)
        chain: list[dict[str, int]] = []
        while len(chain) < most and (left > 0 or len(chain) < self._ops[0]):
            op = self._draw_op(rng, bank, filled, max(left, 1), growth)
            left -= op["reads"].bit_count()
            filled = max(filled, op["writes"].bit_length())
            chain.append(op)
        return chain[: max(count for count in self._ops if count <= len(chain))]

    def _draw_op(self, rng: Random, bank: int, filled: int, left: int, growth: float) -> dict[str, int]:
        readable = range(filled)
        n_reads = min(rng.randint(1, filled), left)
        reads = rng.sample(readable, n_reads)
        weights = [1 / (0.01 + 10 * abs(units - n_reads) * bank) for units in self._units]
        units = rng.choices(self._units, weights)[0]
        new = range(filled, min(filled + units, self.space.banks))
        least = min(units, filled + len(new))
        numbers = range(least, max(filled // 2, least) + 1)
        n_writes = rng.choices(numbers, [math.exp(least - number) for number in numbers])[0]
        picked = rng.sample([*readable, *new], n_writes)
        old = [number for number in picked if number < filled]
        writes = [*old, *new[: len(picked) - len(old)]]
        rows, columns = self._draw_field(rng, growth), self._draw_field(rng, growth)
        masks = {"reads": mask_of(reads), "writes": mask_of(writes)}
        return {**masks, "units": units, "rows": rows, "columns": columns, "groups": rng.choice(self._groups)}

    def _draw_field(self, rng: Random, growth: float) -> int:
        sides = sorted({kernel for kernel, _ in self.space.fields})
        most = 3 + int((sides[-1] - 3) * growth) + 1
        kernel = rng.choice([side for side in sides if side <= most] or sides[:1])
        return rng.choice([index for index, (side, _) in enumerate(self.space.fields) if side == kernel])

    def _filled(self, block: int, bank: int) -> int:
        """Return how many banks the input of a block fills."""
        return self.space.channels[block - 1] // (bank * self.space.unit)

    def mended(self, choices: Mapping[str, Any], rng: Random) -> dict[str, int]:
        """Return choices in which nothing reads a bank that holds zeros only, as the authors' perturbation sees to it.

        Args:
            choices: By the name of every decision that is made, and of those that are not left open.
            rng: Draws what an operation reads that would read nothing else.
        """
        found = dict(choices)
        for block in range(1, len(self.space.channels) + 1):
            held = set(range(self._filled(block, int(found[f"block_{block}/bank"]))))
            for number in range(1, int(found[f"block_{block}/ops"]) + 1):
                place = f"block_{block}/op_{number}"
                reads = banks_of(found[f"{place}/reads"])
                kept = [bank for bank in reads if bank in held]
                if not kept:
                    kept = rng.sample(sorted(held), min(len(reads), len(held)))
                found[f"{place}/reads"] = mask_of(kept)
                held |= {*banks_of(found[f"{place}/writes"])}
        return found


def _ints(given: Any, name: str) -> list[int]:
    return [int(value) for value in listed(given, name)]
