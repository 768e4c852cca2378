"""Codes of the macro space of TransNAS-Bench-101: what each module does to channels and image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import MASKED, Decision
from naslib.search_spaces.core.literals import plain
from naslib.search_spaces.core.schema import DecisionSpace

# What the digits 1 to 4 of the string mean
MODULES = ("same", "widen", "halve", "widen+halve")
FEWEST, MOST = 4, 6
# How many modules may double the channels, and halve the image
WIDENINGS, HALVINGS = (1, 3), (1, 4)
_STRING = re.compile(r"(?:64-)?(?P<digits>\d+)(?:-basic)?")


def _is_allowed(choices: Mapping[str, Any]) -> bool:
    """Say whether an architecture widens one to three times and halves one to four times."""
    modules = [value for name, value in choices.items() if name != "depth"]
    widened = sum(module in ("widen", "widen+halve") for module in modules)
    halved = sum(module in ("halve", "widen+halve") for module in modules)
    return WIDENINGS[0] <= widened <= WIDENINGS[1] and HALVINGS[0] <= halved <= HALVINGS[1]


def _decisions() -> DecisionSpace:
    depth = Decision("depth", "value", tuple(range(FEWEST, MOST + 1)))
    modules = [
        Decision(
            f"module_{number}",
            "op",
            MODULES,
            condition=("depth", tuple(range(number - FEWEST, MOST - FEWEST + 1))) if number > FEWEST else None,
        )
        for number in range(1, MOST + 1)
    ]
    return DecisionSpace([depth, *modules], [_is_allowed])


_DECISIONS = _decisions()


class Buildable(Protocol):
    """A graph that is built of a code."""

    def build_modules(self, code: Code) -> None:
        """Build the network of a code."""


class TransBench101MacroCodec(Codec[Buildable]):
    """Code networks as six ints: a digit 1 to 4 for each module, and zeros after the last one, as NASLib does.

    1 changes nothing, 2 doubles the channels, 3 halves the image, 4 does both.
    """

    name = "transbench101_macro"

    @property
    def decision_space(self) -> DecisionSpace:
        """The number of modules, and what each of them does: 3,256 architectures."""
        return _DECISIONS

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space: the depth's index, and the modules' from 0."""
        return (sum(digit > 0 for digit in code) - FEWEST, *(digit - 1 if digit else MASKED for digit in code))

    def from_decisions(self, decided: Code) -> Code:
        """Return the digits of a code of the decision space."""
        return tuple(index + 1 if index != MASKED else 0 for index in decided[1:])

    def canonical(self, spec: Any) -> Code:
        """Return the code of four to six digits, as ints (with zeros at the end, or without) or as `64-1234-basic`.

        Raises:
            ArchitectureError: If it is none of these, or changes its size more or less often than the space allows.
        """
        spec = plain(spec)
        if isinstance(spec, str):
            found = _STRING.fullmatch(spec.strip().strip("'\""))
            if found is None:
                raise ArchitectureError(f"{spec!r} is not written like 64-12341-basic")
            spec = [int(digit) for digit in found["digits"]]
        if not isinstance(spec, list) or not all(type(digit) is int for digit in spec):
            raise ArchitectureError(f"an architecture of the macro space is 4 to 6 digits from 1 to 4, not {spec!r}")
        digits = list(spec)
        while digits and digits[-1] == 0:
            digits.pop()
        if not FEWEST <= len(digits) <= MOST or not all(1 <= digit <= len(MODULES) for digit in digits):
            raise ArchitectureError(f"an architecture of the macro space is 4 to 6 digits from 1 to 4, not {spec!r}")
        if not _is_allowed({str(i): MODULES[digit - 1] for i, digit in enumerate(digits)}):
            raise ArchitectureError(
                f"{spec!r}: one to three modules double the channels (2, 4), one to four halve the image (3, 4)"
            )
        return (*digits, *[0] * (MOST - len(digits)))

    def genotype(self, code: Code) -> str:
        """Return the benchmark's string."""
        return "64-{}-basic".format("".join(str(digit) for digit in code if digit))

    def from_graph(self, graph: Buildable) -> Code:
        """Raise `ArchitectureError`: a network is built of its code, which it keeps."""
        raise ArchitectureError("this graph is no architecture yet; set one by set_spec")

    def apply(self, graph: Buildable, code: Code) -> None:
        """Build the network that `code` names in `graph`, in place."""
        graph.build_modules(code)
