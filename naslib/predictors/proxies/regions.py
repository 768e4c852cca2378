"""Proxies of which units are active: nwot, linear_regions, swap."""

from __future__ import annotations

import math

import numpy as np
import torch

from naslib.errors import PredictorError

from .subject import Subject


def nwot(subject: Subject) -> float:
    """Return `log |det K|`, `K_ij` the number of units at which the inputs i and j agree ([Mellor2021naswot], Eq. 2).

    `K = sum_l c_l c_l^T + (1 - c_l)(1 - c_l)^T` over the rectifiers l, c 1 where a unit is active.

    Raises:
        PredictorError: If two inputs activate the same units, so that K is singular, or there are no activations.
    """
    signs = subject.signs("nwot")
    kernel = np.zeros((len(signs[0]), len(signs[0])))
    for layer in signs:
        code = layer.float()
        kernel += (code @ code.T + (1 - code) @ (1 - code).T).double().cpu().numpy()
    sign, value = np.linalg.slogdet(kernel)
    if sign <= 0 or not math.isfinite(value):
        raise PredictorError("nwot: two inputs activate exactly the same units, so that K has no determinant")
    return float(value)


def linear_regions(subject: Subject, *, samples: int | None = None) -> float:
    """Return how many linear regions a sample of inputs falls into: the number of distinct patterns of active units.

    It is at most the number of inputs, which all but the smallest networks reach on images: [Chen2021tenas]
    (Sec. 3.2.2) counts on narrow networks and tiny inputs.

    Args:
        subject: The network and its batch.
        samples: How many standard normal inputs of the batch's shape are drawn, as in the authors' code; the inputs of
            the batch if None.

    Raises:
        PredictorError: If there are no activations, or no samples.
    """
    if samples is None:
        return float(len(np.unique(_pattern(subject, None), axis=0)))
    if samples < 1:
        raise PredictorError(f"linear_regions: samples must be at least 1, not {samples}")
    like = subject.inputs()
    if not like.is_floating_point():
        raise PredictorError("linear_regions: tokens cannot be drawn from a normal distribution; leave samples out")
    n = len(like)
    rows = [_pattern(subject, subject.noise(like)) for _ in range(math.ceil(samples / n))]
    return float(len(np.unique(np.concatenate(rows)[:samples], axis=0)))


def _pattern(subject: Subject, inputs: torch.Tensor | None) -> np.ndarray:
    """Return which units are active, packed into bytes, `(n, bytes)` uint8."""
    signs = torch.cat(subject.signs("linear_regions", inputs), dim=1)
    return np.packbits(signs.cpu().numpy(), axis=1)


def swap(subject: Subject, *, mu: float | None = None, sigma: float | None = None) -> float:
    """Return the number of distinct patterns that units have over the inputs of the batch ([Peng2024swap], Eq. 5).

    The pattern of a unit says at which inputs it is active, so that there can be as many as units.

    Args:
        subject: The network and its batch.
        mu: With `sigma`, the score is multiplied by `exp(-(params - mu)^2 / sigma)` (Eq. 7), the number of parameters
            in millions: it prefers networks of about that size.
        sigma: See `mu`.

    Raises:
        PredictorError: If there are no activations, or only one of mu and sigma is given.
    """
    if (mu is None) != (sigma is None):
        raise PredictorError("swap: mu and sigma go together")
    signs = torch.cat(subject.signs("swap"), dim=1)
    packed = np.ascontiguousarray(np.packbits(signs.T.cpu().numpy(), axis=1))
    patterns = packed.view([("", packed.dtype)] * packed.shape[1]).reshape(-1)
    found = float(len(np.unique(patterns)))
    if mu is None or sigma is None:
        return found
    size = sum(parameter.numel() for parameter in subject.network.parameters()) / 1e6
    return found * math.exp(-((size - mu) ** 2) / sigma)
