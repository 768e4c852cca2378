"""Decisions on inputs that are carried by candidates: sums of so many of them, or a gate for each of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor, nn

from .decisions import Decision, Site


class ChosenInputs(nn.Module):
    """Return the sum of some of several tensors, a tensor of zeros where none is chosen.

    Args:
        indices: Which of them.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__()
        self.indices = tuple(indices)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the sum, a tensor of its own.

        Tensors of one shape, which stays.
        """
        if not self.indices:
            return inputs[0].new_zeros(inputs[0].shape)
        if len(self.indices) == 1:
            return inputs[self.indices[0]].clone()
        total = inputs[self.indices[0]] + inputs[self.indices[1]]
        for index in self.indices[2:]:
            total = total + inputs[index]
        return total

    def extra_repr(self) -> str:
        """Say which."""
        return ", ".join(map(str, self.indices))


@lru_cache
def subsets(n: int, n_chosen: int) -> dict[tuple[int, ...], int]:
    """Return the choices of `n_chosen` of `n`, each with its number."""
    return {chosen: number for number, chosen in enumerate(itertools.combinations(range(n), n_chosen))}


def gate_name(name: str, index: int) -> str:
    """Return what the parameter of one input is called, where any subset is chosen."""
    return f"{name}/{index}"


def gate_of(name: str) -> tuple[str, int] | None:
    """Return of which decision and which input a name is, None where it is none of `gate_name`."""
    decision, separator, index = name.rpartition("/")
    return (decision, int(index)) if separator and index.isdecimal() else None


def position_at(decision: Decision, site: Site, chosen: tuple[int, ...]) -> int:
    """Return which of the candidates at a site stays, given what is chosen of a decision.

    Args:
        decision: The decision.
        site: One of its sites, with `positions`.
        chosen: Indices of the decision's candidates, ascending.
    """
    if decision.kind != "inputs":
        return site.positions[chosen[0]]
    if site.bit is not None:
        return site.positions[int(site.bit in chosen)]
    return site.positions[subsets(len(decision.candidates), len(chosen))[chosen]]


def chosen_at(decision: Decision, site: Site, position: int) -> tuple[int, ...]:
    """Return what is chosen of a decision whose candidate at a site is the one at a position.

    Args:
        decision: The decision, not of any subset, whose inputs have a candidate each.
        site: One of its sites, with `positions`.
        position: Of the candidate.
    """
    index = site.positions.index(position)
    if decision.kind != "inputs" or decision.n_chosen is None:
        return (index,)
    return list(subsets(len(decision.candidates), decision.n_chosen))[index]
