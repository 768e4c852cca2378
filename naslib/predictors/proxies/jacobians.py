"""Proxies of how differently a network responds to the inputs of a batch: jacov, epe_nas."""

from __future__ import annotations

import numpy as np
import torch

from naslib.errors import PredictorError

from .subject import Subject

_K = 1e-5
_MANY = 100


def jacov(subject: Subject) -> float:
    """Return `-sum_i log(s_i + k) + 1 / (s_i + k)`, s the eigenvalues of the correlations of Jacobians, k = 1e-5.

    The Jacobian of an input is that of the sum of the network's outputs ([Mellor2021naswot], first version, and code).

    Raises:
        PredictorError: For inputs that are tokens, or if an input has no influence, so that it correlates with nothing.
    """
    eigenvalues = np.linalg.eigvalsh(_correlations(_jacobian(subject, "jacov"), "jacov"))
    shifted = np.maximum(eigenvalues, 0.0) + _K
    return float(-np.sum(np.log(shifted) + 1.0 / shifted))


def epe_nas(subject: Subject) -> float:
    """Return how much the Jacobians within each class differ in their correlation ([Lopes2021epenas], Eq. 4-6, code).

    With `s_c = sum_ij log(|corr_ij| + 1e-5)` over the inputs of class c: `sum_c |s_c|` for networks of up to 100
    outputs; beyond, s_c is divided by the inputs of the class, and `sum_cd |s_c - s_d|` by the number of classes.

    Raises:
        PredictorError: If the task has no classes, the inputs are tokens, or an input has no influence.
    """
    targets = subject.class_targets("epe_nas").cpu().numpy()
    jacobian = _jacobian(subject, "epe_nas")
    with torch.no_grad():
        n_outputs = subject.outputs().shape[-1]
    scores = []
    for label in np.unique(targets):
        correlations = _correlations(jacobian[targets == label], "epe_nas")
        score = float(np.log(np.abs(correlations) + _K).sum())
        scores.append(score / len(correlations) if n_outputs > _MANY else score)
    found = np.asarray(scores)
    if n_outputs <= _MANY:
        return float(np.abs(found).sum())
    return float(np.abs(found[:, None] - found[None, :]).sum() / len(found))


def _jacobian(subject: Subject, proxy: str) -> np.ndarray:
    """Return the gradient of the sum of the outputs by the inputs, `(n, numbers of an input)` float64."""
    inputs = subject.differentiable_inputs(proxy)
    outputs = subject.outputs(inputs)
    grad = None
    if outputs.requires_grad:
        (grad,) = torch.autograd.grad(outputs.sum(), inputs, allow_unused=True)
    if grad is None:
        raise PredictorError(f"{proxy}: the outputs of this network do not depend on its inputs")
    found: np.ndarray = grad.flatten(1).double().cpu().numpy()
    return found


def _correlations(rows: np.ndarray, proxy: str) -> np.ndarray:
    """Return the correlations of rows, `(n, n)`."""
    flat = np.flatnonzero(rows.std(axis=1) == 0)
    if len(flat):
        raise PredictorError(
            f"{proxy}: {len(flat)} of {len(rows)} inputs have a constant Jacobian (no influence on the outputs), whose "
            "correlation is not defined"
        )
    return np.atleast_2d(np.corrcoef(rows))
