"""Changes of single genes, and exchange of groups of decisions, on codes of any decision space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.decisions import MASKED, Code, Decision
from naslib.search_spaces.core.known_codec import KnownCodec
from naslib.search_spaces.core.schema import DecisionSpace

from .steps import Steps

# Draws that the constraints of a space may refuse
_ATTEMPTS = 200
# Says of the gene of a decision (its index, and which gene of it) whether it changes
Changes = Callable[[int, int], bool]


def varied(steps: Steps, code: Code, changes: Changes, rng: Random) -> Code:
    """Return an architecture of which some genes are others.

    An operation or a value becomes another one, one of k inputs one that is not among them, a bit of a subset the
    opposite. What is not decided in `code` and is now, is drawn uniformly. Where the constraints of the space refuse
    all attempts, it is `code` itself.

    Args:
        steps: Of the decision space.
        code: A canonical code.
        changes: Says of each gene whether it changes.
        rng: Source of randomness.
    """
    space = steps.space

    def genes_of(index: int, decision: Decision) -> Sequence[int]:
        own = code[space.genes(decision.name)]
        if own[0] == MASKED:
            return drawn(decision, rng)
        now = [*own]
        for part in range(len(now)):
            if changes(index, part):
                now[part] = _another(decision, now, part, rng)
        return now if decision.n_chosen is None else sorted(now)

    return _allowed(space, lambda: _built(steps, genes_of), code)


def crossed(
    steps: Steps, first: Code, second: Code, groups: Sequence[Sequence[int]], rate: float, rng: Random
) -> tuple[Code, Code]:
    """Return two architectures that have exchanged each group of decisions with a probability.

    A decision that the parent of its group does not make, and the child does, is that of the other parent. Where the
    constraints of the space refuse all attempts, a child is its parent.

    Args:
        steps: Of the decision space.
        first: A canonical code.
        second: Another.
        groups: Indices of decisions; each is in one group.
        rate: In [0, 1].
        rng: Source of randomness.
    """
    space = steps.space

    def exchange() -> dict[int, bool]:
        swaps = [rng.random() < rate for _ in groups]
        return {index: swap for group, swap in zip(groups, swaps, strict=True) for index in group}

    def child(own: Code, other: Code, swapped: Mapping[int, bool]) -> Code:
        def genes_of(index: int, decision: Decision) -> Sequence[int]:
            at = space.genes(decision.name)
            one, two = (other, own) if swapped[index] else (own, other)
            return two[at] if one[at][0] == MASKED else one[at]

        return _built(steps, genes_of)

    for _ in range(_ATTEMPTS):
        swapped = exchange()
        try:
            return space.canonical(child(first, second, swapped)), space.canonical(child(second, first, swapped))
        except ArchitectureError:  # of the constraints, or of a space whose codes say more than its decisions
            continue
    return first, second


def drawn(decision: Decision, rng: Random) -> list[int]:
    """Return genes of a decision, drawn uniformly."""
    width = len(decision.candidates)
    if decision.n_chosen is None:
        return [int(rng.random() < 0.5) for _ in range(width)]
    return sorted(rng.sample(range(width), decision.n_chosen))


def groups_of(space: DecisionSpace) -> dict[str, list[int]]:
    """Return the indices of decisions by the graph that they are in: what is before the last `/` of their names."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(space.names):
        found.setdefault(name.rpartition("/")[0], []).append(index)
    return found


def _built(steps: Steps, genes_of: Callable[[int, Decision], Sequence[int]]) -> Code:
    """Return the code whose decisions have these genes, where they are made."""
    made: dict[int, Sequence[int]] = {}

    def choose(slot: int, allowed: Sequence[int], ways: Sequence[int]) -> int:
        index, part = steps.slots[slot].decision, steps.slots[slot].part
        if part == 0:
            made[index] = genes_of(index, steps.space.decisions[index])
        return made[index][part]

    return steps.decode(choose)


def _allowed(space: DecisionSpace, make: Callable[[], Code], otherwise: Code) -> Code:
    for _ in range(_ATTEMPTS):
        try:
            return space.canonical(make())
        except ArchitectureError:  # of the constraints, or of a space whose codes say more than its decisions
            continue
    return otherwise


def _another(decision: Decision, genes: Sequence[int], part: int, rng: Random) -> int:
    if decision.n_chosen is None:
        return 1 - genes[part]
    others = [index for index in range(len(decision.candidates)) if index not in genes]
    return rng.choice(others) if others else genes[part]


def known(codec: Codec[Any], decided: Code, rng: Random, parent: Code | None = None) -> Code:
    """Return the architecture of a code of the decision space.

    Where a codec does not have it (`KnownCodec`), it is drawn from those nearest to it; these without the parent, which
    is one of them after a single change, else one around the parent.

    Args:
        codec: Of the space.
        decided: A canonical code of its decision space.
        rng: Source of randomness.
        parent: What it was varied from, as the codec spells it; None if it may come back.
    """
    if isinstance(codec, KnownCodec):
        near = codec.nearest(decided)
        others = [code for code in near if code != parent]
        return rng.choice(others) if others else codec.mutate(near[0], rng)
    code = codec.from_decisions(decided)
    return code if codec.is_valid(code) else codec.perturb(code, 0.0, rng)
