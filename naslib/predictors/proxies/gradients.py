"""Proxies of the gradients of the loss: grad_norm, plain, snip, grasp, fisher, zico."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from naslib.errors import PredictorError

from .subject import LAYERS, Subject


def grad_norm(subject: Subject) -> float:
    """Return `sum_l ||dL/dw_l||_2` over the weights ([Abdelfattah2021zerocost], Sec. 3.2)."""
    return sum(float(grad.double().norm()) for grad in subject.gradients(subject.loss()).values())


def plain(subject: Subject) -> float:
    """Return `sum_w dL/dw * w`, the saliency with its sign ([Abdelfattah2021zerocost], code)."""
    return _saliency(subject, absolute=False)


def snip(subject: Subject) -> float:
    """Return `sum_w |dL/dw * w|` ([Lee2019snip], Eq. 4, summed over the network in [Abdelfattah2021zerocost])."""
    return _saliency(subject, absolute=True)


def _saliency(subject: Subject, absolute: bool) -> float:
    weights = subject.weights()
    products = [weights[name].detach() * grad for name, grad in subject.gradients(subject.loss()).items()]
    return sum(float((product.abs() if absolute else product).double().sum()) for product in products)


def grasp(subject: Subject, *, temperature: float = 1.0) -> float:
    """Return `-sum_w w * (H g)` with gradient g and Hessian H of the loss ([Wang2020grasp], Eq. 8).

    Layers whose backward cannot be differentiated are an error of torch.

    Args:
        subject: The network and its batch.
        temperature: What the outputs are divided by: 200 in the paper, 1 in the code for proxies
            ([Abdelfattah2021zerocost]).
    """
    batch = subject.batches[0]

    def loss() -> Tensor:
        return subject.task.loss(subject.outputs() / temperature, batch)

    fixed = subject.gradients(loss())
    moving = subject.gradients(loss(), graph=True)
    product = torch.stack([(fixed[name].detach() * grad).sum() for name, grad in moving.items()]).sum()
    weights = subject.weights()
    hessian = subject.gradients(product)
    return -sum(float((weights[name].detach() * grad).double().sum()) for name, grad in hessian.items())


def fisher(subject: Subject, *, per: Literal["weight", "channel"] = "weight") -> float:
    """Return the Fisher saliency of all channels that convolutions and linear layers put out.

    `D_c = 1/(2 N) sum_n (sum_ij a_nij g_nij)^2` with activations a and gradients g ([Turner2020blockswap], Eq. 3); the
    channels of a linear layer on `(n, ..., channels)` are its last dimension.

    Args:
        subject: The network and its batch.
        per: `"channel"` adds up the channels, as the papers say. The authors' code for proxies
            ([Abdelfattah2021zerocost]) gives the value of a channel to each of its weights and adds up these:
            `"weight"`, the default.

    Raises:
        PredictorError: If there is no such layer, or `per` is neither.
    """
    if per not in ("weight", "channel"):
        raise PredictorError(f"fisher: per is 'weight' or 'channel', not {per!r}")
    calls: list[tuple[Any, Tensor]] = []

    def see(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        calls.append((module, output))
        return output.clone()  # what works in place afterwards leaves the recorded activations alone

    layers = [module for module in subject.network.modules() if isinstance(module, LAYERS)]
    if not layers:
        raise PredictorError("fisher reads convolutions and linear layers, and the network has none")
    subject.watch(layers, see)
    loss = subject.loss()
    subject.unwatch()
    acts = [output for _, output in calls if output.requires_grad]
    grads = torch.autograd.grad(loss, acts, allow_unused=True) if acts and loss.requires_grad else [None] * len(acts)
    by_act = dict(zip(map(id, acts), grads, strict=True))
    total = 0.0
    for layer, act in calls:
        grad = by_act.get(id(act))
        if grad is None:
            continue
        product = (act.detach() * grad).double()
        spatial = range(1, act.dim() - 1) if isinstance(layer, nn.Linear) else range(2, act.dim())
        by_channel = product.sum(dim=list(spatial)) if len(spatial) else product
        value = float(by_channel.pow(2).mean(0).mul(0.5).sum())
        total += value * (layer.weight.numel() / by_channel.shape[1] if per == "weight" else 1)
    return total


def zico(subject: Subject) -> float:
    """Return `sum_l log sum_w (mean_b |g_w| / std_b g_w)` over two or more batches ([Li2023zico], Eq. 19 and code).

    Give it a list of batches; one batch alone is split in halves. Mean and standard deviation (of the population) are
    over the gradients of the batches. Weights whose standard deviation is 0, and layers that have no others, do not
    count.

    Raises:
        PredictorError: If a batch alone has fewer than four inputs, or no weight has gradients that vary.
    """
    batches = list(subject.batches)
    if len(batches) == 1:
        inputs, targets = subject.inputs(), subject.targets()
        half = len(inputs) // 2
        if half < 2:
            raise PredictorError("zico needs two batches, or one of at least four inputs, which it splits in halves")
        batches = [(inputs[:half], targets[:half]), (inputs[half:], targets[half:])]
    grads = [subject.gradients(subject.loss(batch)) for batch in batches]
    total, counted = 0.0, 0
    for name in subject.weights():
        layer = torch.stack([grad[name].detach().double().flatten() for grad in grads])
        spread = layer.std(dim=0, unbiased=False)
        ratio = (layer.abs().mean(dim=0) / spread)[spread > 0]
        if len(ratio):
            total, counted = total + math.log(float(ratio.sum())), counted + 1
    if not counted:
        raise PredictorError("zico: no weight has a gradient that differs between the batches")
    return total
