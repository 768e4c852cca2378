"""ModelBasedSearch: evaluate some random architectures, then what a model of them finds promising."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.known_codec import within
from naslib.search_spaces.core.literals import read_literal
from naslib.search_spaces.core.query_metrics import Metric

from .candidates import Candidates, Parent
from .reading import FEWEST_LABELS, reading_of
from .state import ModelState
from .surrogate import Surrogate
from .transforms import as_transform, transformed

# Draws of an architecture that was not asked for yet, before one that was is taken
_ATTEMPTS = 100


class ModelBasedSearch(DiscreteOptimizer):
    """Fit predictors to the trials that are over, and ask for what they find promising, some at a time.

    A round begins when all of the last one was asked for: the model is fitted to what was told by then, and chooses
    among architectures that were not asked for before; pending trials are thus not asked for twice. Where no candidate
    is new, an architecture is drawn at random. Trials that have failed teach the model nothing.

    Args:
        num_init: Random architectures before the first model.
        num_ensemble: Predictors in the model, which differ in their seeds.
        predictor_type: Their name in `PREDICTORS`.
        encoding_type: How an architecture becomes numbers. Predictors that read graphs or sequences have an encoding of
            their own; a space without this one is read one-hot, and the log says so.
        predictor_args: Hyperparameters of the predictors that are not their defaults.
        value_transform: `none`, `log` or `rank`: what the model is fitted to (`transforms.transformed`).
        zc_api: Zero-cost proxies of architectures by the text of their codes (`get_zc_benchmark_api`).
        use_zc_api: Whether the predictors read them beside the encoding. The search then asks for none but these.
        zc_names: Which proxies; all if None.
        max_labels: To how many trials the model is fitted at most: the best half, and the newest of the others.
        fidelity: Epochs of training that the search looks at, -1 for the longest that a benchmark has.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        state: Labels and queue.

    Raises:
        ConfigError: For an unknown keyword or transform, or a number below one; for an unknown predictor when the space
            is adapted.
    """

    def __init__(
        self,
        *,
        num_init: int = 10,
        num_ensemble: int = 3,
        predictor_type: str = "var_sparse_gp",
        encoding_type: str = "path",
        predictor_args: Mapping[str, Any] | None = None,
        value_transform: str = "none",
        max_labels: int = 1000,
        zc_api: Mapping[str, Mapping[str, Any]] | None = None,
        use_zc_api: bool = False,
        zc_names: Sequence[str] | None = None,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        check_counts(num_init=num_init, num_ensemble=num_ensemble, max_labels=max_labels)
        self.num_init, self.num_ensemble = num_init, num_ensemble
        self.predictor_type, self.encoding_type = predictor_type, encoding_type
        self.predictor_args = dict(predictor_args or {})
        self.value_transform = as_transform(value_transform)
        self.max_labels = max_labels
        self.zc_names = tuple(zc_names or ())
        self.zc_api = zc_api if use_zc_api else None
        self._proxies: dict[Code, dict[str, float]] | None = None
        if use_zc_api and zc_api is None:
            raise ConfigError("use_zc_api reads proxies from zc_api=: give what get_zc_benchmark_api returns")
        self.state = ModelState()
        self._encoding: str | None = encoding_type
        self._fewest = FEWEST_LABELS

    @abstractmethod
    def choose(self, surrogate: Surrogate, values: np.ndarray, rng: np.random.Generator) -> list[Parent]:
        """Return the architectures of a round, the most promising first, with the numbers of their parents.

        Args:
            surrogate: The fitted model.
            values: What it was fitted to, `(n,)`.
            rng: Where acquisition functions draw from.
        """

    def propose(self) -> tuple[Code, int | None] | None:
        """Return a random architecture, later one that the model has chosen; None while it has no labels."""
        state = self.state
        if state.asked < self.num_init:
            return self._taken(self._fresh(), None)
        if not state.queue:
            if len(state.codes) < self._fewest:
                return None if self.record.pending else self._taken(self._fresh(), None)
            state.queue = self._round()[::-1]
        while state.queue:
            code, parent = state.queue.pop()
            if code not in state.seen:  # somebody may have told it in between
                return self._taken(code, parent)
        return self._taken(self._fresh(), None)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; labels and queue beside the record and the random state."""
        return {**super().get_checkpointables(), "labels": self.state}

    def new_candidates(self) -> Candidates:
        """Return an empty collection of architectures that were not asked for."""
        return Candidates(self.codec, self.state.seen, self.rng)

    def best_parents(self, count: int) -> list[Parent]:
        """Return the best `count` architectures with the numbers of their trials, the best first."""
        state = self.state
        return [(state.codes[place], state.numbers[place]) for place in state.best(count)]

    def make_surrogate(self) -> Surrogate:
        """Return a model that is not fitted; its seed follows from the generator of the search."""
        surrogate = Surrogate.of_type(
            self.predictor_type,
            self.graph,
            self._encoding,
            self.num_ensemble,
            self.rng.getrandbits(31),
            self.predictor_args,
        )
        surrogate.known = self._proxies
        return surrogate

    def adapted(self) -> None:
        """Make a model once, so that what it cannot be is said before the search.

        Raises:
            ConfigError: If the predictor, its encoding or its hyperparameters cannot be had, or it needs more to be
                known of architectures than their values.
        """
        self._encoding, self._fewest = reading_of(self.predictor_type, self.encoding_type, self.codec, self.graph)
        self._proxies = None if self.zc_api is None else known_proxies(self.zc_api, self.zc_names)
        if self._proxies is not None:
            self._codec = within(self.codec, list(self._proxies))
        state = self.rng.getstate()
        self.make_surrogate()
        self.rng.setstate(state)

    def _round(self) -> list[Parent]:
        """Fit a model and return what it chooses."""
        state = self.state
        state.rounds += 1
        places = state.labels(self.max_labels)
        values = transformed(np.array([state.merits[place] for place in places]), self.value_transform)
        surrogate = self.make_surrogate()
        surrogate.fit([state.codes[place] for place in places], values)
        return self.choose(surrogate, values, np.random.default_rng(self.rng.getrandbits(63)))

    def _taken(self, code: Code, parent: int | None) -> tuple[Code, int | None]:
        self.state.seen[code] = None
        self.state.asked += 1
        return code, parent

    def _fresh(self) -> Code:
        """Return a random architecture, if possible one that was not asked for yet."""
        codec, seen = self.codec, self.state.seen
        code = codec.random(self.rng)
        for _ in range(_ATTEMPTS):
            if code not in seen:
                break
            code = codec.random(self.rng)
        return code

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        state = self.state
        state.seen[code] = None
        state.codes.append(code)
        state.merits.append(merit)
        state.numbers.append(number)

    def _reset(self) -> None:
        self.state = ModelState()


def known_proxies(api: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> dict[Code, dict[str, float]]:
    """Return the proxies of architectures by their codes, of those that have all.

    Args:
        api: As `get_zc_benchmark_api` returns it.
        names: Of the proxies; those of the first architecture if there are none.

    Raises:
        ConfigError: If no architecture has all of them; the message lists what there is.
    """
    first: Mapping[str, Any] = next(iter(api.values()), {})
    there = [name for name, entry in first.items() if isinstance(entry, Mapping)]
    wanted = list(names) or there
    found = {
        tuple(read_literal(text)): {name: float(entry[name]["score"]) for name in wanted}
        for text, entry in api.items()
        if all(name in entry for name in wanted)
    }
    if not found:
        raise ConfigError(f"no architecture has the proxies {', '.join(wanted)} (there are: {', '.join(there)})")
    return found


def check_counts(**counts: int) -> None:
    """Raise a ConfigError that names all numbers below one."""
    problems = [f"{name} must be at least 1, not {count}" for name, count in counts.items() if count < 1]
    if problems:
        raise ConfigError(problems)
