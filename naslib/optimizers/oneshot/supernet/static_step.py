"""Whether every step of an epoch launches the same work, so that a CUDA graph may repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from naslib.errors import ConfigError

from .abilities import Ability
from .compatibility import Method, removed_by_method

# What a capture cannot have, by the value of an option that asks for it
CHANGING_OPTIONS: Mapping[str, str] = {
    "unrolled": "the second-order step repeats random states, which nothing can read during a capture",
    "checkpoint_cells": "a backward that computes cells again reads random states, which nothing can during a capture",
}


class CapturedMethod(Method, Protocol):
    """What a search is asked before its steps are captured."""

    @property
    def STATIC_STEP(self) -> bool:
        """Whether the hooks of its passes that a method defines launch the same work in every step of an epoch."""

    @property
    def own_passes(self) -> Sequence[str]:
        """Names of the hooks of a pass that the method defines itself."""


def reasons_against(optimizer: CapturedMethod) -> list[str]:
    """Return why the steps of a search cannot be captured, each reason a sentence; none where they can."""
    name = type(optimizer).__name__
    wanted = (Ability.MIXTURE, Ability.RELAXATION)
    removed = removed_by_method(optimizer, wanted) | dict(optimizer.removes())
    why = next((removed[ability] for ability in wanted if ability in removed), "")
    found = []
    if why:
        text = why.replace("the part {part!r}", "a part").replace("{part}", "it")
        found.append(f"the steps of {name} are not all the same: {text}")
    elif optimizer.own_passes and not optimizer.STATIC_STEP:
        own = ", ".join(optimizer.own_passes)
        found.append(f"{name} has passes of its own ({own}), which are not known to be the same in every step")
    found += [text for option, text in CHANGING_OPTIONS.items() if optimizer.option(option)]
    if (optimizer.option("accumulate") or 1) > 1:
        found.append("a batch that is gone over in several passes reads random states and targets")
    found += [
        f"the part {part}: what it does in a pass may change from step to step"
        for part, item in optimizer.parts.items()
        if not item.is_static
    ]
    return found


def check_static(optimizer: Any) -> None:
    """Raise `ConfigError` naming everything in a search that a captured step cannot have."""
    if problems := reasons_against(optimizer):
        raise ConfigError([f"search.cuda_graph: {problem}; leave cuda_graph out" for problem in problems])
