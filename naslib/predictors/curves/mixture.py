"""The posterior of a weighted mixture of parametric curves, by an ensemble of walkers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .parametric import FUNCTIONS, CurveFunction, fit_function

# Curves are thinned to so many epochs, evenly, the last one among them
_POINTS = 30
_STRETCH = 2.0
_LOG_NOISE = (np.log(1e-4), np.log(0.5))
# The log density where there is none
_FORBIDDEN = -1e300
LogDensity = Callable[[np.ndarray], np.ndarray]


def stretch(
    log_density: LogDensity, walkers: np.ndarray, densities: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return walkers and their log densities after one step of the affine-invariant ensemble sampler.

    Goodman and Weare (2010), [Goodman2010ensemble]: one half of the walkers moves along lines through walkers of the
    other half, by a factor z with density proportional to 1 / sqrt(z) on [1/2, 2], accepted with probability
    min(1, z^(d - 1) p(new) / p(old)); then the other half does.

    Args:
        log_density: Of states `(n, w, d)` to `(n, w)`; finite, -1e300 where there is none.
        walkers: `(n, w, d)`, n independent ensembles of an even number w of walkers.
        densities: `(n, w)`.
        rng: Of the proposals.
    """
    n, w, d = walkers.shape
    half = w // 2
    walkers, densities = walkers.copy(), densities.copy()
    for moving, resting in ((slice(0, half), slice(half, w)), (slice(half, w), slice(0, half))):
        partner = np.take_along_axis(walkers[:, resting], rng.integers(half, size=(n, half))[..., None], axis=1)
        z = np.square(1 + (_STRETCH - 1) * rng.random((n, half))) / _STRETCH
        proposed = partner + z[..., None] * (walkers[:, moving] - partner)
        found = log_density(proposed)
        ratio = (d - 1) * np.log(z) + found - densities[:, moving]
        accepted = np.log(rng.random((n, half))) < ratio
        walkers[:, moving] = np.where(accepted[..., None], proposed, walkers[:, moving])
        densities[:, moving] = np.where(accepted, found, densities[:, moving])
    return walkers, densities


