"""BasePredictor: a predictor that is fitted once, and its best predictions ([Wen2020neural])."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.optimizers.discrete.model_based.acquisition import by_promise
from naslib.optimizers.discrete.model_based.base import ModelBasedSearch
from naslib.optimizers.discrete.model_based.candidates import Parent
from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.model_based.surrogate import Surrogate
from naslib.optimizers.registry import OPTIMIZERS

# Of 172 evaluations, [Wen2020neural] spends 152 on random architectures and 20 on the best predictions
_CHOSEN, _ALL = 20, 172


@OPTIMIZERS.register("bp")
class BasePredictor(ModelBasedSearch):
    """Fit a model to random architectures and evaluate those that it predicts to be best ([Wen2020neural]).

    Of `epochs` evaluations `20 / 172` are chosen by the model, at least one, and all before them are random: this is
    where its `num_init` comes from. It chooses among `2 * epochs` random architectures. A search that goes on after
    them, by a budget in seconds, fits a model to all that is known by then, and so on.

    Args:
        epochs: Number of evaluations.
        **kwargs: Keywords of `ModelBasedSearch`; `num_init` is of no effect.

    Attributes:
        k: How many evaluations the model chooses.
        test_size: Among how many architectures.

    Raises:
        ConfigError: For an unknown keyword or name, or a number below one.
    """

    SCHEDULABLE = dict.fromkeys(("num_ensemble", "max_labels"), "its model is made once, at the end")

    def __init__(self, *, epochs: int = 50, **kwargs: Any) -> None:
        check_counts(epochs=epochs)
        self.epochs = epochs
        self.k = max(1, int(_CHOSEN / _ALL * epochs))
        self.test_size = 2 * epochs
        super().__init__(**{**kwargs, "num_init": max(1, epochs - self.k)})

    def choose(self, surrogate: Surrogate, values: np.ndarray, rng: np.random.Generator) -> list[Parent]:
        """Return the k architectures with the largest predicted values."""
        drawn = self.new_candidates()
        drawn.draw(self.test_size)
        if not drawn:
            return []
        mean = surrogate.predict(drawn.codes).mean
        return drawn.first(by_promise(mean, mean), self.k)
