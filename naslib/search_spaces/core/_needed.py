"""Which steps of a plan a forward needs: what no combination reads that was chosen is not computed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ._steps import CombineStep, Step, Works


def skipped(
    steps: Sequence[Step], combinations: Sequence[CombineStep], kept: Collection[int], works: Works
) -> set[int]:
    """Return the targets of steps whose outputs nothing reads in a forward.

    Args:
        steps: Of the plan, in order.
        combinations: Those of them that combine.
        kept: Slots that are read when all is done.
        works: Has the assignment of the forward.
    """
    read = {step.target: step.reads(works) for step in combinations}
    if all(len(read[step.target]) >= len(step.sources) for step in combinations):
        return set()
    needed, found = set(kept), set()
    for step in reversed(steps):
        if step.target in needed:
            needed.update(read.get(step.target, step.sources))
        else:
            found.add(step.target)
    return found
