"""What a proposer sees of a search, and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naslib.errors import ArchitectureError
from naslib.history import Objective
from naslib.search_spaces.core.codec import Code, Codec


@dataclass(frozen=True)
class Seen:
    """A trial of the search.

    Attributes:
        number: Its number, from 0; None where a code was told without one.
        code: The architecture.
        values: One per objective; None while it is pending, and where it has failed.
        parent: Number of the trial that was offered as the parent when it was proposed.
        error: Why it has failed; "" where it has not.
    """

    number: int | None
    code: Code
    values: tuple[float, ...] | None = None
    parent: int | None = None
    error: str = ""


@dataclass(frozen=True)
class Refusal:
    """Something that was proposed and cannot be evaluated.

    Attributes:
        proposal: What was proposed.
        why: What is wrong with it.
    """

    proposal: Any
    why: str


@dataclass(frozen=True)
class Request:
    """What a proposer is told when it is asked.

    Attributes:
        n: How many architectures are wanted; more are left aside.
        trials: All trials that are over, in the order in which they were told.
        pending: Those that are being evaluated.
        parent: A good trial to begin from, the winner of a tournament; None while there is none. What is proposed is
            recorded as its child, whether or not the proposer makes use of it.
        objectives: What the values are, the deciding one first.
        description: The decisions of the space as text: names, candidates, conditions, number of architectures.
        refused: What was proposed for this request before and cannot be evaluated.
        seed: Another one for each request of a search, the same when the request is made again after a kill.
        codec: Of the space: `neighbours(code)`, `mutate(code, rng)`, `is_valid(code)`, `genotype(code)` ...
    """

    n: int
    trials: tuple[Seen, ...]
    pending: tuple[Seen, ...]
    parent: Seen | None
    objectives: tuple[Objective, ...]
    description: str
    refused: tuple[Refusal, ...]
    seed: int
    codec: Codec[Any]

    def choices(self, code: Code) -> dict[str, Any]:
        """Return what an architecture has chosen, by the names of the decisions; for prompts and logs.

        Raises:
            ArchitectureError: If the space does not state its decisions.
        """
        space = self.codec.decision_space
        if space is None:
            raise ArchitectureError(f"{self.codec.name} does not name its decisions")
        return space.choices(self.codec.to_decisions(code))

    def tried(self) -> set[Code]:
        """Return the architectures that were told or are pending."""
        return {seen.code for seen in (*self.trials, *self.pending)}

    def best_first(self) -> list[Seen]:
        """Return the trials that have values, the best by the first objective first; of equals the earliest."""
        objective = self.objectives[0]
        done = [seen for seen in self.trials if seen.values is not None]
        return sorted(done, key=lambda seen: -objective.merit((seen.values or (0.0,))[0]))


# Each of its answers is a code, a string or genotype that the space reads, or candidates by the names of decisions
Proposer = Callable[[Request], Sequence[Any]]


def as_code(answer: Any, codec: Codec[Any]) -> Code:
    """Return the code of what was proposed.

    Args:
        answer: A code, anything else that the codec reads, or candidates by the names of decisions.
        codec: Of the space.

    Raises:
        ArchitectureError: If it is no architecture of the space; says why.
    """
    try:
        if isinstance(answer, Mapping):
            space = codec.decision_space
            if space is None:
                raise ArchitectureError(f"{codec.name} does not name its decisions: propose a code")
            code = codec.from_decisions(space.code_of(answer))
        else:
            code = codec.canonical(answer)
    except ArchitectureError:
        raise
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ArchitectureError(f"it is no architecture of {codec.name} ({error})") from error
    if not codec.is_valid(code):
        raise ArchitectureError(f"{list(code)} is no architecture of {codec.name}{_why(code, codec)}")
    return code


def _why(code: Code, codec: Codec[Any]) -> str:
    space = codec.decision_space
    if space is None:
        return ""
    try:
        space.canonical(codec.to_decisions(code))
    except (ArchitectureError, IndexError) as error:
        return f": {error}"
    return ", or is one that the table does not have"
