"""The two measures of TE-NAS on networks with weights that are just drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, PredictorError

# What stands for a kernel whose condition number is no number, as in the authors' code
SINGULAR = 100_000.0
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU)
_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
_NORMS = nn.modules.batchnorm._BatchNorm


def draw_weights(network: nn.Module, fan: str, seed: int) -> None:
    """Draw the weights of convolutions and linear layers anew, in place; biases become 0, weights of norms 1.

    What is frozen stays.

    Args:
        network: The network.
        fan: `"fan_in"` or `"fan_out"`: by what the variance 2 / fan is.
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if not isinstance(module, (*_LAYERS, _NORMS)):
                continue
            weight, bias = module.weight, module.bias
            if bias is not None and bias.requires_grad:
                bias.zero_()
            if weight is None or not weight.requires_grad:
                continue
            if isinstance(module, _NORMS):
                weight.fill_(1.0)
                continue
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
            scale = math.sqrt(2 / (fan_in if fan == "fan_in" else fan_out))
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)


class Kernels(NamedTuple):
    """Neural tangent kernels of a network, `(n, n)` each.

    Attributes:
        weights: By the parameters whose names hold `weight`, those of norms among them, as in the authors' code.
        all: By all parameters.
    """

    weights: Tensor
    all: Tensor


def tangent_kernels(outputs: Tensor, named: Iterable[tuple[str, nn.Parameter]]) -> Kernels:
    """Return `K_ij = <J_i, J_j>`, J_i the gradient of the sum of the outputs of input i ([Chen2021tenas], Eq. 2).

    Args:
        outputs: `(n, ...)`.
        named: Parameters by name.
    """
    chosen = [(name, parameter) for name, parameter in named if parameter.requires_grad]
    parameters = [parameter for _, parameter in chosen]
    rows = []
    for index in range(len(outputs)):
        found = torch.autograd.grad(outputs[index].sum(), parameters, retain_graph=True, allow_unused=True)
        pairs = zip(parameters, found, strict=True)
        rows.append([(torch.zeros_like(p) if gradient is None else gradient).flatten() for p, gradient in pairs])
    kernels = [torch.zeros(len(rows), len(rows), dtype=torch.float64) for _ in range(2)]
    for column, (name, _) in enumerate(chosen):
        jacobian = torch.stack([row[column] for row in rows]).double().cpu()
        kernels["weight" not in name] += jacobian @ jacobian.T
    return Kernels(kernels[0], kernels[0] + kernels[1])


def condition_number(kernel: Tensor) -> float:
    """Return the largest over the smallest eigenvalue of a kernel, 100,000 where that is no number or larger.

    Args:
        kernel: `(n, n)`.
    """
    if not bool(kernel.isfinite().all()):
        return SINGULAR
    eigenvalues = torch.linalg.eigvalsh(kernel)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    return SINGULAR if largest <= 0 or smallest * SINGULAR <= largest else largest / smallest


def fall_of_kappa(before: Kernels, after: Kernels) -> float:
    """Return by which share the condition number falls from one network to another.

    By weights alone kernels are singular where features end in batch norm: their mean over the batch is 0. Where one of
    both is, it is by all parameters.
    """
    for kernels in ((before.weights, after.weights), (before.all, after.all)):
        first, second = map(condition_number, kernels)
        if SINGULAR not in (first, second):
            break
    return (first - second) / first


def count_regions(network: nn.Module, run: Any) -> int:
    """Return how many inputs of a forward activate different units: linear regions that they fall into.

    Args:
        network: The network.
        run: A forward of it.

    Raises:
        PredictorError: If no rectifier ran.
    """
    seen: list[Tensor] = []
    handles = [
        module.register_forward_pre_hook(lambda _, given: seen.append((given[0] > 0).flatten(1)))
        for module in network.modules()
        if isinstance(module, RECTIFIERS)
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        raise PredictorError("te_nas counts linear regions by rectifiers (nn.ReLU), and none of the network ran")
    packed = np.packbits(torch.cat(seen, 1).cpu().numpy(), axis=1)
    return len(np.unique(packed, axis=0))


def crops(images: Tensor, side: int, channels: int | None, count: int, rng: Random) -> Tensor:
    """Return random crops of images, of random channels in ascending order.

    Args:
        images: `(n, c, h, w)`.
        side: Height and width of a crop.
        channels: How many channels; None for all.
        count: How many crops; images are taken in turn.
        rng: Source of randomness.

    Returns:
        `(count, channels, side, side)`.

    Raises:
        ConfigError: If the images are smaller than a crop.
    """
    _, all_channels, height, width = images.shape
    if min(height, width) < side:
        raise ConfigError(f"region_size: images of {height} x {width} have no crops of {side} x {side}")
    found = []
    for number in range(count):
        top, left = rng.randint(0, height - side), rng.randint(0, width - side)
        kept = sorted(rng.sample(range(all_channels), channels or all_channels))
        found.append(images[number % len(images), kept, top : top + side, left : left + side])
    return torch.stack(found)