class CurveMixture:
    """Values of a curve as sum_k w_k f_k(t | theta_k) with normal noise, Domhan et al. (2015), [Domhan2015speeding].

    A state is the weights, the parameters of all families, and log sigma. The prior is uniform within bounds (weights
    in [0, 1]), and nothing where the mixture at the end is not above that at the first epoch, or above 1.

    Args:
        curves: `(n, t)` values on a scale of [0, 1], larger being better.
        final_epoch: The epoch that is asked for.
        functions: The families.
    """

    def __init__(self, curves: np.ndarray, final_epoch: int, functions: Sequence[CurveFunction] = FUNCTIONS) -> None:
        epochs = np.arange(1, curves.shape[1] + 1)
        kept = np.unique(np.linspace(0, len(epochs) - 1, min(_POINTS, len(epochs))).round().astype(int))
        self.curves, self.x = curves[:, kept], epochs[kept].astype(np.float64)
        self.end = np.array([1.0, float(final_epoch)])
        self.functions = [function for function in functions if function.size <= len(kept)]
        k = len(self.functions)
        self.places = [slice(0, k)]
        for function in self.functions:
            self.places.append(slice(self.places[-1].stop, self.places[-1].stop + function.size))
        self.low = np.concatenate([np.zeros(k), *(f.low for f in self.functions), [_LOG_NOISE[0]]])
        self.high = np.concatenate([np.ones(k), *(f.high for f in self.functions), [_LOG_NOISE[1]]])

    def values(self, states: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the mixtures of states `(..., d)` at epochs `(t,)`, `(..., t)`."""
        total = np.zeros((*states.shape[:-1], len(x)))
        for k, function in enumerate(self.functions):
            total += states[..., k, None] * function.value(states[..., self.places[k + 1]], x)
        return total

    def log_posterior(self, states: np.ndarray) -> np.ndarray:
        """Return the log posterior, up to a constant, of states `(n, w, d)`, `(n, w)`."""
        inside = ((states >= self.low) & (states <= self.high)).all(-1)
        safe = np.clip(states, self.low, self.high)
        first, last = np.moveaxis(self.values(safe, self.end), -1, 0)
        squared = np.square(self.curves[:, None] - self.values(safe, self.x)).sum(-1)
        log_noise = safe[..., -1]
        likelihood = -len(self.x) * log_noise - squared / (2 * np.exp(2 * log_noise))
        return np.where(inside & (last > first) & (last <= 1), likelihood, _FORBIDDEN)

    def start(self, walkers: int, rng: np.random.Generator) -> np.ndarray:
        """Return walkers `(n, walkers, d)` around the least-squares fits, each family with weight 1 / k.

        Walkers that the prior forbids are moved towards a flat curve until it allows them.
        """
        fits = [fit_function(function, self.curves, self.x) for function in self.functions]
        n, k = len(self.curves), len(self.functions)
        middle = np.concatenate([np.full((n, k), 1 / k), *fits, np.zeros((n, 1))], axis=1)
        misfit = np.square(self.curves - self.values(middle, self.x)).mean(1)
        middle[:, -1] = np.clip(0.5 * np.log(misfit), _LOG_NOISE[0] + 1, _LOG_NOISE[1] - 0.1)
        noise = rng.normal(size=(n, walkers, middle.shape[1])) * (0.02 * np.abs(middle[:, None]) + 1e-3)
        states = np.clip(middle[:, None] + noise, self.low, self.high)
        for _ in range(60):
            first, last = np.moveaxis(self.values(states, self.end), -1, 0)
            over, falling = last > 1, last <= first
            if not (over | falling).any():
                break
            states[..., :k] *= np.where(over, 0.97, 1.0)[..., None]
            redrawn = middle[:, None] + rng.normal(size=states.shape) * (0.02 * np.abs(middle[:, None]) + 1e-3)
            states = np.where(falling[..., None], np.clip(redrawn, self.low, self.high), states)
        return states


def sample_ends(
    curves: np.ndarray,
    final_epoch: int,
    *,
    walkers: int = 100,
    burn_in: int = 200,
    steps: int = 200,
    seed: int = 0,
    functions: Sequence[CurveFunction] = FUNCTIONS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the posterior of curves at an epoch to come, `(n,)` each.

    Of a constant curve, as that of a network that does not learn, of fewer than 2 values, and at an epoch that was
    seen, the last value is the answer. The noise of one value is part of the standard deviation.

    Args:
        curves: `(n, t)` values on a scale of [0, 1], larger being better, from epoch 1.
        final_epoch: The epoch that is asked for.
        walkers: Chains per curve, even.
        burn_in: Steps that are thrown away.
        steps: Steps that are kept.
        seed: Of the walkers.
        functions: The families.
    """
    n, epochs = curves.shape
    mean, std = curves[:, -1].copy(), np.zeros(n)
    if final_epoch <= epochs:
        return mean, std
    std += curves.std(1) if epochs > 1 else 0.5
    moving = np.flatnonzero(np.ptp(curves, axis=1) > 1e-6) if epochs > 1 else np.zeros(0, dtype=np.int64)
    for place in moving:  # each curve has its own generator: it does not matter what else is asked for
        rng = np.random.default_rng([seed, *np.frombuffer(curves[place].tobytes(), dtype=np.uint32).tolist()])
        mixture = CurveMixture(curves[place : place + 1], final_epoch, functions)
        states = mixture.start(walkers, rng)
        densities = mixture.log_posterior(states)
        ends, variances = [], []
        for step in range(burn_in + steps):
            states, densities = stretch(mixture.log_posterior, states, densities, rng)
            if step >= burn_in:
                allowed = states[densities > _FORBIDDEN]
                ends.append(mixture.values(allowed, mixture.end[1:])[..., 0])
                variances.append(np.exp(2 * allowed[..., -1]))
        drawn, noise = np.concatenate(ends), np.concatenate(variances)
        if len(drawn):  # else nothing that the prior allows is near: a curve that falls
            mean[place], std[place] = drawn.mean(), np.sqrt(drawn.var() + noise.mean())
    return mean, std
