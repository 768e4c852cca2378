"""Proxies of the gradients of single outputs: the condition number of the tangent kernel, the Fisher spectrum."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from naslib.errors import PredictorError

from .initialise import initialise
from .subject import Subject

_DECILES = np.arange(1, 10) / 10


def ntk(subject: Subject, *, parameters: Literal["weight", "all"] = "weight") -> float:
    """Return the condition number of the neural tangent kernel; smaller is better ([Chen2021tenas], Eq. 2 and code).

    `K_ij = <J_i, J_j>`, J_i the gradient of the sum of the outputs of input i, batch norm by the batch.

    Args:
        subject: The network and its batch.
        parameters: Whether the gradient is by the parameters whose names hold `weight`, as in the authors' code (those
            of norms are among them), or by all.

    Raises:
        PredictorError: If the kernel is singular within rounding, so that there is no such number. So it is by weights
            alone where features end in batch norm, whose mean over the batch is zero.
    """
    if parameters not in ("weight", "all"):
        raise PredictorError(f"ntk: parameters are 'weight' or 'all', not {parameters!r}")
    named = subject.network.named_parameters()
    chosen = [p for name, p in named if p.requires_grad and (parameters == "all" or "weight" in name)]
    outputs = subject.outputs()
    if not chosen or not outputs.requires_grad:
        raise PredictorError("ntk: the outputs of this network depend on no weights that are trained")
    rows = [_flat(outputs[i].sum(), chosen) for i in range(len(outputs))]
    jacobian = torch.stack(rows)
    kernel = (jacobian @ jacobian.T).double().cpu().numpy()
    eigenvalues = np.linalg.eigvalsh(kernel)
    noise = len(outputs) * torch.finfo(jacobian.dtype).eps * eigenvalues[-1]
    if eigenvalues[0] <= noise:
        hint = "; parameters='all' has the biases too" if parameters == "weight" else ""
        raise PredictorError(
            f"ntk: the kernel of {len(outputs)} inputs is singular as far as its numbers tell (eigenvalues from "
            f"{eigenvalues[0]:.3g} to {eigenvalues[-1]:.3g}): its condition number is infinite{hint}"
        )
    return float(eigenvalues[-1] / eigenvalues[0])


def vkdnw(
    subject: Subject,
    *,
    init: Literal["kaiming", "as_is"] = "kaiming",
    smoothing: float = 0.05,
    layers: bool = True,
) -> float:
    """Return the entropy of the deciles of the Fisher spectrum, plus the number of parameter tensors.

    `F = 1/N sum_n J_n^T (diag p_n - p_n p_n^T) J_n` by the first entry of each parameter tensor, J the Jacobian of the
    logits, p the softmax, batch norm in evaluation mode. With the deciles `d_1 .. d_9` of its eigenvalues and
    `q_k = d_k / sum d`, the entropy is `-sum_k q_k log q_k` ([Tybl2025vkdnw], Eq. 9-11 and code). It takes one backward
    for each input and class.

    Args:
        subject: The network and its batch, of which the inputs count.
        init: Whether the weights are drawn anew (Kaiming normal by fan-in), as in the authors' code.
        smoothing: Share of the uniform distribution in p, as in the authors' code; 0 as in the paper.
        layers: Whether the number of parameter tensors is added, which orders networks by depth first.

    Raises:
        PredictorError: If the outputs are no logits `(n, classes)`, the spectrum is zero, or an argument is unknown.
    """
    if init not in ("kaiming", "as_is") or not 0 <= smoothing < 1:
        raise PredictorError(f"vkdnw: init 'kaiming' or 'as_is' and 0 <= smoothing < 1, not {init!r}, {smoothing}")
    if init == "kaiming":
        initialise(subject, kaiming=True)
    for norm in subject.norms():
        norm.eval()
    tensors = [p for p in subject.network.parameters() if p.requires_grad]
    inputs = subject.inputs()
    information = np.zeros((len(tensors), len(tensors)))
    for row in inputs.split(1):
        outputs = subject.outputs(row)
        if outputs.dim() != 2 or outputs.shape[1] < 2:
            raise PredictorError(
                f"vkdnw takes the logits of a classification, (n, classes), not {tuple(outputs.shape)}"
            )
        jacobian = np.stack([_first_entries(logit, tensors) for logit in outputs[0]])
        p = torch.softmax(outputs[0].detach().double(), dim=0).cpu().numpy()
        p = p * (1 - smoothing) + smoothing / len(p)
        information += jacobian.T @ (np.diag(p) - np.outer(p, p)) @ jacobian / len(inputs)
    deciles = np.quantile(np.maximum(np.linalg.eigvalsh(information), 0.0), _DECILES)
    if not np.isfinite(deciles).all() or deciles.sum() <= 0:
        raise PredictorError("vkdnw: nine tenths of the Fisher spectrum of this network are zero, or it is not finite")
    share = deciles / deciles.sum()
    entropy = float(-np.sum(share * np.log(np.where(share > 0, share, 1.0))))
    return entropy + (len(tensors) if layers else 0)


def _flat(scalar: Tensor, parameters: list[torch.nn.Parameter]) -> Tensor:
    """Return the gradient of a scalar by parameters, one row; zeros where it does not depend on them."""
    grads = torch.autograd.grad(scalar, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(parameters, grads, strict=True)
    return torch.cat([(torch.zeros_like(p) if grad is None else grad).flatten() for p, grad in pairs])


def _first_entries(scalar: Tensor, parameters: list[torch.nn.Parameter]) -> np.ndarray:
    """Return the gradient of a scalar by the first entry of each parameter, `(tensors,)` float64."""
    if not scalar.requires_grad:
        return np.zeros(len(parameters))
    grads = torch.autograd.grad(scalar, parameters, retain_graph=True, allow_unused=True)
    firsts = [0.0 if grad is None else float(grad.reshape(-1)[0]) for grad in grads]
    return np.asarray(firsts)
