"""Comparison: methods over seeds as a table of means, mean ranks and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from naslib.errors import ConfigError

# With fewer methods than this Friedman's test, and what follows from it, says nothing
_LEAST_METHODS = 3
SIGNIFICANCE = 0.05
# Pairs up to which all signs of differences are tried; beyond, a normal approximation is close where some are equal
_EXACT = 13


class MethodRow(NamedTuple):
    """What a method reached over the seeds.

    Attributes:
        method: Its name.
        seeds: Number of seeds.
        mean: Mean of the scores.
        std: Their standard deviation (n - 1); 0 with one seed.
        median: Their median.
        worst: The worst of them.
        best: The best of them.
        rank: Mean over the seeds of its rank among the methods, 1 the best, ties shared.
        p: Probability by Wilcoxon's signed-rank test, paired by seed, that it and the method with the best mean differ
            as much by chance; adjusted for the number of methods after Holm. None of the best one itself.
    """

    method: str
    seeds: int
    mean: float
    std: float
    median: float
    worst: float
    best: float
    rank: float
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """Scores of methods on the same seeds.

    Args:
        scores: `(n,)` by method, in the order of the seeds.
        maximize: Whether larger is better.

    Raises:
        ConfigError: If methods have different numbers of seeds, or there are none, or a score is not finite.
    """

    scores: Mapping[str, Sequence[float]]
    maximize: bool = True

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.scores.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ConfigError("methods are compared on the same seeds, one score each; here some have more than others")
        bad = [method for method, values in self.scores.items() if not np.isfinite(np.asarray(values)).all()]
        if bad:
            raise ConfigError(f"scores that are not finite have no rank; {', '.join(bad)} has some")

    @property
    def methods(self) -> list[str]:
        """The names, the best mean first."""
        sign = -1.0 if self.maximize else 1.0
        return sorted(self.scores, key=lambda method: sign * float(np.mean(self.scores[method])))

    def ranks(self) -> dict[str, float]:
        """Return the mean rank of each method over the seeds, 1 the best; equal scores share the mean of theirs."""
        mean = stats.rankdata(self._merits() * -1, axis=0).mean(1)
        return dict(zip(self.scores, mean.tolist(), strict=True))

    def rows(self) -> list[MethodRow]:
        """Return the table, the best mean first."""
        ranks, methods = self.ranks(), self.methods
        tests = _holm([wilcoxon(self.scores[method], self.scores[methods[0]]) for method in methods[1:]])
        rows = []
        for method, p in zip(methods, [None, *tests], strict=True):
            values = np.asarray(self.scores[method], dtype=np.float64)
            low, high = float(values.min()), float(values.max())
            ends = (low, high) if self.maximize else (high, low)
            std = float(values.std(ddof=1)) if len(values) > 1 else 0.0
            rows.append(
                MethodRow(
                    method, len(values), float(values.mean()), std, float(np.median(values)), *ends, ranks[method], p
                )
            )
        return rows

    def friedman(self) -> float | None:
        """Return the probability that the methods rank so differently by chance; None for fewer than three."""
        merits = self._merits()
        if len(merits) < _LEAST_METHODS or merits.shape[1] < 2:
            return None
        if (merits == merits[0]).all():
            return 1.0
        return float(stats.friedmanchisquare(*merits).pvalue)

    def critical_difference(self) -> float | None:
        """Return how far two mean ranks must be apart to differ at 5 % (Nemenyi's test); None for fewer than three.

        q(k) / sqrt(2) * sqrt(k (k + 1) / (6 n)), with q the studentized range of k methods ([Demsar2006statistical]).
        """
        k, n = self._merits().shape
        if k < _LEAST_METHODS or n < 2:
            return None
        q = stats.studentized_range.ppf(1 - SIGNIFICANCE, k, np.inf) / np.sqrt(2)
        return float(q * np.sqrt(k * (k + 1) / (6 * n)))

    def _merits(self) -> NDArray[np.float64]:
        merits = np.array([list(values) for values in self.scores.values()], dtype=np.float64)
        return merits if self.maximize else -merits


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test on pairs; 1 where no pair differs.

    Args:
        first: `(n,)` scores.
        second: `(n,)` scores on the same seeds.
    """
    differences = np.subtract(first, second)
    differences = differences[differences != 0]
    if len(differences) < 2:  # one pair alone: either sign is as likely
        return 1.0
    if len(differences) > _EXACT:
        return float(stats.wilcoxon(differences).pvalue)

    def signed_ranks(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return (np.sign(values) * stats.rankdata(np.abs(values), axis=axis)).sum(axis)

    # all signs are tried, which is exact also where differences are equal
    found = stats.permutation_test(
        (differences,), signed_ranks, permutation_type="samples", vectorized=True, n_resamples=2**_EXACT
    )
    return float(found.pvalue)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number by Holm's step-down method."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
