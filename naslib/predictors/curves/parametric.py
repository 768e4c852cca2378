"""Eleven increasing functions of the epoch that learning curves are fitted by, and their least squares.

Domhan, Springenberg and Hutter (2015, table 1), [Domhan2015speeding]. Curves are scaled to [0, 1] before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_TINY = 1e-9
_ITERATIONS = 80
Start = Callable[[np.ndarray, np.ndarray], list[np.ndarray]]


class CurveFunction(NamedTuple):
    """One family of curves.

    Attributes:
        name: As in the paper.
        value: `(theta, x)` to the curves: parameters `(..., p)` and epochs `(t,)`, from 1, to `(..., t)`.
        low: Smallest values of the parameters, `(p,)`.
        high: Largest values.
        start: First and last values of curves, `(n,)` each, to parameters where the fit starts, p times `(n,)`.
    """

    name: str
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    low: np.ndarray
    high: np.ndarray
    start: Start

    @property
    def size(self) -> int:
        """Number of parameters p."""
        return len(self.low)


def _columns(theta: np.ndarray) -> list[np.ndarray]:
    return [theta[..., k, None] for k in range(theta.shape[-1])]


def vapor_pressure(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return exp(a + b / x + c log x)."""
    a, b, c = _columns(theta)
    return np.exp(a + b / x + c * np.log(x))


