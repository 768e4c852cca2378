"""What a policy has drawn: one architecture, and those of the trials that are not told yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from naslib.errors import OptimizerStateError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.literals import shortened

from .base import Sequenced


class Drawn(NamedTuple):
    """What the policy decided.

    Attributes:
        decided: As a code of the decision space, as it was drawn.
        log_probs: Of its words, at that time.
    """

    decided: Code
    log_probs: tuple[float, ...]


def drawn_of(found: Sequenced) -> Drawn:
    """Return an architecture under a policy as plain values."""
    return Drawn(found.code, tuple(found.log_probs.tolist()))


class DrawnTrials:
    """What was drawn and is not told yet, as a checkpoint holds it.

    Attributes:
        by_number: What was drawn for trials.
        by_code: What was drawn for codes that were asked for alone, as often as they were.
    """

    def __init__(self) -> None:
        self.by_number: dict[int, Drawn] = {}
        self.by_code: dict[Code, list[Drawn]] = {}

    def hand_out(self, code: Code, number: int) -> None:
        """Keep what was drawn last, for the trial of a number, under the code that was asked for alone."""
        self.by_code.setdefault(code, []).append(self.by_number.pop(number))

    def take(self, code: Code) -> Drawn:
        """Return what was drawn for a code, which is told now.

        Raises:
            OptimizerStateError: If it was not asked for, or was told as often already.
        """
        waiting = self.by_code.get(code)
        if not waiting:
            latest = next(reversed(self.by_code), None)
            expected = "none is asked for" if latest is None else f"the one asked for last is {shortened(latest)}"
            raise OptimizerStateError(
                f"{shortened(code)} is no architecture that this controller has proposed and was not told yet: "
                f"tell(code, value) takes what ask() returned, {expected}"
            )
        drawn = waiting.pop(0)
        if not waiting:
            del self.by_code[code]
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rows = [[number, list(d.decided), list(d.log_probs)] for number, d in self.by_number.items()]
        asked = [
            [list(code), list(d.decided), list(d.log_probs)] for code, several in self.by_code.items() for d in several
        ]
        return {"drawn": rows, "asked": asked}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        rows = state_dict["drawn"]
        self.by_number = {int(n): Drawn(tuple(code), tuple(map(float, probs))) for n, code, probs in rows}
        self.by_code = {}
        for code, decided, probs in state_dict.get("asked", ()):
            drawn = Drawn(tuple(decided), tuple(map(float, probs)))
            self.by_code.setdefault(tuple(code), []).append(drawn)
