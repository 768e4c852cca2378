"""The phases of progressive shrinking: which sizes are trained when, how many networks in a step, at which rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.decisions import Decision

# Sizes of images are trained from the beginning, as the authors do
RESOLUTION = "resolution"
KEYS = ("epochs", "sizes", "subnets", "rate")
ALL = "all"
# The authors' epochs on ImageNet, in proportion to which a search divides (their warm-up counted in)
_FULL, _KERNEL, _FIRST, _LAST = 180.0, 125.0, 25.0, 125.0
# Their learning rates, as parts of that of the full network
_RATES = {"kernel": 0.37, "first": 0.03, "last": 0.09}


@dataclass(frozen=True)
class ShrinkingPhase:
    """A part of the search.

    Attributes:
        epochs: How long it is; of phases that divide a search in proportion, a share.
        sizes: By kind of size, how many of the largest values are trained, from this phase on; None for all.
        subnets: Networks that are drawn in a step.
        rate: Learning rate at its beginning, as a part of `learning_rate`.
    """

    epochs: float
    sizes: Mapping[str, int | None] = field(default_factory=dict)
    subnets: int = 1
    rate: float = 1.0


def kind_of(label: str) -> str:
    """Return what a size is of, from its label: `stage1.block2.kernel` and `kernel_3` are kernels."""
    return re.sub(r"[\W_\d]+$", "", re.split(r"[./:]", label)[-1]) or label


def sizes_of(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """Return the decisions of sizes by their kind, in order."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.kind == "value":
            found.setdefault(kind_of(decision.name), []).append(decision)
    return found


def default_phases(kinds: Mapping[str, Sequence[Decision]]) -> list[ShrinkingPhase]:
    """Return the authors' phases for the sizes that a space has; their epochs are shares.

    The full network, then all kernels, then depth, then each other kind in the order of the space, one more value
    first and the rest afterwards.

    Args:
        kinds: Decisions of sizes by their kind.
    """
    phases = [ShrinkingPhase(_FULL)]
    if "kernel" in kinds:
        phases.append(ShrinkingPhase(_KERNEL, {"kernel": None}, 1, _RATES["kernel"]))
    others = [kind for kind in kinds if kind not in ("kernel", "depth", RESOLUTION)]
    subnets = 2
    for kind in (["depth"] if "depth" in kinds else []) + others:
        if max(len(decision.candidates) for decision in kinds[kind]) > 2:
            phases.append(ShrinkingPhase(_FIRST, {kind: 2}, subnets, _RATES["first"]))
        phases.append(ShrinkingPhase(_LAST, {kind: None}, subnets, _RATES["last"]))
        subnets = 4
    return phases


def lengths_of(phases: Sequence[ShrinkingPhase], epochs: int) -> list[int]:
    """Divide a search in proportion to the phases' shares; the last phase has an epoch in any case.

    Where there are fewer epochs than phases, some have none: what they would have trained begins with the next one.
    """
    total = sum(phase.epochs for phase in phases)
    ends, done = [], 0.0
    for phase in phases:
        done += phase.epochs
        ends.append(round(done / total * epochs))
    ends = [min(end, epochs - 1) for end in ends[:-1]] + [epochs]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def read_phases(given: Any) -> list[ShrinkingPhase]:
    """Return phases from a config: mappings of `epochs`, `sizes`, `subnets` and `rate`.

    Raises:
        ConfigError: Naming everything that is wrong with them.
    """
    form = "{epochs: 2, sizes: {kernel: all, depth: 2}, subnets: 2, rate: 0.1}"
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or not given:
        raise ConfigError(f"phases is a list of mappings such as {form}, not {given!r}")
    problems: list[str] = []
    found = []
    for number, phase in enumerate(given):
        if not isinstance(phase, Mapping):
            problems.append(f"phase {number} is a mapping such as {form}, not {phase!r}")
            continue
        problems += [
            f"phase {number} has no key {key!r}{did_you_mean(str(key), KEYS)}" for key in phase if key not in KEYS
        ]
        values = {"epochs": 1, "sizes": {}, "subnets": 1, "rate": 1.0} | dict(phase)
        if "epochs" not in phase and number < len(given) - 1:
            problems.append(f"phase {number} needs epochs: only the last phase lasts as long as the search")
        for key in ("epochs", "subnets"):
            if type(values[key]) is not int or values[key] < 1:
                problems.append(f"phase {number}: {key} is an integer from 1, not {values[key]!r}")
        if isinstance(values["rate"], bool) or not isinstance(values["rate"], int | float) or not values["rate"] > 0:
            problems.append(f"phase {number}: rate is a number larger than 0, not {values['rate']!r}")
        sizes, wrong = _read_sizes(values["sizes"])
        problems += [f"phase {number}: {problem}" for problem in wrong]
        found.append((values, sizes))
    if problems:
        raise ConfigError(problems)
    return [
        ShrinkingPhase(values["epochs"], sizes, values["subnets"], float(values["rate"])) for values, sizes in found
    ]


def _read_sizes(given: Any) -> tuple[dict[str, int | None], list[str]]:
    if given == ALL:
        return {ALL: None}, []
    if not isinstance(given, Mapping):
        return {}, [f"sizes is 'all', or says how many values of each kind, such as {{kernel: all}}, not {given!r}"]
    wrong = [
        f"sizes.{kind} is 'all' or a number of values from 1, not {number!r}"
        for kind, number in given.items()
        if number != ALL and (type(number) is not int or number < 1)
    ]
    return {kind: None if number == ALL else number for kind, number in given.items()}, wrong


def open_values(
    phases: Sequence[ShrinkingPhase], kinds: Mapping[str, Sequence[Decision]]
) -> list[dict[str, tuple[int, ...]]]:
    """Return per phase which candidates of each size are trained, by the name of the decision, the largest first.

    Args:
        phases: The phases.
        kinds: Decisions of sizes by their kind.

    Raises:
        ConfigError: If a phase names a kind that the space does not have.
    """
    unknown = [kind for phase in phases for kind in phase.sizes if kind not in (*kinds, ALL)]
    if unknown:
        raise ConfigError(
            f"phases: the space has no sizes of kind {unknown[0]!r}{did_you_mean(unknown[0], kinds)} "
            f"(it has: {', '.join(kinds) or 'none'})"
        )
    numbers: dict[str, int | None] = {kind: None if kind == RESOLUTION else 1 for kind in kinds}
    found = []
    for phase in phases:
        for kind, number in phase.sizes.items():
            numbers |= dict.fromkeys(kinds, number) if kind == ALL else {kind: number}
        of_phase = {}
        for kind, decisions in kinds.items():
            for decision in decisions:
                order = sorted(range(len(decision.candidates)), key=lambda i: -decision.candidates[i])
                of_phase[decision.name] = tuple(order[: numbers[kind]])
        found.append(of_phase)
    return found