def pow3(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return c - a x^-alpha."""
    c, a, alpha = _columns(theta)
    return c - a * x**-alpha


def log_log_linear(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return log(a log x + b)."""
    a, b = _columns(theta)
    return np.log(np.maximum(a * np.log(x) + b, _TINY))


def hill3(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return y x^eta / (kappa^eta + x^eta)."""
    top, eta, kappa = _columns(theta)
    return top / (1 + (kappa / x) ** eta)


def log_power(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return a / (1 + (x / e^b)^c)."""
    a, b, c = _columns(theta)
    return a / (1 + np.exp(np.clip(c * (np.log(x) - b), -50, 50)))


def pow4(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return c - (a x + b)^-alpha."""
    c, a, b, alpha = _columns(theta)
    return c - (a * x + b) ** -alpha


def mmf(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return alpha - (alpha - beta) / (1 + (kappa x)^delta)."""
    alpha, beta, kappa, delta = _columns(theta)
    return alpha - (alpha - beta) / (1 + (kappa * x) ** delta)


def exp4(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return c - exp(b - a x^alpha)."""
    c, a, b, alpha = _columns(theta)
    return c - np.exp(b - a * x**alpha)


def janoschek(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return alpha - (alpha - beta) exp(-kappa x^delta)."""
    alpha, beta, kappa, delta = _columns(theta)
    return alpha - (alpha - beta) * np.exp(-kappa * x**delta)


def weibull(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return alpha - (alpha - beta) exp(-(kappa x)^delta)."""
    alpha, beta, kappa, delta = _columns(theta)
    return alpha - (alpha - beta) * np.exp(-((kappa * x) ** delta))


def ilog2(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return c - a / log(x + 1)."""
    c, a = _columns(theta)
    return c - a / np.log(x + 1)


def _like(value: float, first: np.ndarray) -> np.ndarray:
    return np.full_like(first, value)


def _top(last: np.ndarray) -> np.ndarray:
    """An asymptote some way above the last value."""
    return np.minimum(last + 0.1 * (1 - last), 0.99)


def _function(
    name: str, value: Callable[..., np.ndarray], bounds: list[tuple[float, float]], s: Start
) -> CurveFunction:
    low, high = np.array(bounds, dtype=np.float64).T
    return CurveFunction(name, value, low, high, s)


FUNCTIONS: tuple[CurveFunction, ...] = (
    _function(
        "vapor_pressure", vapor_pressure, [(-10, 1), (-20, 0), (0, 1)],
        lambda f, t: [np.log(np.maximum(t, 0.01)), np.log(np.maximum(f, 0.01) / np.maximum(t, 0.01)), _like(0.01, f)],
    ),
    _function(
        "pow3", pow3, [(0, 1), (0, 2), (1e-3, 5)],
        lambda f, t: [_top(t), np.maximum(_top(t) - f, 0.01), _like(0.5, f)],
    ),
    _function(
        "log_log_linear", log_log_linear, [(0, 3), (1e-3, 3)],
        lambda f, t: [np.maximum((np.exp(t) - np.exp(f)) / 3, 1e-3), np.exp(f)],
    ),
    _function(
        "hill3", hill3, [(0, 1), (1e-3, 10), (1e-3, 1e3)],
        lambda f, t: [_top(t), _like(0.7, f), np.clip(_top(t) / np.maximum(f, 0.01) - 1, 0.01, 100)],
    ),
    _function(
        "log_power", log_power, [(0, 1), (-15, 15), (-10, -1e-3)],
        lambda f, t: [_top(t), np.log(np.clip(_top(t) / np.maximum(f, 0.01) - 1, 0.01, 100)), _like(-0.7, f)],
    ),
    _function(
        "pow4", pow4, [(0, 1), (1e-4, 1e3), (1e-4, 1e3), (1e-3, 5)],
        lambda f, t: [_top(t), np.maximum(_top(t) - f, 0.02) ** -2 / 2, np.maximum(_top(t) - f, 0.02) ** -2 / 2,
                      _like(0.5, f)],
    ),
    _function(
        "mmf", mmf, [(0, 1), (-0.5, 1), (1e-4, 1e2), (1e-3, 10)],
        lambda f, t: [_top(t), 0.8 * f, _like(0.2, f), _like(1.0, f)],
    ),
    _function(
        "exp4", exp4, [(0, 1), (1e-4, 20), (-10, 15), (1e-3, 3)],
        lambda f, t: [_top(t), _like(0.5, f), np.log(np.maximum(_top(t) - f, 0.01)) + 0.5, _like(0.6, f)],
    ),
    _function(
        "janoschek", janoschek, [(0, 1), (-0.5, 1), (1e-4, 10), (1e-3, 3)],
        lambda f, t: [_top(t), 0.8 * f, _like(0.3, f), _like(0.6, f)],
    ),
    _function(
        "weibull", weibull, [(0, 1), (-0.5, 1), (1e-4, 1e2), (1e-3, 3)],
        lambda f, t: [_top(t), 0.8 * f, _like(0.2, f), _like(0.6, f)],
    ),
    _function(
        "ilog2", ilog2, [(0, 2), (0, 2)],
        lambda f, t: [_top(t), np.maximum(_top(t) - f, 0.01) * np.log(2.0)],
    ),
)  # fmt: skip


def jacobian(function: CurveFunction, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the derivatives of curves by their parameters, by central differences, `(n, t, p)`."""
    parts = []
    for k in range(function.size):
        step = 1e-6 * (np.abs(theta[:, k]) + 1e-2)
        up, down = theta.copy(), theta.copy()
        up[:, k] = np.minimum(up[:, k] + step, function.high[k])
        down[:, k] = np.maximum(down[:, k] - step, function.low[k])
        width = (up[:, k] - down[:, k])[:, None]
        parts.append((function.value(up, x) - function.value(down, x)) / width)
    return np.stack(parts, axis=-1)


def fit_function(function: CurveFunction, curves: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the least-squares parameters within the bounds of n curves at once, `(n, p)`.

    Levenberg-Marquardt, each curve with its own damping, steps clipped to the bounds; 80 iterations.

    Args:
        function: The family.
        curves: `(n, t)` values, scaled to [0, 1].
        x: `(t,)` epochs.
    """
    theta = np.stack(function.start(curves[:, 0], curves[:, -1]), axis=-1)
    theta = np.clip(theta, function.low, function.high)
    damping = np.full(len(curves), 1e-2)
    error = np.square(curves - function.value(theta, x)).sum(1)
    for _ in range(_ITERATIONS):
        slopes = jacobian(function, theta, x)
        gram = np.einsum("ntp,ntq->npq", slopes, slopes)
        gradient = np.einsum("ntp,nt->np", slopes, curves - function.value(theta, x))
        diagonal = np.einsum("npp->np", gram)
        damped = gram + np.einsum("np,pq->npq", damping[:, None] * diagonal + 1e-12, np.eye(function.size))
        moved = theta + np.linalg.solve(damped, gradient[..., None])[..., 0]
        moved = np.clip(moved, function.low, function.high)
        new_error = np.square(curves - function.value(moved, x)).sum(1)
        better = new_error < error
        theta[better], error[better] = moved[better], new_error[better]
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-10, 1e10)
        if not better.any() and (damping > 1e8).all():
            break
    return theta
