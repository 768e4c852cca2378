"""Acquisition functions: how promising an architecture is, given what a model believes of it.

Larger values are better, of objectives and of acquisitions alike. All are functions of arrays `(n,)`, one entry per
architecture: means and standard deviations of the model's belief.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from naslib.errors import ConfigError, did_you_mean

ACQUISITIONS = ("its", "thompson", "ucb", "ei", "pi", "exploit_only")
_ALIASES = {"ind-ts": "its", "ind_ts": "its", "ts": "thompson", "exploit": "exploit_only"}


def as_acquisition(name: str) -> str:
    """Return the name of an acquisition function, in any case and also given by another name of it.

    Raises:
        ConfigError: If there is none of that name.
    """
    key = str(name).lower()
    key = _ALIASES.get(key, key)
    if key not in ACQUISITIONS:
        raise ConfigError(
            f"search.acq_fn_type: there is no acquisition function {name!r}{did_you_mean(key, ACQUISITIONS)} "
            f"(there are: {', '.join(ACQUISITIONS)})"
        )
    return key


def its(mean: np.ndarray, std: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent Thompson sampling: a draw from the belief of each architecture ([White2021bananas], section 4)."""
    return mean + std * rng.standard_normal(len(mean))


def thompson(members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thompson sampling: what one member of an ensemble, drawn for all architectures together, says of them.

    Args:
        members: `(m, n)`, what each of m members predicts.
        rng: Where the member is drawn from.
    """
    return np.asarray(members[rng.integers(len(members))])


def ucb(mean: np.ndarray, std: np.ndarray, explore_factor: float = 0.5) -> np.ndarray:
    """Upper confidence bound: the mean and so many standard deviations."""
    return mean + explore_factor * std


def ei(mean: np.ndarray, std: np.ndarray, best: float, calibration: float = 5.0) -> np.ndarray:
    """Expected improvement over the best value: `s (g Phi(g) + phi(g))` with `g = (mean - best) / s`.

    Args:
        mean: Means.
        std: Standard deviations.
        best: The best known value.
        calibration: `s` is the standard deviation divided by it: ensembles of networks say too much of it.
    """
    scaled = std / calibration
    gain = mean - best
    from scipy.stats import norm

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gain / scaled
        expected = scaled * (ratio * norm.cdf(ratio) + norm.pdf(ratio))
    return np.where(scaled > 0, expected, np.maximum(gain, 0.0))


def pi(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Probability of improvement over the best value: `Phi((mean - best) / std)`."""
    from scipy.stats import norm

    with np.errstate(divide="ignore", invalid="ignore"):
        chance = norm.cdf((mean - best) / std)
    return np.where(std > 0, chance, (mean > best).astype(np.float64))


def exploit_only(mean: np.ndarray) -> np.ndarray:
    """Return the mean."""
    return mean


def acquisition_function(
    ensemble: Any,
    ytrain: np.ndarray | None = None,
    acq_fn_type: str = "its",
    explore_factor: float = 0.5,
    ei_calibration_factor: float = 5.0,
) -> Callable[..., float]:
    """Return an acquisition function of one architecture, as NASLib writes it.

    Args:
        ensemble: Has `query(architectures, infos)`, which returns what m members predict, `(m, 1)`.
        ytrain: Known values, for `ei` and `pi`.
        acq_fn_type: A name in `ACQUISITIONS`.
        explore_factor: Of `ucb`.
        ei_calibration_factor: Of `ei`.

    Returns:
        A function of an architecture, and of what else is known of it. Draws follow from numpy's global generator as it
        is now.

    Raises:
        ConfigError: If there is no such acquisition function, or it needs known values and there are none.
    """
    kind = as_acquisition(acq_fn_type)
    if kind in ("ei", "pi") and (ytrain is None or not len(ytrain)):
        raise ConfigError(f"the acquisition function {kind!r} improves on known values: give ytrain")
    rng = np.random.default_rng(int(np.random.randint(2**31)))
    best = float(np.max(ytrain)) if ytrain is not None and len(ytrain) else 0.0

    def value(architecture: Any, info: Any = None) -> float:
        members = np.asarray(ensemble.query([architecture], [info]), dtype=np.float64).reshape(-1, 1)
        mean, std = members.mean(0), members.std(0)
        found = {
            "its": lambda: its(mean, std, rng),
            "thompson": lambda: thompson(members, rng),
            "ucb": lambda: ucb(mean, std, explore_factor),
            "ei": lambda: ei(mean, std, best, ei_calibration_factor),
            "pi": lambda: pi(mean, std, best),
            "exploit_only": lambda: mean,
        }[kind]()
        return float(found[0])

    return value


def in_turn(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the places of two orders, one of each in turn, each place once.

    Args:
        first: Places in an order, `(n,)`.
        second: The same places in another order.
    """
    both = np.stack([first, second], axis=1).ravel()
    _, where = np.unique(both, return_index=True)
    return np.asarray(both[np.sort(where)])


def by_promise(scores: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the places of all architectures, the most promising first; of equals, that with the larger mean.

    Args:
        scores: Of an acquisition function, `(n,)`.
        mean: Means, `(n,)`.
    """
    return np.lexsort((-mean, -scores))
