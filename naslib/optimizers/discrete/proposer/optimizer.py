"""ProposerSearch: a callable of one's own maps the history to the architectures that come next."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, did_you_mean
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.proposal import Proposal
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.utils.log import get_logger
from naslib.utils.seeding import derive_seed

from .view import Proposer, Refusal, Request, Seen, as_code

logger = get_logger(__name__)

DEFAULT = "naslib.optimizers.discrete.proposer.neighbours:untried_neighbours"
_ANSWER = "expected a list of codes, of strings or genotypes of the space, or of candidates by the names of decisions"


class ProposerState:
    """What the search has told and asked, beside the record.

    Attributes:
        seed: Of the search; the seeds of requests are derived from it.
        told: The trials that are over.
        parents: The number of the parent of each trial that is pending, by its number.
        waiting: Codes that were proposed and not asked for yet, each with the number of its parent.
        requests: How often the proposer was asked, repetitions included.
        refused: How many proposals were refused.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.told: list[Seen] = []
        self.parents: dict[int, int | None] = {}
        self.waiting: list[tuple[Code, int | None]] = []
        self.requests = self.refused = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rows = [[s.number, [*s.code], None if s.values is None else [*s.values], s.parent, s.error] for s in self.told]
        return {
            "seed": self.seed,
            "told": rows,
            "parents": [[number, parent] for number, parent in self.parents.items()],
            "waiting": [[list(code), parent] for code, parent in self.waiting],
            "requests": self.requests,
            "refused": self.refused,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.seed = int(state_dict["seed"])
        self.told = [
            Seen(number, tuple(code), None if values is None else tuple(map(float, values)), parent, str(error))
            for number, code, values, parent, error in state_dict["told"]
        ]
        self.parents = {int(number): parent for number, parent in state_dict["parents"]}
        self.waiting = [(tuple(code), parent) for code, parent in state_dict["waiting"]]
        self.requests, self.refused = int(state_dict["requests"]), int(state_dict["refused"])


@OPTIMIZERS.register("proposer")
class ProposerSearch(DiscreteOptimizer):
    """Evaluate what a callable proposes that sees the history: a language model, a person, a program of one's own.

    The first `num_init` architectures are random. Then the proposer is asked for `batch` architectures whenever none is
    waiting. It is told a `Request`: all trials, the decisions of the space as text, the objectives, and a parent, the
    best of `sample_size` trials drawn with replacement from the `population_size` newest, as in [Real2019regularized].

    What cannot be evaluated is refused: no architecture of the space, or one that was asked for already. If nothing of
    an answer can be, the proposer is asked again, up to `retries` times, and sees what was refused and why; then the
    search ends with an error. Some of an answer refused, the rest is evaluated, and the log says what was refused.

    A request is a function of the search and of the number of the trial that it is for, whatever else was drawn. After
    a kill, trials that the history has are what they were: the proposer is asked for later ones alone.

    Args:
        proposer: The callable, or where it is: `package.module:name`.
        num_init: Random architectures at the beginning.
        batch: Architectures per request.
        retries: How often the proposer is asked again where nothing can be evaluated.
        repeats: Whether an architecture may be evaluated more than once.
        sample_size: Trials in the tournament for the parent.
        population_size: Newest trials among which it is.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        state: What was told and asked.

    Raises:
        ConfigError: If there is no such callable, or a number is too small.
    """

    SCHEDULABLE = dict.fromkeys(("batch", "retries", "sample_size", "population_size"), "")

    def __init__(
        self,
        *,
        proposer: Any = DEFAULT,
        num_init: int = 10,
        batch: int = 1,
        retries: int = 3,
        repeats: bool = False,
        sample_size: int = 10,
        population_size: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        least = {"num_init": (num_init, 0), "batch": (batch, 1), "retries": (retries, 0)}
        least |= {"sample_size": (sample_size, 1), "population_size": (population_size, 1)}
        problems = [f"{key} must be at least {low}, not {value}" for key, (value, low) in least.items() if value < low]
        if problems:
            raise ConfigError(problems)
        self.proposer: Proposer = find_proposer(proposer)
        self.num_init, self.batch, self.retries, self.repeats = num_init, batch, retries, repeats
        self.sample_size, self.population_size = sample_size, population_size
        self.state = ProposerState()
        self._recalled: dict[int, Trial] = {}

    def propose(self) -> Proposal:
        """Return a random architecture, what the history says was proposed, or what the proposer says now."""
        state, number = self.state, self.record.asked
        known = self._recalled.pop(number, None)
        if number < self.num_init:
            proposal = Proposal(self.codec.random(self.rng))
        elif known is not None:
            if state.waiting and state.waiting[0][0] == known.code:
                state.waiting.pop(0)
            state.waiting = [(tuple(code), known.parent) for code in known.user.get("batch", ())] or state.waiting
            batch = {"batch": known.user["batch"]} if "batch" in known.user else {}
            proposal = Proposal(known.code, known.parent, user=batch)
        elif state.waiting:
            code, parent_number = state.waiting.pop(0)
            proposal = Proposal(code, parent_number)
        else:
            parent, codes = self._asked_for(number)
            first, *others = codes
            of = None if parent is None else parent.number
            state.waiting = [(code, of) for code in others]
            # the history has to know what is waiting: without it a search that is killed would ask for it again
            proposal = Proposal(first, of, user={"batch": [list(code) for code in others]} if others else {})
        state.parents[number] = proposal.parent
        return proposal

    def recall(self, trials: Iterable[Trial]) -> None:
        """Take trials that a killed search had asked for after its checkpoint: they are not proposed a second time."""
        self._recalled = {trial.number: trial for trial in trials}

    def _asked_for(self, number: int) -> tuple[Seen | None, list[Code]]:
        """Return the parent that the proposer was offered, and the architectures that it wants for trial `number`."""
        state = self.state
        rng = Random(derive_seed(state.seed, "request", number))
        parent, seed = self._parent(rng), rng.getrandbits(32)
        pending = tuple(Seen(t.number, t.code, parent=t.parent) for t in self.pending())
        space = self.codec.decision_space
        description = f"codes of {self.codec.name}" if space is None else space.describe()
        refused: list[Refusal] = []
        for _ in range(1 + self.retries):
            state.requests += 1
            request = Request(
                n=self.batch,
                trials=tuple(state.told),
                pending=pending,
                parent=parent,
                objectives=self.objectives,
                description=description,
                refused=tuple(refused),
                seed=seed,
                codec=self.codec,
            )
            codes, more = self._read(self.proposer(request), request)
            state.refused += len(more)
            if codes:
                for refusal in more:
                    logger.info("the proposer's %s is left out: %s", refusal.proposal, refusal.why)
                return parent, codes
            refused += more
        last = f"; the last one, {refused[-1].proposal!r}: {refused[-1].why}" if refused else "; it returned nothing"
        raise ConfigError(
            f"search.proposer: {_name(self.proposer)} proposed nothing that can be evaluated as trial {number}, asked "
            f"{1 + self.retries} times (search.retries){last}"
        )

    def _read(self, answers: Any, request: Request) -> tuple[list[Code], list[Refusal]]:
        """Return the codes of an answer, `batch` at most, and what is refused of it."""
        if isinstance(answers, str | bytes | Mapping) or not isinstance(answers, Iterable):
            got = type(answers).__name__
            raise ConfigError(f"search.proposer: {_name(self.proposer)} returned {answers!r} ({got}); {_ANSWER}")
        tried: set[Code] = set() if self.repeats else request.tried()
        codes: list[Code] = []
        refused: list[Refusal] = []
        for answer in answers:
            try:
                code = as_code(answer, self.codec)
            except ArchitectureError as error:
                refused.append(Refusal(answer, str(error)))
                continue
            if code in tried:
                refused.append(Refusal(answer, f"{list(code)} was tried already"))
                continue
            if not self.repeats:
                tried.add(code)
            codes.append(code)
            if len(codes) == self.batch:
                break
        return codes, refused

    def _parent(self, rng: Random) -> Seen | None:
        """Return the winner of a tournament among the newest trials that have values."""
        alive = [seen for seen in self.state.told if seen.values is not None][-self.population_size :]
        if not alive:
            return None
        objective = self.objectives[0]
        drawn = [rng.choice(alive) for _ in range(self.sample_size)]
        return max(drawn, key=lambda seen: objective.merit((seen.values or (0.0,))[0]))

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; what was told and asked beside the record and the random state."""
        return {**super().get_checkpointables(), "proposer": self.state}

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self._learn_all(code, (merit,), number)

    def _learn_all(self, code: Code, merits: tuple[float, ...], number: int | None) -> None:
        values = tuple(o.merit(merit) for o, merit in zip(self.objectives, merits, strict=False))
        parent = None if number is None else self.state.parents.pop(number, None)
        self.state.told.append(Seen(number, code, values, parent))

    def _lose(self, trial: Trial) -> None:
        if "predicted" in trial.user:  # it was stopped early, and is told with the value predicted for it
            return
        error = str(trial.user.get("error", "it was stopped early"))
        parent = self.state.parents.pop(trial.number, None)
        self.state.told.append(Seen(trial.number, trial.code, None, parent, error))

    def _reset(self) -> None:
        self.state = ProposerState(self.rng.getrandbits(62))
        self._recalled = {}


def find_proposer(given: Any) -> Callable[[Request], Sequence[Any]]:
    """Return a proposer, given as the callable or by its place.

    Args:
        given: A callable, or `package.module:name` (also `package.module.name`).

    Raises:
        ConfigError: If it is not there or cannot be called; says what is missing.
    """
    if not isinstance(given, str):
        if not callable(given):
            raise ConfigError(f"search.proposer: expected a callable or its place, module:name, not {given!r}")
        found: Any = given
    else:
        module, separator, name = given.partition(":") if ":" in given else given.rpartition(".")
        if not (module and separator and name):
            raise ConfigError(f"search.proposer: expected module:name, got {given!r}")
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(f"search.proposer: {given!r}: cannot import {module!r} ({error})") from error
        for part in name.split("."):
            if not hasattr(found, part):
                hint = did_you_mean(part, [entry for entry in vars(found) if not entry.startswith("_")])
                raise ConfigError(f"search.proposer: {module} has no {part!r}{hint}")
            found = getattr(found, part)
        if not callable(found):
            raise ConfigError(f"search.proposer: {given} is no callable but {type(found).__name__}")
    proposer: Callable[[Request], Sequence[Any]] = found
    return proposer


def _name(proposer: Any) -> str:
    return f"{getattr(proposer, '__module__', '')}:{getattr(proposer, '__qualname__', type(proposer).__name__)}"
