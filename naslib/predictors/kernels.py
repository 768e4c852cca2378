"""Kernels, and Gaussian processes with them in float64: exact, and by inducing points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

JITTER = 1e-8
# Bounds of the logarithms of scale, length and noise, on values of variance 1 and distances relative to the median
_BOUNDS = {"scale": (-6.0, 6.0), "length": (-3.0, 4.0), "noise": (-12.0, 1.0)}
Kernel = Callable[[torch.Tensor], torch.Tensor]


def rbf(distance: torch.Tensor) -> torch.Tensor:
    """Return `exp(-r^2 / 2)` of distances `(n, m)`."""
    return torch.exp(-0.5 * distance.square())


def matern32(distance: torch.Tensor) -> torch.Tensor:
    """Return the Matern kernel of smoothness 3/2, `(1 + sqrt(3) r) exp(-sqrt(3) r)`, of `(n, m)`."""
    r = math.sqrt(3) * distance
    return (1 + r) * torch.exp(-r)


def matern52(distance: torch.Tensor) -> torch.Tensor:
    """Return the Matern kernel of smoothness 5/2, `(1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)`, `(n, m)`."""
    r = math.sqrt(5) * distance
    return (1 + r + r.square() / 3) * torch.exp(-r)


KERNELS: dict[str, Kernel] = {"rbf": rbf, "matern32": matern32, "matern52": matern52}


def distances(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return Euclidean distances, `(n, m)`, of `(n, d)` and `(m, d)`."""
    squares = first.square().sum(1)[:, None] + second.square().sum(1)[None] - 2 * first @ second.T
    return squares.clamp_min(1e-24).sqrt()  # the root of zero has no derivative


def cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """Return the Cholesky factor of a symmetric `(n, n)`, with as little added to its diagonal as makes it one."""
    scale = float(matrix.detach().diagonal().mean())
    for power in range(7):
        added = JITTER * 10**power * scale * torch.eye(len(matrix), dtype=matrix.dtype)
        factor, problem = torch.linalg.cholesky_ex(matrix + added)
        if not int(problem):
            return factor
    raise torch.linalg.LinAlgError("the covariance of the Gaussian process is not positive definite")


def solved(factor: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return `L^-1 right`, `(n, m)`, of a lower triangular factor `(n, n)` and `(n, m)`."""
    return torch.linalg.solve_triangular(factor, right, upper=False)


def log_density(covariance: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the log density of values `(n,)` under a normal law of mean 0 ([Rasmussen2006gaussian], eq. 2.30)."""
    factor = cholesky(covariance)
    white = solved(factor, values[:, None])[:, 0]
    return -0.5 * white @ white - factor.diagonal().log().sum() - 0.5 * len(values) * math.log(2 * math.pi)


def posterior(
    own: torch.Tensor, across: torch.Tensor, own_new: torch.Tensor, noise: torch.Tensor | float, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance of the function at m new points ([Rasmussen2006gaussian], eq. 2.25 and 2.26).

    Args:
        own: Kernel of the n known points, `(n, n)`.
        across: Kernel of new and known points, `(m, n)`.
        own_new: Kernel of each new point with itself, `(m,)`.
        noise: Variance of the noise.
        values: `(n,)`.
    """
    factor = cholesky(own + noise * torch.eye(len(own), dtype=own.dtype))
    half = solved(factor, across.T)  # (n, m)
    mean = half.T @ solved(factor, values[:, None])[:, 0]
    return mean, (own_new - half.square().sum(0)).clamp_min(0)


def log_bound(
    own: torch.Tensor,
    across: torch.Tensor,
    inducing: torch.Tensor,
    noise: torch.Tensor,
    values: torch.Tensor,
    vfe: bool,
) -> torch.Tensor:
    """Return what an approximation by inducing points is fitted by.

    The covariance of values is `Q + Lambda`, `Q = K_fu K_uu^-1 K_uf`. FITC ([Snelson2006sparse]) has `Lambda =
    diag(K_ff - Q) + noise`; its log density is returned. The variational method ([Titsias2009variational], eq. 9) has
    `Lambda = noise`, and a bound of the log density of the exact process, less by `tr(K_ff - Q) / (2 noise)`.

    Args:
        own: Diagonal of `K_ff`, `(n,)`.
        across: `K_uf`, `(m, n)`.
        inducing: `K_uu`, `(m, m)`.
        noise: Variance of the noise.
        values: `(n,)`.
        vfe: Whether it is the variational bound.
    """
    half = solved(cholesky(inducing), across)  # Q = half^T half
    left = (own - half.square().sum(0)).clamp_min(0)
    diagonal = noise.expand(len(values)) if vfe else noise + left
    factor = cholesky(torch.eye(len(half), dtype=half.dtype) + (half / diagonal) @ half.T)
    white = solved(factor, (half / diagonal) @ values[:, None])[:, 0]
    quadratic = (values.square() / diagonal).sum() - white @ white
    logdet = diagonal.log().sum() + 2 * factor.diagonal().log().sum()
    found = -0.5 * (quadratic + logdet + len(values) * math.log(2 * math.pi))
    return found - left.sum() / (2 * noise) if vfe else found


def sparse_posterior(
    own: torch.Tensor,
    across: torch.Tensor,
    inducing: torch.Tensor,
    noise: torch.Tensor,
    values: torch.Tensor,
    vfe: bool,
    new: torch.Tensor,
    own_new: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance of the function at k new points, given those of `log_bound`.

    Args:
        own: See `log_bound`.
        across: Likewise.
        inducing: Likewise.
        noise: Likewise.
        values: Likewise.
        vfe: Likewise.
        new: Kernel of inducing and new points, `(m, k)`.
        own_new: Kernel of each new point with itself, `(k,)`.
    """
    factor_uu = cholesky(inducing)
    half, half_new = solved(factor_uu, across), solved(factor_uu, new)
    diagonal = noise.expand(len(values)) if vfe else noise + (own - half.square().sum(0)).clamp_min(0)
    factor = cholesky(torch.eye(len(half), dtype=half.dtype) + (half / diagonal) @ half.T)
    white = solved(factor, (half / diagonal) @ values[:, None])[:, 0]
    onto = solved(factor, half_new)
    return onto.T @ white, (own_new - half_new.square().sum(0) + onto.square().sum(0)).clamp_min(0)


def maximized(
    objective: Callable[[torch.Tensor], torch.Tensor], starts: Sequence[Sequence[float]], names: Sequence[str]
) -> tuple[np.ndarray, float]:
    """Return the parameters, `(p,)` float64 in their bounds, with the largest objective, and that, from several starts.

    Args:
        objective: A differentiable function of the parameters.
        starts: Where L-BFGS begins.
        names: What the parameters are: `scale`, `length` or `noise`, logarithms.
    """
    from scipy.optimize import minimize

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        value = -objective(parameters)
        value.backward()
        gradient = parameters.grad.numpy() if parameters.grad is not None else np.zeros_like(x)
        return float(value.detach()), np.asarray(gradient, dtype=np.float64)

    bounds = [_BOUNDS[name] for name in names]
    found = [minimize(negative, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(found, key=lambda result: float(result.fun))
    return best.x, -float(best.fun)
