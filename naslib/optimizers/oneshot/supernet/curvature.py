"""The curvature of the validation loss in the architecture parameters, and the stopping rule that watches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import OptimizerStateError
from naslib.utils.distributed import mean_over_ranks_


def hessian(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return the symmetric matrix of second derivatives, row by row through a second backward.

    Args:
        loss: A scalar whose graph can be differentiated twice.
        parameters: Tensors it depends on; one that it does not depend on has zero rows and columns.

    Returns:
        `(n, n)` for n entries of all parameters together, in their order.

    Raises:
        OptimizerStateError: If something in the graph can be differentiated once only.
    """
    inputs = list(parameters)
    found = torch.autograd.grad(loss, inputs, create_graph=True, allow_unused=True)
    gradient = _flat(found, inputs)
    if not is_differentiable(gradient):
        raise OptimizerStateError(
            "the loss cannot be differentiated twice: something in the network, or in the relaxation of its decisions, "
            "has a backward that is differentiable once only (`once_differentiable`)"
        )
    rows = []
    for entry in gradient.unbind():
        if not entry.requires_grad:  # the loss is linear in everything
            rows.append(torch.zeros_like(gradient))
            continue
        row = torch.autograd.grad(entry, inputs, retain_graph=True, allow_unused=True)
        rows.append(_flat(row, inputs).detach())
    matrix = torch.stack(rows).detach()
    mean_over_ranks_([matrix])
    return (matrix + matrix.T) / 2  # the rows agree to rounding only


def is_differentiable(gradient: Tensor) -> bool:
    """Say whether a gradient can be differentiated in turn: nothing that it came through is `once_differentiable`.

    Of any shape.

    `torch.autograd.grad` does not say so: it goes round what leads nowhere, and what is missing counts as zero.

    Args:
        gradient: Of `torch.autograd.grad(..., create_graph=True)`.
    """
    seen: set[Any] = set()
    ahead = [gradient.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            return False
        seen.add(node)
        ahead += [following for following, _ in node.next_functions]
    return True


def _flat(gradients: Sequence[Tensor | None], inputs: Sequence[Tensor]) -> Tensor:
    zero = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, inputs, strict=True)]
    return torch.cat([g.reshape(-1) for g in zero])


def dominant_eigenvalue(matrix: Tensor) -> float:
    """Return the largest eigenvalue of a symmetric matrix, its sign counted (not the largest in absolute value).

    The matrix is `(n, n)`.
    """
    return float(torch.linalg.eigvalsh(matrix.double())[-1])


def smoothed(values: Sequence[float], index: int, window: int) -> float | None:
    """Return the mean of the `window` values centred at `index`; fewer of them at the start, None at the end.

    Args:
        values: One per measurement.
        index: Where the window is centred.
        window: Its odd length.
    """
    half = window // 2
    if index + half >= len(values):
        return None
    inside = values[max(0, index - half) : index + half + 1]
    return sum(inside) / len(inside)


def stop_index(
    eigenvalues: Sequence[float],
    epochs: Sequence[int],
    *,
    window: int = 5,
    lag: int = 4,
    factor: float = 1.3,
    start_epoch: int = 10,
) -> int | None:
    """Return the measurement to which a search goes back, or None if it goes on ([Zela2020robustdarts] and code).

    The first time that the smoothed eigenvalue exceeds `factor` times that of `lag` measurements before, the search
    ends with the architecture of that earlier measurement. Values are compared with their signs: an earlier mean that
    is not positive never stops a search.

    Args:
        eigenvalues: Dominant eigenvalue per measurement.
        epochs: The epoch of each measurement.
        window: Length of the window that smooths; odd.
        lag: Number of measurements between the two points compared.
        factor: Ratio that must be exceeded.
        start_epoch: First epoch that may be gone back to.
    """
    for index in range(lag, len(eigenvalues)):
        now, before = smoothed(eigenvalues, index, window), smoothed(eigenvalues, index - lag, window)
        if now is None or before is None:
            return None
        if epochs[index - lag] >= start_epoch and before > 0 and now > factor * before:
            return index - lag
    return None
