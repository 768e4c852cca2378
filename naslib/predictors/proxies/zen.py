"""Zen-score: how much the features of a network change with its inputs."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from naslib.errors import PredictorError

from .initialise import initialise
from .subject import Subject


def zen(
    subject: Subject,
    *,
    repeats: int = 1,
    gamma: float = 1e-2,
    statistics: Literal["running", "batch"] = "running",
) -> float:
    """Return `log E|f(x) - f(x + gamma e)| + sum_l log s_l` ([Lin2021zennas], Algorithm 1).

    x and e are standard normal in the shape of the batch, f the features before the global pool at weights drawn from
    N(0, 1), `|.|` the sum of absolute differences of an input, averaged over inputs, and s_l the root of the mean
    variance of the l-th batch norm.

    Args:
        subject: The network and its batch, of which only the shape counts.
        repeats: How many times weights and inputs are drawn; the mean is returned (32 in the paper).
        gamma: Size of the perturbation.
        statistics: Whether s_l are of the running variances after both forwards, as in the authors' code, or of the
            last batch, as in the paper.

    Raises:
        PredictorError: If the inputs are tokens, the features do not depend on them, an argument is none of these, or a
            norm keeps no running statistics where they are asked for.
    """
    if repeats < 1 or statistics not in ("running", "batch"):
        raise PredictorError(f"zen: repeats >= 1 and statistics 'running' or 'batch', not {repeats}, {statistics!r}")
    like = subject.inputs()
    if not like.is_floating_point():
        raise PredictorError("zen perturbs the inputs, and tokens cannot be perturbed")
    with torch.no_grad():
        return sum(_once(subject, like, gamma, statistics) for _ in range(repeats)) / repeats


def _running(norm: nn.Module) -> Tensor:
    variance: Tensor | None = getattr(norm, "running_var", None)
    if variance is None:
        raise PredictorError("zen: a norm of this network keeps no running statistics; take statistics='batch'")
    return variance


def _once(subject: Subject, like: Tensor, gamma: float, statistics: str) -> float:
    initialise(subject, kaiming=False)
    norms = subject.norms()
    variances: dict[int, Tensor] = {}
    x = subject.noise(like)
    moved = x + gamma * subject.noise(like)
    first = subject.features(x)
    if statistics == "batch":

        def see(norm: nn.Module, given: Any) -> None:
            variances[id(norm)] = given[0].transpose(0, 1).flatten(1).var(dim=1)

        subject.watch(norms, see, before=True)
    change = float((first - subject.features(moved)).flatten(1).abs().sum(dim=1).double().mean())
    if change <= 0:
        raise PredictorError("zen: the features of this network do not depend on its inputs")
    if statistics == "running":
        variances = {id(norm): _running(norm) for norm in norms}
    return math.log(change) + sum(0.5 * math.log(float(variance.double().mean())) for variance in variances.values())
