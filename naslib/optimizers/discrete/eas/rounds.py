"""Rounds: what EAS has decided and been told since the network that it starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.search_spaces.core.decisions import Code

from .controller import Deeper, Step, Wider


class Valued(NamedTuple):
    """What is known of an architecture.

    Attributes:
        merit: Its value, larger being better; None if it has none: its training failed.
        number: Of its trial; None where the value was told without one.
    """

    merit: float | None
    number: int | None


class Rounds:
    """The round of networks that is being evaluated, and the values of all that were.

    Attributes:
        count: Rounds that the controller has learned from.
        start: Where networks grow from.
        start_trial: Number of its trial, None before it is known.
        paths: Of the networks of this round, the steps from the start.
        codes: What each of them ends in.
        to_ask: Architectures of this round that are not asked for yet.
        asked: Those that are asked for and not told; the start at first.
        values: By architecture, of those that grew from this start, and the start.
        starts: Architectures that rounds began from, in order.
        failures: How often the first of them has failed.
    """

    def __init__(self, start: Code) -> None:
        self.count = 0
        self.start: Code = start
        self.start_trial: int | None = None
        self.paths: list[list[Step]] = []
        self.codes: list[Code] = []
        self.to_ask: list[Code] = [start]
        self.asked: list[Code] = []
        self.values: dict[Code, Valued] = {}
        self.starts: list[Code] = [start]
        self.failures = 0

    @property
    def has_begun(self) -> bool:
        """Whether the network that they start from has its value."""
        return self.start in self.values

    def ask(self) -> Code | None:
        """Return the next architecture, None while there is none to ask for."""
        if not self.to_ask:
            return None
        code = self.to_ask.pop(0)
        self.asked.append(code)
        return code

    def tell(self, code: Code, merit: float | None, number: int | None) -> bool:
        """Take the value of an architecture that was asked for; say whether a round is over by it."""
        self.asked.remove(code)
        self.values[code] = Valued(merit, number)
        return bool(self.codes) and not self.to_ask and not self.asked

    def begin(self, paths: Sequence[Sequence[Step]], codes: Sequence[Code], repeat: bool) -> None:
        """Begin a round.

        Args:
            paths: The steps of each network.
            codes: What they end in; one that has a value already is not asked for again.
            repeat: Whether it is, nevertheless.
        """
        self.paths, self.codes = [list(path) for path in paths], list(codes)
        self.to_ask = [code for code in dict.fromkeys(codes) if repeat or code not in self.values]

    def best(self) -> Code:
        """Return the best architecture that has grown from the start, or the start; of equals the first."""
        merits = {code: valued.merit for code, valued in self.values.items() if valued.merit is not None}
        return max(merits, key=merits.__getitem__, default=self.start)

    def end(self) -> None:
        """Take note that the controller has learned from the round."""
        self.count += 1
        self.paths, self.codes = [], []

    def go_on_from(self, code: Code) -> None:
        """Let the next rounds start from an architecture; what grew from the one before counts no more."""
        valued = self.values[code]
        self.start, self.start_trial, self.values = code, valued.number, {code: valued}
        self.starts.append(code)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "count": self.count,
            "start": list(self.start),
            "start_trial": self.start_trial,
            "paths": [[_plain(step) for step in path] for path in self.paths],
            "codes": [list(code) for code in self.codes],
            "to_ask": [list(code) for code in self.to_ask],
            "asked": [list(code) for code in self.asked],
            "values": [[list(code), valued.merit, valued.number] for code, valued in self.values.items()],
            "starts": [list(code) for code in self.starts],
            "failures": self.failures,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.count, self.start = int(state_dict["count"]), tuple(state_dict["start"])
        self.start_trial, self.failures = state_dict["start_trial"], int(state_dict["failures"])
        self.paths = [[_step(*row) for row in path] for path in state_dict["paths"]]
        self.codes, self.to_ask, self.asked, self.starts = (
            [tuple(code) for code in state_dict[name]] for name in ("codes", "to_ask", "asked", "starts")
        )
        self.values = {tuple(code): Valued(merit, number) for code, merit, number in state_dict["values"]}


def _plain(step: Step) -> list[Any]:
    return ["wider", list(step.chosen)] if isinstance(step, Wider) else ["deeper", list(step)]


def _step(kind: str, values: Sequence[Any]) -> Step:
    return Wider(tuple(map(bool, values))) if kind == "wider" else Deeper(*map(int, values))
