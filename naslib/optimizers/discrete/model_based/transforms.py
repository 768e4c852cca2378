"""What a model is fitted to in place of the values themselves: functions that keep their order."""

from __future__ import annotations

import numpy as np

from naslib.errors import ConfigError, did_you_mean

TRANSFORMS = ("none", "log", "rank")
# Where the logarithm ends: this share of the median distance to the best value
_OFFSET = 0.1


def as_transform(name: str) -> str:
    """Return the name of a transform, in any case.

    Raises:
        ConfigError: If there is none of that name.
    """
    key = str(name).lower()
    if key not in TRANSFORMS:
        raise ConfigError(
            f"search.value_transform: there is no {name!r}{did_you_mean(key, TRANSFORMS)} "
            f"(there are: {', '.join(TRANSFORMS)})"
        )
    return key


def transformed(values: np.ndarray, name: str) -> np.ndarray:
    """Return values in another scale, larger being better in both.

    `log` is `-log(best - y + c)`, c a tenth of the median of `best - y`, standardised: it stretches the differences
    among the best and shrinks those among the worst, which a search need not tell apart. `rank` are normal scores,
    `Phi^-1((r - 1/2) / n)`, r the rank from the worst, equals sharing the mean of theirs. Both are the same for `y` and
    `a y + b`, a > 0.

    Args:
        values: `(n,)`, finite.
        name: One of `TRANSFORMS`.

    Returns:
        `(n,)`; zeros where all values are the same and the transform is not `none`.
    """
    if name == "none" or not len(values):
        return values
    if name == "rank":
        from scipy.stats import norm, rankdata

        return np.asarray(norm.ppf((rankdata(values) - 0.5) / len(values)))
    gaps = values.max() - values
    offset = _OFFSET * (np.median(gaps) or gaps.mean())
    if offset == 0:
        return np.zeros(len(values))
    stretched = -np.log(gaps + offset)
    return np.asarray((stretched - stretched.mean()) / stretched.std())
