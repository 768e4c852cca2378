"""A network that is worked on and afterwards is as it was: weights, statistics, gradients, modes, hooks, generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.utils.seeding import rng_restore, rng_snapshot


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Let the network be changed inside; all of it comes back on leaving, also by an exception.

    Parameters and buffers stay the same objects on the same storage: what is written inside goes to copies. Gradients
    are None inside.

    Args:
        network: The network.
    """
    modules = list(network.modules())
    tensors = {id(t): t for m in modules for t in (*m._parameters.values(), *m._buffers.values()) if t is not None}
    held = [(t, t.data, t.grad, t.requires_grad) for t in tensors.values()]
    tables = [(m, dict(m._parameters), dict(m._buffers), m.training) for m in modules]
    try:
        for tensor in tensors.values():
            tensor.grad = None
            tensor.data = tensor.data.clone()
        yield
    finally:
        for module, parameters, buffers, training in tables:
            module._parameters.clear()
            module._parameters.update(parameters)
            module._buffers.clear()
            module._buffers.update(buffers)
            module.training = training
        for tensor, data, grad, requires_grad in held:
            tensor.grad = None
            tensor.data = data
            tensor.grad = grad
            tensor.requires_grad_(requires_grad)


@contextmanager
def seeded_aside(seed: int, device: torch.device) -> Iterator[None]:
    """Let the global generators of torch begin with a seed, and go on afterwards as if nothing had been drawn.

    Args:
        seed: Any integer >= 0.
        device: Where the network is; the generator of a device that draws nothing is left alone.
    """
    before, flags = rng_snapshot(), (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    torch.default_generator.manual_seed(seed % 2**63)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed % 2**63)
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = flags
        rng_restore(before)


def set_modes(network: nn.Module) -> None:
    """Let forwards drop nothing and normalise by the batch: all in evaluation mode save batch norm and recurrent cells.

    Recurrent layers of cuDNN give gradients in training mode alone.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm | nn.RNNBase):
            module.training = True
