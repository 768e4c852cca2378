"""ModelBasedSearch: evaluate some random architectures, then what a model of them finds promising."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.predictors import PREDICTORS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.known_codec import within
from naslib.search_spaces.core.literals import read_literal
from naslib.search_spaces.core.query_metrics import Metric

from .candidates import Parent
from .reading import reading_of
from .rounds import SearchInRounds, check_counts
from .surrogate import Surrogate
from .transforms import as_transform, transformed


class ModelBasedSearch(SearchInRounds):
    """Fit predictors to the trials that are over, and ask for what they find promising, some at a time.

    In each round (`SearchInRounds`) the model is fitted to what was told by then, and chooses among architectures that
    were not asked for before.

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

    Raises:
        ConfigError: For an unknown keyword or transform, or a number below one; for an unknown predictor when the space
            is adapted.
    """

    SCHEDULABLE = {"num_ensemble": "", "max_labels": ""}

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
        super().__init__(
            num_init=num_init,
            max_labels=max_labels,
            fidelity=fidelity,
            metric=metric,
            objectives=objectives,
            evaluator=evaluator,
            **kwargs,
        )
        check_counts(num_ensemble=num_ensemble)
        self.num_ensemble = num_ensemble
        self.predictor_type, self.encoding_type = predictor_type, encoding_type
        self.predictor_args = dict(predictor_args or {})
        self.value_transform = as_transform(value_transform)
        self.zc_names = tuple(zc_names or ())
        self.zc_api = zc_api if use_zc_api else None
        self._proxies: dict[Code, dict[str, float]] | None = None
        if use_zc_api and zc_api is None:
            raise ConfigError("use_zc_api reads proxies from zc_api=: give what get_zc_benchmark_api returns")
        self._encoding: str | None = encoding_type

    @abstractmethod
    def choose(self, surrogate: Surrogate, values: np.ndarray, rng: np.random.Generator) -> list[Parent]:
        """Return the architectures of a round, the most promising first, with the numbers of their parents.

        Args:
            surrogate: The fitted model.
            values: What it was fitted to, `(n,)`.
            rng: Where acquisition functions draw from.
        """

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
        if self.zc_api is not None and not PREDICTORS.get(self.predictor_type)(space=self.graph).reads_info():
            raise ConfigError(
                f"search.use_zc_api gives the predictors proxies, and {self.predictor_type!r} would not read them: "
                "take another search.predictor_type, such as graf or gp, or leave them out"
            )
        self._proxies = None if self.zc_api is None else known_proxies(self.zc_api, self.zc_names)
        if self._proxies is not None:
            self._codec = within(self.codec, list(self._proxies))
        state = self.rng.getstate()
        self.make_surrogate()
        self.rng.setstate(state)

    def next_round(self) -> list[Parent]:
        """Fit a model and return what it chooses."""
        state = self.state
        places = state.labels(self.max_labels)
        values = transformed(np.array([state.merits[place] for place in places]), self.value_transform)
        surrogate = self.make_surrogate()
        surrogate.fit([state.codes[place] for place in places], values)
        return self.choose(surrogate, values, np.random.default_rng(self.rng.getrandbits(63)))


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
