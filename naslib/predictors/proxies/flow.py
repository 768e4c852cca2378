"""Proxies of what flows through a network whose weights are all positive: synflow, logsynflow."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from naslib.errors import PredictorError

from .subject import Subject


def synflow(subject: Subject, *, batch_norm: bool = False) -> float:
    """Return `sum_w |dR/dw * w|`, R the sum of the outputs at |w| and an input of ones ([Tanaka2020synflow], Eq. 2).

    In float64, without the targets. All parameters and statistics are replaced by their absolute values, and batch norm
    by the identity ([Abdelfattah2021zerocost], code). A network on tokens reads the first row of the batch.

    Args:
        subject: The network and its batch, of which only the shape of an input counts.
        batch_norm: Whether batch norm stays, in evaluation mode.

    Raises:
        PredictorError: If the sum is beyond what a double holds.
    """
    return _flow(subject, batch_norm, lambda grad: grad)


def logsynflow(subject: Subject, *, batch_norm: bool = False) -> float:
    """Return `sum_w |w| * log(dR/dw + 1)`: `synflow` with gradients on a logarithmic scale ([Cavagnero2023freerea]).

    Args:
        subject: The network and its batch, of which only the shape of an input counts.
        batch_norm: Whether batch norm stays, in evaluation mode.

    Raises:
        PredictorError: If the sum is beyond what a double holds.
    """
    return _flow(subject, batch_norm, torch.log1p)


def _flow(subject: Subject, batch_norm: bool, rescale: Any) -> float:
    network = subject.network
    network.double()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.abs_()
    norms = subject.norms()
    for norm in norms:
        norm.eval()
    if not batch_norm:
        subject.watch(norms, lambda _, given, output: given[0])
    inputs = subject.inputs()[:1]
    if inputs.is_floating_point():
        inputs = torch.ones_like(inputs, dtype=torch.float64)
    flowing = subject.outputs(inputs).sum()
    grads: dict[str, Tensor] = subject.gradients(flowing)
    weights = subject.weights()
    value = sum(float((weights[name].detach() * rescale(grad.abs())).sum()) for name, grad in grads.items())
    if not math.isfinite(value):
        raise PredictorError(f"the flow through this network is {value} in float64: it is too deep or too wide")
    return value
